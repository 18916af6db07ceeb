"""Input files looked at before any work: a typing error is to cost a second, not half an hour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mtm_core.data.people.metadata import check_names_of_metadata
from mtm_core.data.people.metadata_columns import MOST_GROUPS, level_named
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.errors import InputFileError


def check_there(**files: Path | Sequence[Path] | None) -> None:
    """Refuse files that are not there; each is named as its option, ``_`` for ``-``.

    Raises
    ------
    InputFileError
        If one is not.
    """
    for option, given in files.items():
        paths = [given] if isinstance(given, Path) else given or ()
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise InputFileError(
                f"{_as_option(option)}: cannot open {missing[0]}: there is no such file. Check the"
                " name and the folder."
            )


def check_metadata(
    path: Path,
    options: MetadataOptions,
    *,
    columns: Sequence[str] = (),
    group: str = "",
    levels: Callable[[Sequence[str]], Sequence[str]] | None = None,
) -> None:
    """Refuse columns and groups that a file of metadata does not have, before a table is read.

    Parameters
    ----------
    columns, group
        Names that must be there.
    levels
        Gives the groups that are asked for, of those that ``group`` has.

    Raises
    ------
    InputFileError
        If the file cannot be read as a table.
    SelectionError
        If a column is not there, or none of its cells is one of the groups.
    """
    known = check_names_of_metadata(path, options, [*columns, *([group] if group else [])])
    cells = [cell for cell in known.get(group, ()) if cell and cell not in options.unknown]
    if levels is not None and len(cells) <= MOST_GROUPS:  # else it is no column of groups
        for level in levels(cells):
            level_named(level, cells)


def _as_option(name: str) -> str:
    is_argument = name in ("input", "cohort", "predictions")
    return name.upper() if is_argument else "--" + name.replace("_", "-")
