"""Several files as one: a zip that a user gives, or that is made here of files given one by one.

A zip is looked at before anything in it is read: how many members, how large, where they would
lie. Nothing is ever unpacked to disk.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from mtm_core.data.files.raw_table import too_large
from mtm_core.data.notes import name_some
from mtm_core.errors import InputFileError

ZIP = b"PK\x03\x04"
"""First bytes of a zip file."""
MAX_MEMBERS = 10_000
_ONE_BY_ONE = b"mtm: files that were given one by one"
_TRANSCRIPTS = b"mtm: transcripts and their genes"
_DATE = (1980, 1, 1, 0, 0, 0)
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, LookupError, ValueError, RuntimeError)


@dataclass(frozen=True)
class NamedFile:
    """The bytes of a file under its name, with its folder where that is known.

    Attributes
    ----------
    is_transcript_table
        Whether it was given as the table of transcripts and their genes.
    apart
        Whether somebody named it beside a zip that was given too.
    """

    path: str
    data: bytes
    is_transcript_table: bool = False
    apart: bool = False


@dataclass(frozen=True)
class Archive:
    """Contents of a zip file.

    Attributes
    ----------
    files
        In the order of the zip.
    one_by_one
        Whether somebody named each of the files: then none may be left out.
    """

    files: tuple[NamedFile, ...]
    one_by_one: bool


def pack(files: Sequence[NamedFile], *, one_by_one: bool = True) -> bytes:
    """Put files into a zip, so that they go the way of one; the same files give the same bytes.

    Raises
    ------
    InputFileError
        If two have the same name.
    """
    n_of = Counter(file.path for file in files)
    twice = sorted(name for name, n in n_of.items() if n > 1)
    if twice:
        raise InputFileError(
            f"{name_some(twice, 3)} is given more than once. Name each file once; where samples"
            " have files of one name, give their folders, or a zip of them."
        )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = _ONE_BY_ONE if one_by_one else b""
        for file in files:
            entry = zipfile.ZipInfo(file.path, _DATE)
            entry.comment = _TRANSCRIPTS if file.is_transcript_table else b""
            archive.writestr(entry, file.data)
    return packed.getvalue()


def is_workbook(data: bytes) -> bool:
    """Tell a zip that is a workbook (or a damaged one) from other zips."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except _DAMAGE:
        return b"xl/" in data[:4096] or b"[Content_Types].xml" in data[:4096]
    return "content.xml" in names or any(name.startswith("xl/") for name in names)


def unpack(data: bytes, max_bytes: int) -> Archive:
    """Read the files of a zip; what systems add to it is passed over.

    Raises
    ------
    InputFileError
        If the zip is damaged, has a password, holds too much or nothing, or names a place outside.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [
                member
                for member in archive.infolist()
                if not member.is_dir() and not _of_system(member.filename)
            ]
            _check(members, max_bytes)
            files = tuple(
                NamedFile(
                    member.filename,
                    _read(archive, member),
                    member.comment == _TRANSCRIPTS,
                )
                for member in members
            )
            one_by_one = archive.comment == _ONE_BY_ONE
    except _DAMAGE as error:
        raise InputFileError(
            f"the zip archive is damaged, or packed in a way that cannot be read ({error}). Make it"
            " again."
        ) from error
    return _opened(Archive(files, one_by_one), max_bytes)


def _opened(given: Archive, max_bytes: int) -> Archive:
    """Return the members of zips among files that somebody named, such as one beside a table.

    A zip within a zip that somebody made is left closed.
    """
    zips = [f for f in given.files if f.data.startswith(ZIP) and not is_workbook(f.data)]
    if not given.one_by_one or not zips:
        return given
    left = max_bytes - sum(len(file.data) for file in given.files)
    found = [replace(file, apart=True) for file in given.files if file not in zips]
    for file in zips:
        inside = unpack(file.data, left).files
        left -= sum(len(member.data) for member in inside)
        folder = f"{PurePosixPath(file.path).stem}/" if len(zips) > 1 else ""
        found += [replace(member, path=folder + member.path) for member in inside]
    return Archive(tuple(found), one_by_one=False)


def _of_system(name: str) -> bool:
    """Tell files that systems put into a zip, and nobody means to give."""
    path = PurePosixPath(name)
    return path.parts[:1] == ("__MACOSX",) or path.name.startswith(".") or path.name == "Thumbs.db"


def _check(members: Sequence[zipfile.ZipInfo], max_bytes: int) -> None:
    if not members:
        raise InputFileError("the zip archive is empty. Expected a table, or files of samples.")
    if len(members) > MAX_MEMBERS:
        raise InputFileError(
            f"the zip archive holds {len(members):,} files; at most {MAX_MEMBERS:,} are read. Put"
            " only the samples' files into it."
        )
    if any(member.flag_bits & 1 for member in members):
        raise InputFileError("the zip archive has a password. Make it without one.")
    if sum(member.file_size for member in members) > max_bytes:
        raise too_large("the unpacked zip archive", max_bytes)
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename[:3]:
            raise InputFileError(
                f"the zip archive names a place outside itself, {member.filename!r}. Make it again"
                " with files only."
            )
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputFileError(f"the zip archive holds {twice!r} more than once. Make it again.")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return file.read(member.file_size + 1)
