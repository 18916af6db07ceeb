"""Start the server: ``python -m mtm_core.dashboard``, with any option of ``streamlit run``.

Not ``streamlit run app.py`` itself: that takes a folder named ``pages`` for Streamlit's old way of
finding pages until a first session has run ``st.navigation``, and greets whoever opens a link to a
page on a fresh server with "Page not found" over the page.
"""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Thread

from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main

from mtm_core.dashboard.workspace import sweep_for_ever

APP = Path(__file__).parents[2] / "app.py"

if __name__ == "__main__":
    Thread(target=sweep_for_ever, name="mtm-sweep", daemon=True).start()
    PagesManager.uses_pages_directory = False
    sys.argv = ["streamlit", "run", str(APP), *sys.argv[1:]]
    main()
