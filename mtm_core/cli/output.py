"""Printing of commands: tables for people at a terminal, tab-separated lines for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mtm_core.escaping import on_terminal

OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace an existing file, or a folder in which mtm wrote everything."
    ),
]


class PlainConsole(Console):
    """A console that shows control characters in what it is given, and obeys none of them."""

    def print(self, *objects: object, **options: Any) -> None:  # noqa: ANN401 - as rich's own
        """Print as rich does."""
        super().print(*(on_terminal(o) if isinstance(o, str) else o for o in objects), **options)


out = PlainConsole(soft_wrap=True, highlight=False, markup=False)
"""Standard output: results."""
err = PlainConsole(stderr=True, soft_wrap=True, highlight=False, markup=False)
"""Standard error: reports, progress, warnings."""


def say(text: str, *, err: bool = False) -> None:
    """Print a line that may hold names, to standard error where ``err``."""
    typer.echo(on_terminal(text), err=err)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows``; an empty ``header`` prints none.

    A pipe or a file gets every value whole, without frame, colour or title.
    """
    if not out.is_terminal:
        for row in [header, *rows] if header else rows:
            say("\t".join(row))
        return
    table = Table(title=title, title_justify="left", show_header=bool(header))
    for number, name in enumerate(header or rows[0]):
        is_figure = bool(header) and number > 0
        table.add_column(name, justify="right" if is_figure else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(on_terminal, row))
    out.print(table, soft_wrap=False)
