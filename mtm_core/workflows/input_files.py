"""Input files looked at before any work: a typing error is to cost a second, not half an hour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mtm_core.data.files.what_is_it import folder_in_place_of_a_file
from mtm_core.data.people.metadata_columns import MOST_GROUPS, level_named
from mtm_core.data.people.metadata_file import check_names_of_metadata
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.errors import InputFileError, SelectionError


def check_there(**given: Path | Sequence[Path] | None) -> None:
    """Refuse files and folders that are not there; each is named as its option, ``_`` for ``-``.

    Raises
    ------
    InputFileError
        If one is not.
    """
    for option, path in _each(given):
        if not path.exists():
            raise InputFileError(
                f"{_as_option(option)}: cannot open {path}: there is no such file. Check the"
                " name and the folder."
            )


def check_files(**given: Path | Sequence[Path] | None) -> None:
    """Refuse what is not there, and a folder where a file is expected.

    Raises
    ------
    InputFileError
        If one is not there, or a folder.
    """
    check_there(**given)
    for option, path in _each(given):
        if path.is_dir():
            raise InputFileError(f"{_as_option(option)}: {folder_in_place_of_a_file(path)}")


def check_folders(**given: Path | Sequence[Path] | None) -> None:
    """Refuse what is not there, and a file where a folder is expected.

    Raises
    ------
    InputFileError
        If one is not there, or a file.
    """
    check_there(**given)
    for option, path in _each(given):
        if not path.is_dir():
            raise InputFileError(
                f"{_as_option(option)}: {path} is a file; expected a folder. Name the folder"
                " that it is in."
            )


def check_jobs(jobs: int) -> None:
    """Refuse a number of processes that is none.

    Raises
    ------
    SelectionError
        If it is 0 or below -1.
    """
    if jobs == 0 or jobs < -1:
        raise SelectionError(f"--jobs: expected 1 or more, or -1 for one per core, got {jobs}.")


def _each(given: Mapping[str, Path | Sequence[Path] | None]) -> Iterator[tuple[str, Path]]:
    for option, paths in given.items():
        for path in (paths,) if isinstance(paths, Path) else paths or ():
            yield option, path


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
