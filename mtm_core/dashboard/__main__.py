"""Start the server: ``python -m mtm_core.dashboard``, with any option of ``streamlit run``."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # What follows imports for seconds: until the server listens, Ctrl-C just ends it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from mtm_core.dashboard.serving.start import start

    start(sys.argv[1:])
