"""What commands print: tables for people at a terminal, tab-separated lines for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Replace what is there: a file, or a folder in which mtm wrote all."
    ),
]
out = Console(soft_wrap=True, highlight=False, markup=False)
"""Standard output: results."""
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
"""Standard error: reports, progress, warnings."""


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print ``rows``; an empty ``header`` prints none.

    A pipe or a file gets every value whole, without frame, colour or title.
    """
    if not out.is_terminal:
        for row in [header, *rows] if header else rows:
            typer.echo("\t".join(row))
        return
    table = Table(title=title, title_justify="left", show_header=bool(header))
    for number, name in enumerate(header or rows[0]):
        is_figure = bool(header) and number > 0
        table.add_column(name, justify="right" if is_figure else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    out.print(table, soft_wrap=False)
