"""The server as ``python -m mtm_core.dashboard`` and ``mtm app`` start it.

Not ``streamlit run app.py`` itself: that asks for an e-mail address where it never ran before, asks
other servers for this one's address in order to print it, answers to any name and to pages of other
sites, keeps the data of closed tabs, and greets whoever opens a link to a page on a fresh server
with "Page not found".
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from streamlit import config
from streamlit.web import bootstrap

import mtm_core.figures
import mtm_core.inference
import mtm_core.reporting
import mtm_core.studies
from mtm_core.dashboard.serving.freeing import keep_little_freed_memory
from mtm_core.dashboard.serving.server import serve
from mtm_core.dashboard.state.resources import load_ahead
from mtm_core.dashboard.state.workspace_settings import sweep_for_ever
from mtm_core.data.genes.names import symbols_of
from mtm_core.data.isolation.isolated import reader_server
from mtm_core.data.isolation.reader_server import Dead
from mtm_core.workflows.server_limits import multiply_in_one_thread


def import_all() -> None:
    """Import what pages compute and draw with, so that the first to open each need not wait for it.

    Matrix products then use one thread each.

    What is there then stays for good, and is taken from the garbage collector: Streamlit has it
    look through everything after each run of a page, which holds up the next by a fifth of a
    second. Nobody's data are there yet.
    """
    for module in modules_of_pages():
        importlib.import_module(module)
    multiply_in_one_thread()
    symbols_of([])  # reads the names of all genes: a third of a second of somebody's first page
    gc.collect()
    gc.freeze()


def modules_of_pages() -> list[str]:
    """Name what pages compute and draw with: the modules of these packages and of their rooms."""
    packages = (mtm_core.inference, mtm_core.studies, mtm_core.figures, mtm_core.reporting)
    return [
        module.name
        for package in packages
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]


def print_address(is_running_hello: bool) -> None:
    """Print where the dashboard is, now that it listens."""
    host = config.get_option("browser.serverAddress")
    if not config.is_manually_set("browser.serverAddress"):
        host = config.get_option("server.address") or "localhost"
    everywhere = host in ("0.0.0.0", "::")
    host = "localhost" if everywhere else f"[{host}]" if ":" in host else host
    scheme = "https" if config.get_option("server.sslCertFile") else "http"
    path = str(config.get_option("server.baseUrlPath")).strip("/")
    url = f"{scheme}://{host}:{config.get_option('server.port')}{'/' * bool(path)}{path}"
    others = ", and at this machine's address for others" if everywhere else ""
    print(f"\n  The dashboard is at {url}{others}. Ctrl-C ends it.\n", flush=True)


def have_reader_ready() -> None:
    """Start the process that reads uploads, before there are any, and say what shuts it off."""
    server = reader_server()
    try:
        server.start()
    except Dead as error:
        print(f"  Uploads cannot be read: {error}.", file=sys.stderr, flush=True)
        return
    held = ", ".join(server.layers) or "limits of memory and time only (docs/serving.md)"
    print(
        f"  Uploads are read in a separate process, isolated by: {held}.",
        file=sys.stderr,
        flush=True,
    )


def ensure_home() -> None:
    """Name a home folder where the system knows none, as for a user that only a container has."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/nonexistent"


def start(options: Sequence[str]) -> None:
    """Serve with ``options`` of ``streamlit run``, until it is ended; by Ctrl-C with status 130."""
    ensure_home()
    keep_little_freed_memory()
    bootstrap._print_url = print_address
    import_all()
    Thread(target=sweep_for_ever, name="mtm-sweep", daemon=True).start()
    Thread(target=load_ahead, name="mtm-model", daemon=True).start()
    Thread(target=have_reader_ready, name="mtm-reader", daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        serve(list(options))
    except KeyboardInterrupt:
        sys.exit(130)
