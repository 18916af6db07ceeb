"""Write a file or folder that a user named: whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mtm_core.safe_output.in_words import real_place, said_in_words
from mtm_core.safe_output.mark import Mark, files_below
from mtm_core.safe_output.own_folder import OwnFolder
from mtm_core.safe_output.place import check_file, check_folder, check_output
from mtm_core.safe_output.staging import OLD, made_parents, staged_beside, to_disk

_SCRATCH = "mtm-scratch"


@contextmanager
def writing(
    output: Path,
    *,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
    folder: bool = False,
    kind: str = "an output",
) -> Iterator[Path]:
    """Yield a place beside ``output`` to write to; it becomes ``output`` when the block ends.

    Parameters
    ----------
    output, overwrite, inputs, folder
        As :func:`check_output`. With ``folder`` the place is an empty folder, and is marked.
    kind
        Kind of folder, for its mark.

    Raises
    ------
    OutputError
        As :func:`check_output`; or if there is no room, or the folder may not be written to.
    """
    check_output(output, overwrite=overwrite, inputs=inputs, folder=folder)
    place = real_place(output)
    beside = place if folder and _must_stay(place) else place.parent
    with said_in_words(output), made_parents(beside), staged_beside(beside, place.name) as own:
        staged = own / place.name
        if folder:
            staged.mkdir()
        yield staged
        if folder:
            Mark(kind, frozenset(files_below(staged))).write(staged)
        to_disk(staged)
        # What came meanwhile is not ours to replace either.
        check_output(output, overwrite=overwrite, inputs=inputs, folder=folder)
        if beside == place:
            _move_in(staged, place)
        elif folder:
            _swap_in(staged, place, own / OLD)
        elif overwrite:
            if place.exists():
                shutil.copymode(place, staged)
            staged.replace(place)
        else:
            _move_new(staged, place)


def put_folder(made: Path, output: Path, *, overwrite: bool = False, kind: str) -> None:
    """Return a folder that was made elsewhere on the same disk its place, marked.

    Raises
    ------
    OutputError
        As :func:`writing`.
    """
    check_output(output, overwrite=overwrite, folder=True)
    place = real_place(output)
    with said_in_words(output), staged_beside(place.parent, place.name) as own:
        Mark(kind, frozenset(files_below(made))).write(made)
        if _must_stay(place):
            _move_in(made, place)
        else:
            _swap_in(made, place, own / OLD)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a place beside ``path`` to write to, which takes its place when the block ends.

    For files under names of our own in folders of our own: a checkpoint, a cached fit. What a user
    names goes through :func:`writing`.

    Raises
    ------
    OutputError
        If there is no room, or the folder may not be written to.
    """
    with (
        said_in_words(path),
        made_parents(path.parent),
        staged_beside(path.parent, path.name) as folder,
    ):
        staged = folder / path.name
        yield staged
        to_disk(staged)
        staged.replace(path)


@contextmanager
def scratch_folder(kind: str = "work") -> Iterator[Path]:
    """Yield an empty private folder among the temporary files; what killed runs left is swept."""
    parent = Path(tempfile.gettempdir())
    with said_in_words(parent / _SCRATCH), staged_beside(parent, f"{_SCRATCH}-{kind}") as folder:
        place = folder / "files"
        place.mkdir()
        yield place


def discard(folder: Path) -> None:
    """Delete a folder of ours at once: half of it would look like one that was cut off.

    Raises
    ------
    OutputError
        If it carries no mark of ours, or holds what we did not write.
    """
    if folder.is_symlink() or folder.exists():
        check_folder(folder, overwrite=True)
        with said_in_words(folder), staged_beside(folder.parent, folder.name) as aside:
            folder.rename(aside / folder.name)


def _must_stay(place: Path) -> bool:
    """Tell whether a folder cannot be exchanged whole: an empty one that was made to be filled."""
    if not place.is_dir():
        return False
    is_bound = place.is_mount() or not os.access(place.parent, os.W_OK | os.X_OK)
    return is_bound or not files_below(place)


def _move_in(staged: Path, place: Path) -> None:
    """Move what was made into a folder that stays: what others are nothing without comes last."""
    if (mark := Mark.of(place)) is not None:
        OwnFolder(place, mark).clear()
    for path in sorted(staged.iterdir(), key=lambda path: (path.is_file(), path.suffix == ".json")):
        if path.is_dir() and (place / path.name).is_dir():
            (place / path.name).rmdir()  # empty by now
        path.replace(place / path.name)


def _swap_in(staged: Path, place: Path, old: Path) -> None:
    """Put a whole folder in the place of what was checked to be nothing, or ours."""
    if not place.exists():
        staged.rename(place)
        return
    place.rename(old)
    try:
        staged.rename(place)
    except BaseException:
        old.rename(place)
        raise


def _move_new(staged: Path, place: Path) -> None:
    """Return a file its name, unless something has that name by now."""
    try:
        os.link(staged, place)
    except FileExistsError:
        check_file(place, overwrite=False)
    except OSError:  # a disk without hard links
        staged.rename(place)
