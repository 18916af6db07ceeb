"""A user's words for what a file is, where it is not the kind that was expected."""

from __future__ import annotations

import errno
from pathlib import Path

from mtm_core.data.notes import name_some

_BEGINS = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a zip or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"PAR1", "a parquet file"),
    (b"SQLite format 3", "an SQLite database"),
)
_LOOK_BYTES = 4096
_SHOWN = 40


def what_it_is(path: Path) -> str:
    """Say what is at ``path``: a folder, an empty file, text and how it begins, or a kind of file.

    For the end of a sentence that says what was expected.
    """
    if path.is_dir():
        return "a folder"
    try:
        with path.open("rb") as file:
            start = file.read(_LOOK_BYTES)
    except OSError as error:
        return f"a file that cannot be opened ({error.strerror})"
    if not start:
        return "an empty file"
    for magic, kind in _BEGINS:
        if start.startswith(magic):
            return kind
    text = start.decode("utf-8", errors="ignore")
    n_lost = len(start) - len(text.encode())
    if b"\0" in start or n_lost > 3 or any(ord(c) < 32 and c not in "\t\n\r\f" for c in text):
        return "a binary file of another kind"
    first = (text.strip().splitlines() or [""])[0]
    shown = first if len(first) <= _SHOWN else f"{first[:_SHOWN]}…"
    return f"text that begins {shown!r}" if first else "text of blanks only"


def folder_in_place_of_a_file(folder: Path) -> str:
    """Say that a folder came where a file is expected, and name files in it."""
    try:
        names = sorted(one.name for one in folder.iterdir() if one.is_file())
    except OSError:
        names = []
    such = f": {name_some(names)}" if names else ""
    return f"{folder} is a folder; expected a file. Name the file in it{such}."


def what_is_missing(error: Exception) -> str:
    """Say why a folder of ours could not be read: the name of a file that is not there.

    What else went wrong is said as the library says it.
    """
    if isinstance(error, FileNotFoundError | NotADirectoryError) and error.filename is not None:
        return f"it has no {Path(error.filename).name}"
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EISDIR):
        return f"{Path(str(error.filename)).name} cannot be read: {error.strerror}"
    return str(error)
