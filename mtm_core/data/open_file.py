"""Open a file that may be gzipped, whatever its name."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from mtm_core.errors import InputFileError

_READ_BYTES = 1 << 20


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open a text file, gzipped or not, by its first bytes rather than by its name.

    Raises
    ------
    InputFileError
        As :func:`open_bytes`; on reading, if it is not UTF-8.
    """
    try:
        with open_bytes(path) as file, io.TextIOWrapper(file, encoding="utf-8") as text:
            yield text
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, gzipped or not, by its first bytes.

    Raises
    ------
    InputFileError
        On opening, if there is no such file; on reading, if its compression is damaged or ends
        early.
    """
    try:
        with path.open("rb") as raw:
            gzipped = raw.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise InputFileError(f"cannot open {path}: {error.strerror or error}") from error
    try:
        if gzipped:
            # Its own buffer is 8 KB, and a line of GTEx 130.
            with io.BufferedReader(gzip.open(path), _READ_BYTES) as file:
                yield cast("IO[bytes]", file)
        else:
            with path.open("rb", buffering=_READ_BYTES) as plain:
                yield plain
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputFileError(
            f"{path.name}: the compressed file ends early or is damaged ({error})."
            " Download it again."
        ) from error


def not_utf8(path: Path, error: UnicodeDecodeError) -> InputFileError:
    """Give the error of a text that is not UTF-8."""
    return InputFileError(f"{path.name}: expected UTF-8 text, got {error}")
