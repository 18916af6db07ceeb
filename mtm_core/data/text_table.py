"""Read delimited text, whatever its delimiter, and GCT."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mtm_core.data.gct_header import GctHeader, gct_version
from mtm_core.data.gct_table import take_gct
from mtm_core.data.raw_table import BLANKS, RawTable, is_text, to_numbers, with_columns
from mtm_core.data.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.report import Note, skipped_titles
from mtm_core.errors import InputFileError

_SPACES = r"\s+"
_DELIMITERS = {"\t": "tab", ";": "semicolon", ",": "comma", _SPACES: "space"}
"""In order of trust: a comma may be a decimal comma, and a space may be part of a name."""
_FORMATS = {"\t": "tsv", ";": "csv", ",": "csv", _SPACES: "txt"}
_N_SNIFFED = 20
_DECIMAL_COMMA = r"\s*[-+]?\d+(,\d+)?([eE][-+]?\d+)?\s*"
_THOUSANDS = r"\s*[-+]?\d{1,3}(,\d{3})+\s*"


def read_text(data: bytes, options: ReadingOptions = AS_IT_LIES) -> RawTable:
    """Read delimited text or GCT."""
    lines = _first_lines(data)
    version = gct_version(lines[0][1]) if lines else ""
    sizes = lines[1][1] if version and len(lines) > 1 else ""
    if version:
        lines = lines[2:]
    lines = lines[_n_comments(lines) :]
    lines, titles = (lines, ()) if version else _skip_titles(lines)
    if len(lines) < 2:
        raise InputFileError("the table has a header and no rows below it.")
    delimiter = "\t" if version and "\t" in lines[0][1] else _sniff([line for _, line in lines])
    header = _split(lines[0][1], delimiter)
    if version:
        while len(header) > 1 and not header[-1]:
            header.pop()
        gct = GctHeader.of(version, _split(sizes, delimiter), header)
    try:
        cells = pd.read_csv(
            io.BytesIO(data),
            sep=delimiter,
            header=None,
            skiprows=lines[0][0] + 1 + (gct.n_sample_rows if version else 0),
            dtype={0: str},
            keep_default_na=False,
            na_values=list(BLANKS),
            low_memory=False,
            float_precision="round_trip",  # the others crash on 1e3000000000: see to_numbers
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputFileError(
            f"read as a table separated by {_DELIMITERS[delimiter]}s, the file cannot be parsed:"
            f" {str(error).removeprefix('Error tokenizing data. C error: ').strip()}. Look at that"
            " line: a quote may lack its partner, or a cell may hold the delimiter."
        ) from error
    header, cells = _fit_header(header, cells)
    cells, notes = _read_decimal_commas(cells)
    if version:
        whole = data.endswith((b"\n", b"\r"))
        header, cells, titles = take_gct(gct, cells, whole=whole)
    return RawTable(
        tuple(header),
        cells,
        format="gct" if version else _FORMATS[delimiter],
        delimiter=_DELIMITERS[delimiter],
        notes=(*titles, *notes),
    )


def _first_lines(data: bytes) -> list[tuple[int, str]]:
    """Give the first lines that are not blank, with their numbers from 0."""
    lines: list[tuple[int, str]] = []
    n_left = _N_SNIFFED
    for number, line in enumerate(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")):
        text = line.rstrip("\r\n")
        if text.strip(" \t,;"):
            lines.append((number, text))
            n_left -= not text.startswith("#")
        if not n_left:
            break
    return lines


def _n_comments(lines: Sequence[tuple[int, str]]) -> int:
    """Count the lines above the header that start with '#'."""
    n = 0
    while n + 1 < len(lines) and lines[n][1].startswith("#") and not _is_header(lines[n : n + 2]):
        n += 1
    return n


def _skip_titles(
    lines: list[tuple[int, str]],
) -> tuple[list[tuple[int, str]], tuple[Note, ...]]:
    """Leave out titles: lines of one filled field above the first of several, which is no row."""
    filled = [_filled_fields(line) for _, line in lines]
    n_titles = next((i for i, fields in enumerate(filled) if len(fields) > 1), 0)
    # R's header of a single column is one field too: its rows are two.
    if (
        n_titles
        and len(filled[n_titles]) > 2
        and to_numbers(pd.Series(filled[n_titles][1:], dtype=object)).isna().all()
    ):
        return lines[n_titles:], (skipped_titles(n_titles),)
    return lines, ()


def _filled_fields(line: str) -> list[str]:
    delimiter = next((delimiter for delimiter in "\t;," if delimiter in line), "\t")
    return [field for field in _split(line, delimiter) if field]


def _is_header(lines: Sequence[tuple[int, str]]) -> bool:
    """Tell whether a first line that starts with '#' has as many fields as the line below it."""
    return any(
        _n_fields(lines[0][1], delimiter) == _n_fields(lines[1][1], delimiter) > 1
        for delimiter in ("\t", ";", ",")
    )


def _n_fields(line: str, delimiter: str) -> int:
    """Count fields; not with ``csv``, which refuses the long fields of a wrong delimiter."""
    bare = re.sub(r'"[^"]*"', "_", line)
    return len(bare.split()) if delimiter == _SPACES else bare.count(delimiter) + 1


def _split(line: str, delimiter: str) -> list[str]:
    separator = " " if delimiter == _SPACES else delimiter
    line = re.sub(r"\s+", " ", line.strip()) if delimiter == _SPACES else line
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=separator))]
    except csv.Error as error:
        raise InputFileError(f"the header cannot be parsed: {error}.") from error


def _sniff(lines: Sequence[str]) -> str:
    """Give the delimiter that cuts the rows alike, and the header as them or one field shorter.

    Some programs end lines with delimiters: if nothing else cuts the rows, those do not count.
    """
    for ends in ("", "\t;, "):
        for delimiter in _DELIMITERS:
            header, *rows = (
                _n_fields(line.rstrip(ends) if ends else line, delimiter) for line in lines
            )
            usual = max(set(rows), key=rows.count)
            if usual > 1 and rows.count(usual) > len(rows) / 2 and abs(header - usual) <= 1:
                return delimiter
    raise InputFileError(
        "the lines are not cut alike by tabs, commas, semicolons or spaces. The first is"
        f" {lines[0][:60]!r}, the second {lines[1][:60]!r}. Save the table as csv or tsv."
    )


def _fit_header(header: list[str], cells: pd.DataFrame) -> tuple[list[str], pd.DataFrame]:
    """Bring names and columns to one length.

    R's ``write.table`` gives no name to the column of row names; some programs end lines with a
    delimiter.
    """
    blank = cells.isna().all().tolist()
    while len(header) < len(blank) and blank[-1]:
        blank.pop()
    while len(header) > len(blank) and not header[-1]:
        header = header[:-1]
    while len(header) == len(blank) and not header[-1] and blank[-1]:
        header, blank = header[:-1], blank[:-1]
    width = len(blank)
    cells = cells.iloc[:, :width]
    if len(header) == width - 1:
        return ["", *header], cells
    if len(header) != width:
        raise InputFileError(
            f"the header has {len(header)} columns, the rows have {width}. The header starts with"
            f" {header[:3]}, the first row with {cells.iloc[0, :3].tolist()}."
        )
    return header, cells


def _read_decimal_commas(cells: pd.DataFrame) -> tuple[pd.DataFrame, tuple[Note, ...]]:
    """Read '1,5' as 1.5 where that is the only reading."""
    columns = np.array([name for name in cells.columns[1:] if is_text(cells[name])], dtype=np.int64)
    # All columns at once: one by one takes minutes for a row of 20,000 genes.
    text = cells[columns].to_numpy(dtype=object)
    has_comma = _tell(text, ",")
    may_be = has_comma.any(axis=0)
    columns, text, has_comma = columns[may_be], text[:, may_be], has_comma[:, may_be]
    blank = pd.isna(text)
    is_decimal = _tell(text, rf"\A({_DECIMAL_COMMA})\z")
    is_thousands = _tell(text, rf"\A({_THOUSANDS})\z")
    found = (is_decimal | blank).all(axis=0)
    unclear = (is_decimal | is_thousands | blank).all(axis=0) & ~found
    for column in np.flatnonzero(unclear)[:1]:
        raise _thousands(text[has_comma[:, column], column][0])
    if not found.any():
        return cells, ()
    columns, text, has_comma = columns[found], text[:, found], has_comma[:, found]
    with_comma = text.T[has_comma.T]
    if is_thousands[:, found][has_comma].all():
        raise _thousands(with_comma[0])
    numbers = to_numbers(pd.Series(text.ravel(), dtype=object).str.replace(",", "."))
    cells = with_columns(
        cells, pd.DataFrame(numbers.to_numpy().reshape(text.shape), cells.index, columns)
    )
    return cells, (
        Note(
            "warning",
            f"{len(columns)} columns have decimal commas, such as {with_comma[0]!r}.",
            "They were read as decimal points.",
        ),
    )


def _tell(text: NDArray[np.object_], pattern: str) -> NDArray[np.bool_]:
    """Tell in which cells ``pattern`` (RE2) is found, (rows, columns) as ``text``; not in blanks.

    Arrow searches two million cells in half a second, Python's ``re`` in two.
    """
    written = pa.array(text.ravel(), pa.large_string(), from_pandas=True)
    found = pc.match_substring_regex(written, pattern).fill_null(False)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_).reshape(text.shape)


def _thousands(example: str) -> InputFileError:
    return InputFileError(
        f"{example!r} may be a number with a thousands separator or with a decimal comma. Save the"
        " table without thousands separators and with decimal points."
    )
