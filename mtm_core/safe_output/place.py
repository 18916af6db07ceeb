"""Check, before any work, that a place may be written to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from mtm_core.errors import OutputError
from mtm_core.safe_output.in_words import real_place
from mtm_core.safe_output.mark import Mark, files_below
from mtm_core.safe_output.staging import sweep

_SHOWN = 3


def check_output(
    output: Path, *, overwrite: bool = False, inputs: Iterable[Path] = (), folder: bool = False
) -> None:
    """Refuse, before any work, an output that must not or cannot be written.

    Parameters
    ----------
    output
        File, or with ``folder`` a folder, to be written.
    overwrite
        Whether what is there may be replaced, if it is a plain file or a folder of ours.
    inputs
        Files and folders that are read: none of them is, holds, or lies in the output.

    Raises
    ------
    OutputError
        If it is there and not to be replaced, is an input, or its folder cannot be written to.
    """
    if output.parent.is_dir():
        sweep(output.parent, output.name)
    refuse_inputs(output, inputs)
    if output.is_symlink() and not (folder and output.is_dir()):
        raise OutputError(
            f"{output} is a link, to {output.readlink()}; a link is not replaced. Name the file"
            " itself, or another."
        )
    output = real_place(output)
    if folder:
        check_folder(output, overwrite=overwrite)
    elif output.exists():
        check_file(output, overwrite=overwrite)
    check_parent(output)


def refuse_inputs(output: Path, inputs: Iterable[Path]) -> None:
    """Refuse an output that is, holds, or lies in what is read, also by a link."""
    for path in inputs:
        if not path.exists():
            continue
        if output.exists() and output.samefile(path):
            raise OutputError(
                f"{output} is also the input ({path}), which is not overwritten. Name another "
                f"output."
            )
        whole, real = real_place(output), path.resolve()
        if real in whole.parents:
            raise OutputError(f"{output} is inside {path}, which is an input. Name another output.")
        if whole in real.parents:
            raise OutputError(f"{output} contains {path}, which is an input. Name another output.")


def check_file(output: Path, *, overwrite: bool) -> None:
    """Refuse what is there and is not to be replaced as a file."""
    state = output.stat()
    if stat.S_ISDIR(state.st_mode):
        raise OutputError(f"{output} is a folder. Name a new file.")
    if not stat.S_ISREG(state.st_mode):
        raise OutputError(f"{output} is not a plain file. Name a new file.")
    if not overwrite:
        raise OutputError(
            f"{output} exists already ({_size(state.st_size)}). Name another file, or replace it "
            f"with --overwrite."
        )
    if not state.st_mode & 0o222:
        raise OutputError(f"{output} is write-protected. Name another file.")


def check_folder(output: Path, *, overwrite: bool) -> None:
    """Refuse what is there and is not to be replaced as a folder."""
    if not output.exists():
        return
    if not output.is_dir() or output.is_symlink():
        raise OutputError(f"{output} exists already, and is not a folder. Name another.")
    mark = Mark.of(output)
    if mark is not None:
        sweep(output, "")
    there = files_below(output)
    if not there:
        return
    if mark is None:
        raise OutputError(
            f"{output} exists already and holds {listed(there)}, which mtm did not write and "
            f"does not replace. Name another folder, or delete it yourself."
        )
    others = [name for name in there if not mark.owns(name)]
    if others:
        raise OutputError(
            f"{output} holds {mark.kind} of mtm, but also {listed(others)}, which mtm did not"
            " write. Move that, or name another folder."
        )
    if not overwrite:
        raise OutputError(
            f"{output} exists already: {mark.kind} of mtm ({listed(there)}). Name another "
            f"folder, or replace it with --overwrite."
        )


def check_parent(output: Path) -> None:
    """Refuse a place in a folder that may not be written to."""
    path = output.absolute()
    parent = path if path.is_dir() else next(p for p in path.parents if p.exists())
    if not parent.is_dir():
        raise OutputError(f"cannot write {output}: {parent} is not a folder.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"cannot write {output}: there is no permission to write to {parent}. Name another"
            " place."
        )


def listed(names: Iterable[str]) -> str:
    """Name the first few, and say how many more there are."""
    names = list(names)
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"


def _size(n_bytes: int) -> str:
    return f"{n_bytes:,} bytes" if n_bytes < 1e5 else f"{n_bytes / 1e6:,.1f} MB"
