"""Open a text file of whatever program: gzipped or not, with a byte order mark or without.

Every text file is opened here, or has its bytes go through :func:`as_utf8`. What a spreadsheet adds
is taken away: the byte order mark, of one or two bytes a letter, and line ends of carriage returns
alone.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from mtm_core.data.files.what_is_it import what_it_is
from mtm_core.errors import InputFileError

_READ_BYTES = 1 << 20
_LOOK_BYTES = 1 << 16
_UTF8_MARK = codecs.BOM_UTF8
_MARKS = (
    *((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32")),
    *((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)
"""Byte order marks of Excel's "Unicode text" and the like; UTF-32 begins as UTF-16 does."""
_MOST_ZEROS = 0.4
"""Share of every other byte of Latin text in two bytes a letter that is 0, at the least."""


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
    """Open a text file, gzipped or not, as UTF-8 without a byte order mark.

    Raises
    ------
    InputFileError
        On opening, if there is no such file; on reading, if its compression is damaged or ends
        early, or text of two bytes a letter is damaged.
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
                yield _plain(cast("io.BufferedReader", file), path)
        else:
            with path.open("rb", buffering=_READ_BYTES) as plain:
                yield _plain(cast("io.BufferedReader", plain), path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputFileError(
            f"{path.name}: the compressed file ends early or is damaged ({error})."
            " Download it again."
        ) from error


def encoding_of(start: bytes) -> tuple[str, int]:
    """Return the encoding that the first bytes of a text show, and the length of its mark.

    UTF-16 and UTF-32 read their marks themselves: their length is given as 0.
    """
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding, 0
    length = 0
    while start.startswith(_UTF8_MARK, length):  # some programs add one to the one that is there
        length += len(_UTF8_MARK)
    even, odd = start[0:4096:2], start[1:4096:2]
    if len(odd) > 1 and not length:
        zeros_odd, zeros_even = odd.count(0) / len(odd), even.count(0) / len(even)
        if zeros_odd > _MOST_ZEROS and not zeros_even:
            return "utf-16-le", 0
        if zeros_even > _MOST_ZEROS and not zeros_odd:
            return "utf-16-be", 0
    return "utf-8", length


def as_utf8(data: bytes) -> bytes:
    """Return text as UTF-8 without a byte order mark; what is not UTF-8 stays as it is.

    Raises
    ------
    InputFileError
        If text of two or four bytes a letter is damaged.
    """
    encoding, length = encoding_of(data[:_LOOK_BYTES])
    if encoding == "utf-8":
        return data[length:]
    try:
        return data.decode(encoding).lstrip("\ufeff").encode()
    except UnicodeDecodeError as error:
        raise InputFileError(f"the {encoding.upper()} text is damaged: {error}") from error


def not_utf8(path: Path, error: UnicodeDecodeError) -> InputFileError:
    """Return the error of a text that is not UTF-8, or that is no text at all."""
    kind = what_it_is(path)
    if not error.encoding.startswith("utf-8"):
        return InputFileError(
            f"{path.name}: expected UTF-8 text, got a binary file or damaged UTF-16 text."
        )
    if kind.startswith("text") or kind == "a gzip file":
        return InputFileError(
            f"{path.name}: expected UTF-8 text, got the byte {error.object[error.start]:#x}. Save"
            " it as UTF-8."
        )
    return InputFileError(f"{path.name}: expected text, got {kind}.")


def _plain(file: io.BufferedReader, path: Path) -> IO[bytes]:
    """Return ``file`` from after its mark; recoded where it is not UTF-8 with line feeds."""
    start = file.peek(_LOOK_BYTES)[:_LOOK_BYTES]
    encoding, length = encoding_of(start)
    old_mac = encoding == "utf-8" and b"\r" in start[:-1] and b"\n" not in start
    if encoding == "utf-8" and not old_mac:
        file.read(length)
        return file
    file.read(length)
    return cast("IO[bytes]", io.BufferedReader(_Recoded(file, encoding, path), _READ_BYTES))


class _Recoded(io.RawIOBase):
    """The text of a file as UTF-8 with line feeds, recoded as it is read."""

    def __init__(self, file: io.BufferedReader, encoding: str, path: Path) -> None:
        self._file, self._path = file, path
        decoder = codecs.getincrementaldecoder(encoding)()
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        self._left = b""

    def readable(self) -> bool:
        """Say so to the buffer around this."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as there is text."""
        while not self._left:
            read = self._file.read(_READ_BYTES)
            try:
                self._left = self._decoder.decode(read, final=not read).encode()
            except UnicodeDecodeError as error:
                raise not_utf8(self._path, error) from error
            if not read:
                break
        n = min(len(buffer), len(self._left))
        buffer[:n] = self._left[:n]
        self._left = self._left[n:]
        return n
