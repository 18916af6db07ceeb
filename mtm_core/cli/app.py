"""``mtm app``: start the dashboard."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mtm_core.errors import InputFileError


def app_command(
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8501,
    address: Annotated[
        str, typer.Option(help="Address to listen on; the default is this machine alone.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
    workspace: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|off",
            help="Where work is kept across a reload for users who ask for it; 'off': nowhere. By"
            " default a private folder among the temporary files.",
        ),
    ] = None,
    workspace_hours: Annotated[
        float | None,
        typer.Option(
            help="Delete kept work that nobody has used for so long; 24 by default.", min=0.01
        ),
    ] = None,
) -> None:
    """Start the dashboard on this machine.

    **Example:** `mtm app --port 8600`
    """
    if workspace is not None:
        is_off = workspace.lower() == "off"
        folder = workspace if is_off else str(Path(workspace).expanduser().resolve())
        os.environ["MTM_WORKSPACE"] = folder
    if workspace_hours is not None:
        os.environ["MTM_WORKSPACE_HOURS"] = str(workspace_hours)
    script = Path(__file__).parents[2] / "app.py"
    if not script.exists():
        raise InputFileError(
            f"the dashboard is not installed: {script} is missing. Clone the repository and"
            " install it with 'pip install -e .'."
        )
    os.chdir(script.parent)
    # In this process's place, so that whoever ends it ends the server.
    os.execv(
        sys.executable,
        [
            *(sys.executable, "-m", "mtm_core.dashboard"),
            f"--server.port={port}",
            f"--server.address={address}",
            f"--server.headless={'false' if browser else 'true'}",
            "--server.fileWatcherType=none",  # for those who edit the pages, not who use them
        ],
    )
