"""Entry point of ``mtm``: its groups of commands, and how errors end.

Exit codes: 0 done, 1 an error of the input (one line on standard error), 2 wrong usage,
130 stopped by Ctrl-C.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from mtm_core import __version__
from mtm_core.cli.app import app_command
from mtm_core.cli.data import data_app
from mtm_core.cli.evaluate import evaluate_command
from mtm_core.cli.model import model_app
from mtm_core.cli.predict import predict_command
from mtm_core.cli.train import train_command
from mtm_core.errors import MTMError

app = typer.Typer(
    name="mtm",
    help="Multi-tissue transcriptome mapping: predict the expression of a person's tissues from"
    " their blood. For research use, not for diagnosis.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.add_typer(model_app, name="model")
app.command("train")(train_command)
app.command("evaluate")(evaluate_command)
app.command("predict")(predict_command)
app.command("app")(app_command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"mtm {__version__}")
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
    handler = RichHandler(
        console=Console(stderr=True), show_time=False, show_path=False, markup=False
    )
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("mtm_core").setLevel(logging.DEBUG if verbose else logging.INFO)


def run() -> None:
    """Run ``mtm``; a user's error is one line, a fault of the program keeps its traceback."""
    try:
        app()
    except MTMError as error:
        typer.echo(f"mtm: error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("mtm: stopped.", err=True)
        sys.exit(130)
