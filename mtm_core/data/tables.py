"""Read any table a user may upload into plain cells, without yet asking what they mean.

The format is told by the file's first bytes, never by its name. Nothing here runs code from the
file, and nothing grows past a cap when it is decompressed.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from mtm_core.data.binary_table import read_parquet
from mtm_core.data.h5ad_table import read_h5ad
from mtm_core.data.long_table import lay_out
from mtm_core.data.numbers import read_numbers
from mtm_core.data.open_file import as_utf8
from mtm_core.data.raw_table import MAX_BYTES, RawTable, too_large
from mtm_core.data.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.text_table import read_text
from mtm_core.data.workbook import read_xlsx
from mtm_core.errors import InputFileError

_BINARY_READERS: dict[bytes, Callable[[bytes, int, ReadingOptions], RawTable]] = {
    b"PK\x03\x04": read_xlsx,
    b"PAR1": read_parquet,
    b"\x89HDF\r\n\x1a\n": read_h5ad,
}
BINARY_MAGICS = tuple(_BINARY_READERS)
"""What files of the binary formats start with."""
_NO_TABLES = (
    (b"%pdf", "a PDF", "Save the table in it as csv or xlsx."),
    (b"<?xml", "XML", "Save the table as csv or xlsx."),
    (b"<", "a web page", "Open it to see what the download said, and download again."),
    (b"{", "JSON", "Save the table as csv."),
    (b"[", "JSON", "Save the table as csv."),
    (b"##fileformat=vcf", "variants (VCF)", "Give expression by gene."),
    (b"!", "a GEO matrix", "Take out the lines that start with '!'."),
    (b">", "sequences (FASTA)", "Give expression by gene."),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)", "Save it as xlsx or csv."),
    (b"rdx", "R data", "Save the table with write.csv."),
    (b"bzh", "compressed with bzip2", "Compress it with gzip."),
    (b"\xfd7zxz", "compressed with xz", "Compress it with gzip."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Compress it with gzip."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it, or compress with gzip."),
    (b"rar!", "a rar archive", "Unpack it, or compress with gzip."),
    (b"\x1f\x8b", "compressed twice", "Decompress it once."),
)
Source = str | os.PathLike[str] | IO[bytes]
"""A file: where it is, or itself, open."""


def name_of(source: Source, otherwise: str) -> str:
    """Give a file's name for messages, ``otherwise`` where it has none."""
    if isinstance(source, str | os.PathLike):
        return Path(source).name
    return Path(str(getattr(source, "name", otherwise))).name


def read_bytes(source: Source, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a file whole.

    Raises
    ------
    InputFileError
        If it cannot be opened, is empty, or is larger than ``max_bytes``.
    """
    try:
        if isinstance(source, str | os.PathLike):
            with Path(source).open("rb") as file:
                data = file.read(max_bytes + 1)
        else:
            data = source.read(max_bytes + 1)
    except OSError as error:
        raise InputFileError(f"cannot open {source}: {error.strerror or error}") from error
    if len(data) > max_bytes:
        raise too_large("the file", max_bytes)
    if not data.strip():
        raise _empty("the file")
    return data


def read_table(
    data: bytes, max_bytes: int = MAX_BYTES, options: ReadingOptions = AS_IT_LIES
) -> RawTable:
    """Read the bytes of a file as a table, whatever of the known formats they are.

    ``options`` decides where a file can be read in more than one way.

    Raises
    ------
    InputFileError
        If they are none, damaged, or larger than ``max_bytes`` when decompressed.
    """
    gzipped = data.startswith(b"\x1f\x8b")
    if gzipped:
        data = _gunzip(data, max_bytes)
        if not data.strip():
            raise _empty("the gzip file")
    for magic, read in _BINARY_READERS.items():
        if data.startswith(magic):
            table = read(data, max_bytes, options)
            cells, notes = read_numbers(table.header, table.cells, options)
            table = replace(table, cells=cells, notes=(*table.notes, *notes))
            break
    else:
        table = read_text(_checked_text(data), options)
    if options.contents == "expression":
        table = lay_out(table, options)
    return replace(table, format=table.format + ".gz") if gzipped else table


def _empty(what: str) -> InputFileError:
    return InputFileError(f"{what} is empty. Expected a table of genes and samples.")


def _gunzip(data: bytes, max_bytes: int) -> bytes:
    """Decompress all members of a gzip file, as far as ``max_bytes``."""
    parts, size, rest = [], 0, data
    while rest.startswith(b"\x1f\x8b"):
        member = zlib.decompressobj(wbits=31)
        try:
            parts.append(member.decompress(rest, max_bytes - size + 1))
        except zlib.error as error:
            raise InputFileError(f"the gzip file is damaged ({error}). Make it again.") from error
        size += len(parts[-1])
        if size > max_bytes:
            raise too_large("the decompressed file", max_bytes)
        if not member.eof:
            raise InputFileError("the gzip file ends early. Upload it again, whole.")
        rest = member.unused_data
    return b"".join(parts)


def _checked_text(data: bytes) -> bytes:
    """Give text as UTF-8 without a byte order mark; refuse what is no text."""
    data = as_utf8(data)
    if b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e" in data[:1_000_000]:
        raise InputFileError("the workbook has a password. Save it without one, as xlsx or csv.")
    if data[257:262] == b"ustar":
        raise InputFileError("the file is a tar archive. Unpack it, and give the table in it.")
    start = data[:4096].lstrip()
    for magic, kind, next_step in _NO_TABLES:
        if start.lower().startswith(magic):
            raise InputFileError(f"the file is {kind}, not a table. {next_step}")
    if b"\0" in start or sum(byte < 32 and byte not in b"\t\n\r\f" for byte in start) > 4:
        raise InputFileError(
            "the file is binary and none of the formats that are read: csv, tsv, txt, gct (also"
            " gzipped), xlsx, parquet, h5ad. Save the table as one of these."
        )
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace").encode()
    return data
