"""Where a server saves sessions and for how long, by its environment; the old ones are deleted."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path

from mtm_core.dashboard.state.workspace import WorkspaceStore
from mtm_core.errors import SelectionError

FOLDER_VARIABLE = "MTM_WORKSPACE"
"""Environment variable: the folder of saved sessions, or ``off``."""
HOURS_VARIABLE = "MTM_WORKSPACE_HOURS"
"""Environment variable: how long a saved session lives after its last use."""
DEFAULT_HOURS = 24.0
_SWEEP_SECONDS = 600
_log = logging.getLogger(__name__)


def settings_of_environment() -> tuple[str, str]:
    """Return folder and hours as the environment has them; empty if it has not."""
    return os.environ.get(FOLDER_VARIABLE, "").strip(), os.environ.get(HOURS_VARIABLE, "").strip()


def open_store(folder: str = "", hours: str = "") -> WorkspaceStore | None:
    """Open the store of this server; ``None`` if it has none.

    Parameters
    ----------
    folder
        ``"off"``, or a folder; by default one of its own among the system's temporary files.
    hours
        A number above 0; 24 by default.

    Raises
    ------
    SelectionError
        If ``hours`` is none, or as :class:`WorkspaceStore`.
    """
    if folder.lower() == "off":
        return None
    try:
        lifetime = float(hours or DEFAULT_HOURS)
    except ValueError:
        lifetime = 0.0
    if not 0 < lifetime < float("inf"):
        raise SelectionError(
            f"sessions cannot be saved: {HOURS_VARIABLE}={hours!r} is not a number of hours"
            " above 0. Tell the person who runs this server."
        )
    user = os.getuid() if os.name == "posix" else "own"
    default = Path(tempfile.gettempdir()) / f"mtm-workspaces-{user}"
    return WorkspaceStore(Path(folder).expanduser() if folder else default, lifetime)


def sweep_for_ever() -> None:
    """Delete what is too old every few minutes; for a thread of the server's own."""
    try:
        store = open_store(*settings_of_environment())
    except SelectionError:  # every page says so
        return
    while store is not None:
        try:
            store.sweep()
        except OSError:  # a disk that is away for a while; what is too old still has to go
            _log.exception("saved sessions that are too old could not be looked for")
        time.sleep(_SWEEP_SECONDS)
