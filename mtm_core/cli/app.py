"""``mtm app``: start the dashboard."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.extras import needs
from mtm_core.cli.output import err
from mtm_core.cli.ports import DEFAULT_PORT, HIGHEST_PORT, THIS_MACHINE, Address, choose_port
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.places import place_of


def app_command(
    port: Annotated[
        int | None,
        typer.Option(
            help=f"Port to listen on; by default {DEFAULT_PORT}, or the next free one.",
            min=1,
            max=HIGHEST_PORT,
        ),
    ] = None,
    address: Address = THIS_MACHINE,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another name that the server answers to, besides localhost and its address; "
            "repeatable. Behind a proxy: the name that browsers see.",
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option(help="Open a browser window if there is a screen.")
    ] = True,
    workspace: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|off",
            help="Folder for sessions that users save; 'off': none are saved. By default a "
            "private temporary folder.",
        ),
    ] = None,
    workspace_hours: Annotated[
        float | None,
        typer.Option(
            help="Delete saved sessions that nobody has used for this many hours; 24 by default.",
            min=0.01,
        ),
    ] = None,
) -> None:
    """Start the dashboard on this machine.

    **Example:** `mtm app --port 8600`
    """
    if workspace is not None:
        is_off = workspace.lower() == "off"
        folder = workspace if is_off else str(Path(workspace).expanduser().resolve())
        if not is_off and Path(folder).exists() and not Path(folder).is_dir():
            raise SelectionError(f"--workspace: {folder} is a file. Name a folder, or 'off'.")
        os.environ["MTM_WORKSPACE"] = folder
    if workspace_hours is not None:
        if not math.isfinite(workspace_hours):
            raise SelectionError(f"--workspace-hours: expected hours, got {workspace_hours}.")
        os.environ["MTM_WORKSPACE_HOURS"] = str(workspace_hours)
    needs("app", "the dashboard")
    script = place_of("app.py")
    if not script.exists():
        raise InputFileError(
            f"the dashboard is not installed: {script} is missing. Install the package again."
        )
    open_standard_streams()
    chosen, note = choose_port(address, port)
    if note:
        err.print(note)
    show = browser and has_screen()
    os.chdir(script.parent)
    # In this process's place, so that whoever ends it ends the server.
    os.execv(
        sys.executable,
        [
            *(sys.executable, "-m", "mtm_core.dashboard"),
            f"--server.port={chosen}",
            f"--server.address={address}",
            f"--server.headless={'false' if show else 'true'}",
            *(f"--server.allowedHosts={name}" for name in allow_host or ()),
            "--server.fileWatcherType=none",  # for those who edit the pages, not who use them
        ],
    )


def has_screen() -> bool:
    """Tell whether a browser can open a window; without one it would open inside the terminal."""
    is_unix_desktop = sys.platform not in ("darwin", "win32")
    return not is_unix_desktop or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def open_standard_streams() -> None:
    """Open on nothing what the caller closed (``mtm app <&-``).

    The server's first socket would otherwise become its standard input.
    """
    for stream in (0, 1, 2):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
