"""Read delimited text, whatever its delimiter, and GCT."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from functools import partial

import pandas as pd

from mtm_core.data.files.raw_table import BLANKS, RawTable, to_numbers
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.formats.gct_header import GctHeader, gct_version
from mtm_core.data.formats.gct_table import take_gct
from mtm_core.data.layout.numbers import read_numbers
from mtm_core.data.notes import Note, skipped_titles
from mtm_core.errors import InputFileError

_SPACES = r"\s+"
_DELIMITERS = {"\t": "tab", ";": "semicolon", ",": "comma", _SPACES: "space"}
"""In order of trust: a comma may be a decimal comma, and a space may be part of a name."""
_FORMATS = {"\t": "tsv", ";": "csv", ",": "csv", _SPACES: "txt"}
_N_SNIFFED = 20
_MOST_BREAKS = 50
"""Line breaks within one pair of quotes; with more, the quote is taken for a plain character."""
_OPEN_QUOTE = re.compile(r'(\A|[\t;, ])"[^"]*\Z')


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
    read = partial(
        pd.read_csv,
        sep=delimiter,
        header=None,
        skiprows=lines[0][0] + 1 + (gct.n_sample_rows if version else 0),
        keep_default_na=False,
        na_values=[""] if options.contents == "text" else list(BLANKS),
        low_memory=False,
    )
    try:
        cells = read(
            io.BytesIO(data),
            dtype=str if options.contents == "text" else {0: str},
            float_precision="round_trip",  # the others crash on 1e3000000000: see to_numbers
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        if "out of memory" in str(error):  # pandas' word for it
            raise MemoryError from error
        raise InputFileError(
            f"read as a table separated by {_DELIMITERS[delimiter]}s, the file cannot be parsed:"
            f" {str(error).removeprefix('Error tokenizing data. C error: ').strip()}. Check that "
            f"line: a quote may not be closed, or a cell may contain the delimiter."
        ) from error
    header, cells = _fit_header(header, cells)
    cells, notes = read_numbers(
        header,
        cells,
        options,
        lambda columns: read(io.BytesIO(data), usecols=list(columns), dtype=str),
    )
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
    """Return the first lines that are not blank, with their numbers from 0."""
    lines: list[tuple[int, str]] = []
    n_left = _N_SNIFFED
    for number, line in enumerate(_records(data)):
        text = line.rstrip("\r\n")
        if text.strip(" \t,;"):
            lines.append((number, text))
            n_left -= not text.startswith("#")
        if not n_left:
            break
    return lines


def _records(data: bytes) -> Iterator[str]:
    """Yield lines; those between which a quoted name is broken are given, and counted, as one."""
    lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    for line in lines:
        parts = [line]
        while _is_open("".join(parts)) and len(parts) <= _MOST_BREAKS:
            more = next(lines, None)
            if more is None:
                break
            parts.append(more)
        whole = "".join(parts)
        if _is_open(whole):
            yield from parts
        else:
            yield whole


def _is_open(line: str) -> bool:
    """Tell whether ``line`` ends within quotes."""
    if line.startswith("#") or line.count('"') % 2 == 0:
        return False
    return _OPEN_QUOTE.search(re.sub(r'"[^"]*"', "", line)) is not None


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
    """Return the delimiter that cuts the rows alike, and the header as them or one field shorter.

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
        "the lines do not have the same number of columns when split by tabs, commas, semicolons "
        "or spaces. The first is"
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
