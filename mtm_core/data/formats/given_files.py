"""A user's input (one file, several, or a folder of them) as the bytes of one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mtm_core.data.files.archive import MAX_MEMBERS, NamedFile, pack
from mtm_core.data.files.raw_table import MAX_BYTES, too_large
from mtm_core.data.formats.tables import read_bytes
from mtm_core.errors import InputFileError

_STORES = (".zgroup", ".zattrs", ".zmetadata", "zarr.json")


def is_store(path: Path) -> bool:
    """Tell a folder that is a table itself, of zarr or of parts of parquet, from one of files."""
    return path.is_dir() and (
        any((path / name).exists() for name in _STORES) or any(path.glob("*.parquet"))
    )


def gather(
    paths: Sequence[Path], transcripts: Path | None = None, max_bytes: int = MAX_BYTES
) -> tuple[bytes, str]:
    """Return the bytes of the files, as a zip where they are several, and a name for them.

    Parameters
    ----------
    paths
        Files, and folders of files of one sample each.
    transcripts
        Table of transcripts and their genes.
    max_bytes
        Cap on the size of all.

    Raises
    ------
    InputFileError
        If a file is named twice or cannot be read, a folder is empty, or they are too large.
    """
    if not paths:
        raise InputFileError("no file is given. Expected a table, or files of one sample each.")
    files = [(path, path) for path in paths if not path.is_dir()]
    folders = [path for path in paths if path.is_dir()]
    for folder in folders:
        inside = sorted(path for path in folder.rglob("*") if _counts(path, folder))
        if not inside:
            raise InputFileError(f"{folder}: the folder holds no file.")
        files += [(folder, path) for path in inside]
    if len(files) > MAX_MEMBERS:
        raise InputFileError(
            f"{len(files):,} files are given; at most {MAX_MEMBERS:,} are read at once."
        )
    if len(files) == 1 and transcripts is None:
        (_, path) = files[0]
        return read_bytes(path, max_bytes), path.name
    resolved = [path.resolve() for _, path in files]
    base = Path(os.path.commonpath([path.parent for path in resolved])).parent
    left = max_bytes
    named = []
    for path in resolved:
        data = _read(path, left)
        left -= len(data)
        named.append(NamedFile(path.relative_to(base).as_posix(), data))
    if transcripts is not None:
        data = _read(transcripts, left)
        named.append(NamedFile(f"transcripts/{transcripts.name}", data, is_transcript_table=True))
    if len(paths) > 1 or not folders:
        name = f"{len(files)} files" if len(files) > 1 else resolved[0].name
    else:
        name = folders[0].resolve().name
    return pack(named, one_by_one=not folders), name


def name_with_folder(path: Path) -> str:
    """Return the name of a file with its folder's, which may be the sample's."""
    return "/".join(path.resolve().parts[-2:])


def _counts(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden and not path.is_symlink()


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise InputFileError(f"cannot open {path}: {error.strerror or error}") from error
    if len(data) > max_bytes:
        raise too_large("what is given", MAX_BYTES if max_bytes > MAX_BYTES else max_bytes)
    return data
