"""The bytes of a file as text of a table: decompressed, in UTF-8, and no other kind of file."""

from __future__ import annotations

import zlib

from mtm_core.data.files.open_file import as_utf8
from mtm_core.data.files.raw_table import too_large
from mtm_core.errors import InputFileError

GZIP = b"\x1f\x8b"
"""First bytes of a gzip file."""
_PIECE = 1 << 18
"""Bytes that are decompressed at once."""
_NO_TABLES = (
    (b"%pdf", "a PDF", "Save the table in it as csv or xlsx."),
    (b"<?xml", "XML", "Save the table as csv or xlsx."),
    (b"<", "a web page", "Open it to see the message of the download page, and download again."),
    (b"{", "JSON", "Save the table as csv."),
    (b"[", "JSON", "Save the table as csv."),
    (b"##fileformat=vcf", "variants (VCF)", "Provide expression by gene."),
    (b"!", "a GEO matrix", "Remove the lines that start with '!'."),
    (b">", "sequences (FASTA)", "Provide expression by gene."),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)", "Save it as xlsx or csv."),
    (b"rdx", "R data", "Save the table with write.csv."),
    (b"bzh", "compressed with bzip2", "Compress it with gzip."),
    (b"\xfd7zxz", "compressed with xz", "Compress it with gzip."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Compress it with gzip."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it, or compress with gzip."),
    (b"rar!", "a rar archive", "Unpack it, or compress with gzip."),
    (b"\x1f\x8b", "compressed twice", "Decompress it once."),
)


def gunzip(data: bytes, max_bytes: int) -> bytes:
    """Decompress all members of a gzip file, as far as ``max_bytes``."""
    parts, size, at, view = [], 0, 0, memoryview(data)
    while data.startswith(GZIP, at):
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            # A piece at a time: what follows a member is copied, and bgzip writes thousands.
            piece = view[at : at + _PIECE]
            if not piece:
                raise InputFileError("the gzip file ends early. Upload it again, whole.")
            try:
                parts.append(member.decompress(piece, max_bytes - size + 1))
            except zlib.error as error:
                raise InputFileError(
                    f"the gzip file is damaged ({error}). Make it again."
                ) from error
            size += len(parts[-1])
            if size > max_bytes:
                raise too_large("the decompressed file", max_bytes)
            at += len(piece) - len(member.unused_data)
    return b"".join(parts)


def checked_text(data: bytes) -> bytes:
    """Return text as UTF-8 without a byte order mark; refuse what is no text."""
    data = as_utf8(data)
    if b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e" in data[:1_000_000]:
        raise InputFileError("the workbook has a password. Save it without one, as xlsx or csv.")
    if data[257:262] == b"ustar":
        raise InputFileError("the file is a tar archive. Unpack it, and use the table in it.")
    start = data[:4096].lstrip()
    for magic, kind, next_step in _NO_TABLES:
        if start.lower().startswith(magic):
            raise InputFileError(f"the file is {kind}, not a table. {next_step}")
    if b"\0" in start or sum(byte < 32 and byte not in b"\t\n\r\f" for byte in start) > 4:
        raise InputFileError(
            "the file is binary and not in a supported format: csv, tsv, txt, gct (also "
            "gzipped), xlsx, parquet, h5ad, loom. Save the table as one of these."
        )
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace").encode()
    return data
