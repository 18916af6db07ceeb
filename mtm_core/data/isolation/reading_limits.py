"""Limits of a server on uploads: the size of a table, and the memory and time to read it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mtm_core.errors import InputFileError

MAX_CELLS = 50_000_000
"""Cells of the largest table a server reads: 2,500 samples of 20,000 genes, 0.4 GB and copies."""
MAX_WORDS = 10_000_000
"""Limit of cells that hold no number: each is examined again, in some 4 microseconds."""
MAX_NAMES = 500_000
"""Limit of rows or columns: each is looked up among gene ids, in some 20 microseconds."""

SECONDS = 120
"""The most that reading may take. A workbook of 10 million cells takes about a minute."""
_SECONDS_AT_LEAST, _SECONDS_A_MEGABYTE, _SECONDS_UNPACKED = 15, 5, 0.3
"""Processor time allowed: a megabyte of csv takes 0.1, of gzip or xlsx 1, on a quiet machine."""

_MEGABYTE = 1_000_000
MOST_MEMORY = 4 * 1024**3
"""Memory of a reading process, beside Python and its libraries: ``MAX_CELLS`` take half of it."""
_MEMORY_AT_LEAST = 384 * _MEGABYTE
_COPIES, _COPIES_PACKED = 10, 40
"""Memory to begin with, as multiples of the file: numbers and their copies, and what is packed."""
_GZIP = b"\x1f\x8b"
_TIGHTEST_GZIP = 1032
_PACKED = (_GZIP, b"PK", b"PAR1", b"\x89HDF")


def check_size(cells: pd.DataFrame) -> None:
    """Refuse a table that a server does not take up.

    Raises
    ------
    InputFileError
        If it has too many cells, rows or columns, or too many cells of text.
    """
    rows, columns = cells.shape
    if rows * columns > MAX_CELLS or max(rows, columns) > MAX_NAMES:
        raise InputFileError(
            f"the table has {rows:,} rows and {columns:,} columns. A server accepts at most "
            f"{MAX_CELLS:,} cells, and {MAX_NAMES:,} rows or columns. Split the samples over"
            " several files, keep only the model's genes, or use the command line: mtm predict"
            " (docs/scale.md)."
        )
    words = rows * len(cells.select_dtypes(object).columns)
    if words > MAX_WORDS:
        raise InputFileError(
            f"{words:,} cells of the table are in columns that hold text: expected numbers. "
            f"Remove columns that are not expression; a server accepts at most {MAX_WORDS:,}."
        )


def processor_seconds(files: Sequence[tuple[str, bytes]]) -> int:
    """Return the time of a processor that reading ``files`` may take: more for larger ones."""
    size = sum(len(data) for _, data in files) / _MEGABYTE
    unpacked = sum(_unpacked(data) for _, data in files) / _MEGABYTE
    seconds = _SECONDS_AT_LEAST + _SECONDS_A_MEGABYTE * size + _SECONDS_UNPACKED * unpacked
    return int(min(SECONDS, seconds))


def memory_to_begin_with(files: Sequence[tuple[str, bytes]]) -> int:
    """Get the memory that reading ``files`` may take at first; where it falls short, the most."""
    copies = sum(
        max(
            len(data) * (_COPIES_PACKED if data.startswith(_PACKED) else _COPIES),
            _unpacked(data) * _COPIES,
        )
        for _, data in files
    )
    return min(MOST_MEMORY, _MEMORY_AT_LEAST + copies)


def _unpacked(data: bytes) -> int:
    """Return the size that gzip says it unpacks to, as far as that can be."""
    if not data.startswith(_GZIP):
        return 0
    return min(int.from_bytes(data[-4:], "little"), len(data) * _TIGHTEST_GZIP)
