"""Open a store of zarr, where nothing in it leads out of it.

It is a folder, which may hold links, and one of zarr's codecs unpickles what it reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zarr

from mtm_core.errors import InputFileError

_CODECS = {
    # zarr's second format names them so, the third may put "numcodecs." before
    *("blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma"),
    *("shuffle", "delta", "fixedscaleoffset", "quantize", "bitround", "packbits", "astype"),
    *("crc32", "crc32c", "adler32", "fletcher32", "jenkins_lookup3"),
    *("vlen-utf8", "vlen-bytes", "vlen-array", "bytes", "transpose", "sharding_indexed"),
}
"""Codecs that return bytes or numbers and never run what they read. "pickle" is not among them."""


def open_zarr(path: Path) -> zarr.Group:
    """Open a store of zarr to read, where nothing in it leads out of it.

    Raises
    ------
    InputFileError
        If a link is in it, or an array needs a codec that may run what it reads.
    """
    for entry in _entries(path):
        if entry.is_symlink():
            raise InputFileError(f"{path}: {entry.name!r} is a link. Expected files and folders.")
    group = zarr.open_group(path, mode="r", use_consolidated=False)
    for name, member in group.members(max_depth=None):
        if isinstance(member, zarr.Array):
            codecs = set(_codecs(member.metadata.to_dict())) - _CODECS
            if codecs:
                raise InputFileError(
                    f"{path}: {name!r} is stored by {sorted(codecs)[0]!r}, which is not "
                    f"supported. Expected one of zarr's own codecs."
                )
    return group


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))


def _codecs(metadata: Any) -> Iterator[str]:  # noqa: ANN401 - whatever JSON holds
    """Yield the names of all codecs in an array's metadata, also of those within others."""
    steps = [metadata.get(key) or () for key in ("filters", "compressor", "codecs")]
    steps += [metadata.get("index_codecs") or ()]
    for step in steps:
        for codec in (step,) if isinstance(step, dict) else step:
            name = codec.get("id") or codec.get("name")
            yield str(name).removeprefix("numcodecs.")
            yield from _codecs(codec.get("configuration") or {})
