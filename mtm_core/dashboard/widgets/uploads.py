"""The content of the uploaders of the Upload page, as one file: the last that was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import streamlit as st

from mtm_core.data.files.archive import NamedFile, pack
from mtm_core.data.notes import name_some

_BETWEEN = " | "
_TEXT = ("csv", "tsv", "txt", "gct")
# With "csv" alone the browser's own check turns "table.csv.gz" away.
TEXT_ENDINGS = (*_TEXT, *(f"{ending}.gz" for ending in _TEXT))
TABLE_ENDINGS = (
    *TEXT_ENDINGS,
    *("xlsx", "parquet", "h5ad", "loom", "zip", "tab", "sf", "results", "counts"),
)
"""Endings of the files that an uploader of expression takes."""


class UploadedFile(Protocol):
    """A file in an uploader, as Streamlit gives it."""

    file_id: str
    name: str
    size: int

    def getvalue(self) -> bytes:
        """Return its bytes."""
        ...


@dataclass(frozen=True)
class Upload:
    """One file, or several that are read as one.

    Attributes
    ----------
    file_id
        Tells it from others.
    name
        Name of the file; the number of files if there are several.
    files
        Themselves.
    """

    file_id: str
    name: str
    files: tuple[UploadedFile, ...]

    @classmethod
    def of(cls, files: Sequence[UploadedFile]) -> Upload | None:
        """Gather what an uploader holds; ``None`` if it holds nothing."""
        if not files:
            return None
        zips = [file.name for file in files if file.name.lower().endswith(".zip")]
        name = f"{len(files)} files"
        if len(files) == 1 or len(zips) == 1:  # a zip, and the table of its transcripts
            name = zips[0] if zips else files[0].name
        return cls("+".join(file.file_id for file in files), name, tuple(files))

    @property
    def problem(self) -> str:
        """Why the files cannot be read as one: two of one name, or too large together; or ""."""
        names = [file.name for file in self.files]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            return (
                f"{name_some(twice, 3)} is given more than once. If files of different samples "
                f"have the same name, put their folders into a zip and upload that."
            )
        most = int(st.get_option("server.maxUploadSize"))
        size = sum(file.size for file in self.files)
        if len(self.files) > 1 and size > most * 1024**2:
            return (
                f"{self.name} are {size / 1024**2:,.0f} MB together; this server accepts "
                f"{most:,} MB at once. Remove files that are not samples, or use the command "
                f"line: mtm predict."
            )
        return ""

    def getvalue(self) -> bytes:
        """Return the bytes of the file, or of a zip of the files, which must have no problem."""
        if len(self.files) == 1:
            return self.files[0].getvalue()
        return pack([NamedFile(file.name, file.getvalue()) for file in self.files])


def last_chosen(uploads: Sequence[Upload | None], seen: str) -> tuple[Upload | None, str, bool]:
    """Return which of the uploaders' files counts: the one that changed last.

    Parameters
    ----------
    uploads
        Contents of each uploader.
    seen
        State that this returned the last time, empty at first.

    Returns
    -------
    tuple
        The file; the state to remember; and whether it is new.
    """
    ids = ["" if upload is None else upload.file_id for upload in uploads]
    *before, which = seen.split(_BETWEEN)
    before = (before + [""] * len(ids))[: len(ids)]
    changed = [
        i for i, (new, old) in enumerate(zip(ids, before, strict=True)) if new and new != old
    ]
    now = changed[-1] if changed else int(which) if which.isdecimal() else 0
    if not ids[now]:
        now = next((i for i, one in enumerate(ids) if one), now)
    return uploads[now], _BETWEEN.join([*ids, str(now)]), bool(changed)
