"""``mtm predict`` of tables that are too large for memory, or for one machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from mtm_core.cli.output import err
from mtm_core.data.formats.stored_table import is_stored_in_parts
from mtm_core.errors import SelectionError

WorkersOption = Annotated[
    int | None,
    typer.Option(help="Predict in chunks, in this many processes.", min=1),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(help="Predict in chunks on a Dask cluster, such as tcp://node1:8786."),
]
ChunkOption = Annotated[
    int | None, typer.Option(help="Predict in chunks of this many samples.", min=1)
]
ValuesOption = Annotated[
    str | None,
    typer.Option(help="Values to store, in chunks: any of z,expression,lower,upper."),
]
BitsOption = Annotated[
    int | None,
    typer.Option(
        help="Binary digits to store, in chunks: 10 give three decimal digits, in half the space.",
        min=1,
        max=23,
    ),
]


def is_asked_for(tables: Sequence[Path], *options: object) -> bool:
    """Tell whether to predict in chunks: an option says so, or the table needs it.

    Raises
    ------
    SelectionError
        If there are several.
    """
    in_parts = any(option is not None for option in options) or any(
        is_stored_in_parts(table) for table in tables
    )
    if in_parts and len(tables) > 1:
        raise SelectionError(
            f"only one table can be predicted in chunks; got {len(tables)}, such as "
            f"{tables[1].name!r}."
        )
    return in_parts


@contextmanager
def progress_bar(*, by_lines: bool = True) -> Iterator[Callable[[str, int, int], None]]:
    """Show how far each step is: a bar at a terminal, elsewhere a line every tenth of it.

    With ``by_lines`` false it is a bar or nothing.
    """
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        task = bars.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total)
            is_tenth = done and done * 10 // total > (done - 1) * 10 // total
            if bars.disable and by_lines and is_tenth:
                err.print(f"{what}: {done} of {total} parts.")

        yield show
