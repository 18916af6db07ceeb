"""Entry point of ``mtm``: its commands, and how errors end.

Exit codes: 0 done, 1 an error of the input (one line on standard error), 2 wrong usage,
130 stopped by Ctrl-C, 143 by SIGTERM, 129 by a closed terminal.
"""

from __future__ import annotations

import errno
import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.logging import RichHandler
from typer.core import TyperGroup

from mtm_core import __version__
from mtm_core.cli.extras import explained
from mtm_core.cli.output import err, say
from mtm_core.errors import MTMError
from mtm_core.escaping import keep_records_plain

_COMMANDS = {
    "data": ("mtm_core.cli.data:data_app", "Get and prepare cohorts."),
    "build": (
        "mtm_core.cli.build:build_command",
        "Build a model from GTEx's files with one command, from download to model card.",
    ),
    "train": (
        "mtm_core.cli.train:train_command",
        "Train a method on every donor of a cohort and write a model's folder.",
    ),
    "evaluate": (
        "mtm_core.cli.evaluate:evaluate_command",
        "Predict every donor out of fold by several methods, and score the predictions.",
    ),
    "model": (
        "mtm_core.cli.model:model_app",
        "List, get, install and describe models; verify, seal, pack and share them.",
    ),
    "predict": (
        "mtm_core.cli.predict:predict_command",
        "Predict the expression of other tissues.",
    ),
    "study": (
        "mtm_core.cli.study:study_app",
        "Study associations in the cohort, and how far predictions preserve them.",
    ),
    "compare": (
        "mtm_core.cli.compare:compare_command",
        "Compare groups of your samples, or correlate them with traits, tissue by tissue.",
    ),
    "judge": (
        "mtm_core.cli.judge:judge_command",
        "Compare predictions of a tissue with the same tissue, measured in some of the same "
        "people.",
    ),
    "quality": (
        "mtm_core.cli.quality:quality_command",
        "Check your samples before you predict: outliers, sex, tissue, swaps.",
    ),
    "composition": (
        "mtm_core.cli.quality:composition_command",
        "Estimate which cells the RNA of whole blood comes from.",
    ),
    "enrich": (
        "mtm_core.cli.enrich:enrich_command",
        "Find gene sets among the results of each tissue.",
    ),
    "activity": (
        "mtm_core.cli.activity:activity_command",
        "Score pathways and transcription factors in each sample and tissue.",
    ),
    "serve": (
        "mtm_core.cli.serve:serve_command",
        "Serve predictions to other programs, such as R: POST a table, GET the result.",
    ),
    "app": ("mtm_core.cli.app:app_command", "Start the dashboard on this machine."),
}
"""Module of each command, and its line in the list of commands (the first of its docstring)."""


_Click = Any
"""Typer exports neither its context nor the base class of its commands."""


class _Commands(TyperGroup):
    """Imports a command when it is run, not to list it: torch and scikit-learn take seconds."""

    def resolve_command(self, ctx: _Click, args: list[str]) -> tuple[str | None, _Click, list[str]]:
        """Return (name, command, remaining arguments) of what is to be run."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else _load(name), rest


def _load(name: str) -> _Click:
    """Import the command ``name``."""
    module, _, attribute = _COMMANDS[name][0].partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_command(found)
    single = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    single.command(name)(found)
    return typer.main.get_command(single)


app = typer.Typer(
    name="mtm",
    help="Multi-tissue transcriptome mapping: predict the expression of a person's tissues from"
    " their blood. For research use, not for diagnosis.\n\n"
    "**Example:** `mtm predict blood.csv --output predicted.csv`",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        say(f"mtm {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every step.")] = False,
) -> None:
    """Set up logging for the command that follows."""
    handler: logging.Handler = logging.StreamHandler()
    if err.is_terminal:  # in a file, Rich would break lines at 80 characters
        handler = RichHandler(console=err, show_time=False, show_path=False)
    else:
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    keep_records_plain()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("mtm_core").setLevel(logging.DEBUG if verbose else logging.INFO)


def _listed() -> None:
    """Stand in the list of commands for what ``_Commands`` imports."""


for _name, (_, _summary) in _COMMANDS.items():
    app.command(_name, help=_summary)(_listed)


def run() -> None:
    """Run ``mtm``; a user's error is one line, a fault of the program keeps its traceback."""
    try:
        with _ended_by_signals():
            app(prog_name="mtm")
            sys.stdout.flush()
    except MTMError as error:
        message = str(error)
    except ModuleNotFoundError as error:
        missing = explained(error)
        if missing is None:
            raise
        message = str(missing)
    except OSError as error:
        if error.errno in _NO_ROOM:
            message = f"{error.filename or 'no space to write'}: {error.strerror}."
        elif error.strerror is None or error.filename is None:
            raise
        else:  # a folder that may not be written to, a file that is gone
            message = f"{error.filename}: {error.strerror}."
    else:
        return
    say(f"mtm: error: {message}", err=True)
    sys.exit(1)


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End as by Ctrl-C where the system, a scheduler or a closed terminal asks for it.

    So that what is half written is deleted. The exit code is 128 and the signal's number.
    """

    def end(number: int, frame: object) -> None:
        for signum in before:
            signal.signal(signum, signal.SIG_IGN)  # a second one is not to break off the deleting
        say(f"mtm: stopped by {signal.Signals(number).name}.", err=True)
        raise SystemExit(128 + number)

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # Under nohup a closed terminal is to end nothing.
    before = {n: signal.signal(n, end) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
