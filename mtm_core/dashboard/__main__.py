"""Start the server: ``python -m mtm_core.dashboard``, with any option of ``streamlit run``.

Not ``streamlit run app.py`` itself: that takes a folder named ``pages`` for Streamlit's old way of
finding pages until a first session has run ``st.navigation``, and greets whoever opens a link to a
page on a fresh server with "Page not found" over the page.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil
import sys
from pathlib import Path
from threading import Thread

from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.cli import main

import mtm_core.figures
import mtm_core.inference
import mtm_core.studies
from mtm_core.dashboard.workspace import sweep_for_ever

APP = Path(__file__).parents[2] / "app.py"


def import_all() -> None:
    """Import what pages compute and draw with, so that the first to open each need not wait for it.

    What is there then stays for good, and is taken from the garbage collector: Streamlit has it
    look through everything after each run of a page, which holds up the next by a fifth of a
    second. Nobody's data are there yet.
    """
    for package in (mtm_core.inference, mtm_core.studies, mtm_core.figures):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    import_all()
    Thread(target=sweep_for_ever, name="mtm-sweep", daemon=True).start()
    PagesManager.uses_pages_directory = False
    sys.argv = ["streamlit", "run", str(APP), *sys.argv[1:]]
    main()
