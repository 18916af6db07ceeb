"""Read one sheet of an Excel workbook: the one that was asked for, or the first with expression."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import openpyxl
import pandas as pd

from mtm_core.data.files.raw_table import BLANKS, RawTable, too_large
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.formats.workbook_view import describe_view
from mtm_core.data.genes.ids import is_ensembl
from mtm_core.data.genes.names import genes_named
from mtm_core.data.layout.orientation import GenesInRows, find_layout
from mtm_core.data.notes import Choice, Note, counted, name_some, skipped_titles, they_were
from mtm_core.errors import ExpressionError, InputFileError

_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, SyntaxError, LookupError, ValueError),
    *(TypeError, AttributeError, RuntimeError, ArithmeticError, AssertionError),
)
"""Exceptions of zipfile and openpyxl on damaged files."""
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384
"""Size limits of a sheet, in Excel."""
_MOST_CELLS = 30_000_000
"""Cells of the largest sheet that is read, empty ones before filled ones counted: three minutes."""
_MOST_SHEETS = 1_000
_MOST_OF_PART = 4_000_000
"""Bytes of styles, of the list of sheets and the like, unpacked."""
_TIGHTEST = 100
"""Times that cells are packed together at most: those of a table some ten times."""
_MOST_TITLES = 20
_N_LOOKED_AT = 50
_LEAST_GENES = 20
_NO_TABLE, _WORDS, _NUMBERS, _EXPRESSION = range(4)
Row = tuple[object, ...]


def read_xlsx(data: bytes, max_bytes: int, options: ReadingOptions = AS_IT_LIES) -> RawTable:
    """Read a worksheet of an Excel workbook.

    Sheets are looked at in order, hidden ones last: the first that holds expression is read, else
    the first with numbers, else the first with a table.

    Raises
    ------
    InputFileError
        If the workbook is damaged, holds no table, or lacks the sheet that ``options`` name.
    """
    sheets = _open(data, max_bytes)
    titles = [sheet.title for sheet in sheets]
    if options.sheet:
        sheets = [sheets[_position(options.sheet, titles)]]
    best: tuple[int, RawTable | None, Any] = (-1, None, None)
    passed: list[str] = []
    for sheet in sheets:
        table = _as_table(_rows(sheet), options)
        kind = _kind(table, options)
        if kind > best[0] and table is not None:
            best = kind, table, sheet
        if kind == _EXPRESSION:
            break
        passed.append(sheet.title)
    _, table, read = best
    if table is None:
        where = f"the sheet {options.sheet!r}" if options.sheet else "the workbook"
        raise InputFileError(
            f"{where} has no cells. Its sheets: {name_some(titles)}."
            if len(titles) > 1
            else f"{where} has no cells."
        )
    table = replace(table, notes=(*table.notes, *_describe_view(read)))
    if len(titles) == 1:
        return table
    title = read.title
    return replace(
        table,
        notes=(_describe(title, titles, passed, options), *table.notes),
        choices=(Choice("sheet", title, tuple(titles)),),
    )


def _describe(
    title: str, titles: Sequence[str], passed: Sequence[str], options: ReadingOptions
) -> Note:
    before = [name for name in passed if name != title and titles.index(name) < titles.index(title)]
    why = (
        f"{name_some(before)} before it {'holds' if len(before) == 1 else 'hold'} no expression."
        if before
        else ""
    )
    return Note(
        "info" if options.sheet else "warning",
        f"The workbook has {len(titles)} sheets: {name_some(titles, 8)}.",
        " ".join(part for part in (f"{title!r} was read.", why) if part),
        "" if options.sheet else "If expression is in another sheet, choose it (--sheet).",
    )


def _describe_view(sheet: Any) -> list[Note]:  # noqa: ANN401 - openpyxl has no types
    try:
        return list(describe_view(sheet))
    except _DAMAGE as error:
        raise _damaged(error) from error


def _position(wanted: str, titles: Sequence[str]) -> int:
    plain = [title.strip().casefold() for title in titles]
    if wanted in titles:
        return titles.index(wanted)
    if wanted.strip().casefold() in plain:
        return plain.index(wanted.strip().casefold())
    raise InputFileError(
        f"the workbook has no sheet {wanted!r}. Choose one of its sheets: {name_some(titles, 20)}."
    )


def _open(data: bytes, max_bytes: int) -> list[Any]:
    """Return the worksheets, hidden ones last; charts are none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # A member cannot give more than this size when it is read.
            size = sum(member.file_size for member in archive.infolist())
            _check_members(archive.namelist())
            _check_parts(archive.infolist())
            if archive.read("xl/workbook.xml").count(b"sheetId=") > _MOST_SHEETS:
                raise ValueError(f"it has more than {_MOST_SHEETS:,} sheets")
        if size > max_bytes:
            raise too_large("the decompressed workbook", max_bytes)
        book = openpyxl.load_workbook(
            io.BytesIO(data), read_only=True, data_only=True, keep_links=False
        )
        sheets = [sheet for sheet in book.worksheets if hasattr(sheet, "reset_dimensions")]
        for sheet in sheets:
            sheet.reset_dimensions()  # what the file says of its size may be wrong, or a trap
    except _DAMAGE as error:
        raise _damaged(error) from error
    if not sheets:
        raise InputFileError("the workbook has no sheet of cells, only charts. Save the table.")
    return sorted(sheets, key=lambda sheet: sheet.sheet_state != "visible")


def _check_members(names: Sequence[str]) -> None:
    """Refuse workbooks of a kind that is not read."""
    if "xl/workbook.bin" in names:
        raise InputFileError("the file is a binary workbook (.xlsb). Save it as xlsx or csv.")
    if "content.xml" in names:
        raise InputFileError("the file is an OpenDocument (.ods). Save it as xlsx or csv.")


def _check_parts(parts: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse what no program that makes workbooks writes, and what takes long to read."""
    for part in parts:
        is_cells = part.filename.startswith(("xl/worksheets/", "xl/sharedStrings"))
        is_read = part.filename.endswith((".xml", ".rels"))
        is_tight = part.file_size > _TIGHTEST * part.compress_size
        if is_read and part.file_size > _MOST_OF_PART and (is_tight or not is_cells):
            raise ValueError(
                f"{part.filename!r} unpacks from {part.compress_size:,} bytes to {part.file_size:,}"
            )


def _damaged(error: Exception) -> InputFileError:
    return InputFileError(
        f"the Excel workbook is damaged: {error}. Open it in the program that made it, and save it"
        " again as xlsx or csv."
    )


def _rows(sheet: Any) -> list[Row]:  # noqa: ANN401 - openpyxl has no types
    """Return the rows of a sheet that have a filled cell."""
    rows: list[Row] = []
    n_cells = 0
    try:
        for number, row in enumerate(sheet.iter_rows(values_only=True)):
            n_cells += len(row)
            if n_cells > _MOST_CELLS:
                raise InputFileError(
                    f"the sheet {sheet.title!r} spans more than {_MOST_CELLS:,} cells. Delete "
                    f"cells far from the table, or save it as csv."
                )
            if number >= _MOST_ROWS or len(row) > _MOST_COLUMNS:
                raise ValueError(f"the sheet {sheet.title!r} is larger than a sheet can be")
            if row and any(map(_filled, row)):
                rows.append(row)
    except _DAMAGE as error:
        raise _damaged(error) from error
    return rows


def _as_table(rows: Sequence[Row], options: ReadingOptions) -> RawTable | None:
    """Return the table among ``rows``, without titles above it and remarks below it."""
    if not rows:
        return None
    filled = [sum(map(_filled, row)) for row in rows[:_N_LOOKED_AT]]
    usual = float(np.median(filled))
    # A group's name over merged cells is no name of a column; a title is one cell.
    n_titles = next(
        (i for i, n in enumerate(filled[: _MOST_TITLES + 1]) if n > max(usual / 2, usual > 1)), 0
    )
    notes = [skipped_titles(n_titles)] if n_titles else []
    header = [_name(name) for name in rows[n_titles]]
    body = list(rows[n_titles + 1 :])
    remarks = list(_remarks(body)) if usual > 1 else []
    if remarks:
        del body[-len(remarks) :]
        notes.append(
            Note(
                "info",
                f"{counted(len(remarks), 'line is', 'lines are')} below the table:"
                f" {name_some(remarks, 1)}.",
                they_were(len(remarks), "left out"),
            )
        )
    if not body:
        return None
    width = max(len(header), *(len(row) for row in body))
    header += [""] * (width - len(header))
    plain = _as_shown if options.contents == "text" else _plain
    cells = pd.DataFrame([[*map(plain, row), *[np.nan] * (width - len(row))] for row in body])
    named = [i for i, name in enumerate(header) if name or cells[i].notna().any()]
    cells = cells[named].set_axis(range(len(named)), axis=1)
    if cells.isna().all(axis=None):
        return None
    return RawTable(tuple(header[i] for i in named), cells, "xlsx", notes=tuple(notes))


def _remarks(rows: Sequence[Row]) -> Iterator[str]:
    """Yield sentences below the table, the last first: one cell of several words, and no more."""
    for row in reversed(rows):
        filled = [cell for cell in row if _filled(cell)]
        if len(filled) != 1 or len(str(filled[0]).split()) < 3:
            return
        yield str(filled[0])


def _kind(table: RawTable | None, options: ReadingOptions) -> int:
    """Grade what a sheet holds; of text, any table is as good as another."""
    if table is None:
        return _NO_TABLE
    if options.contents == "text":
        return _WORDS if len(table.header) > 1 else _NO_TABLE
    numeric = [table.is_numeric(i) and not table.is_words(i) for i in range(len(table.header))]
    if len(table.header) < 2:
        return _NO_TABLE
    if not any(numeric[1:]):
        return _WORDS
    try:
        layout = find_layout(table, None)
    except ExpressionError:
        return _NUMBERS
    if isinstance(layout, GenesInRows):
        genes = [name for name in table.labels(layout.label) if name]
    else:
        genes = [name for name in table.header if name]
    n_genes = sum(is_ensembl(name) or name.isdigit() or bool(genes_named(name)) for name in genes)
    is_expression = _LEAST_GENES <= n_genes > len(genes) / 2 and np.mean(numeric) > 0.5
    return _EXPRESSION if is_expression else _NUMBERS


def _filled(value: object) -> bool:
    return value is not None and str(value).strip() != ""


def _name(value: object) -> str:
    """Return a name of a column; a date as it is shown, without its midnight."""
    if not _filled(value):
        return ""
    text = str(value).strip()
    return text.removesuffix(" 00:00:00") if isinstance(value, datetime) else text


def _plain(value: object) -> object:
    """Return a cell as number or text, NaN where it is blank; dates as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return np.nan if value is None or str(value).strip() in BLANKS else str(value)
    return value


def _as_shown(value: object) -> object:
    """Return a cell as the text that a spreadsheet shows of it, NaN where it is blank."""
    if not _filled(value):
        return np.nan
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    text = str(value)
    return text.removesuffix(" 00:00:00") if isinstance(value, datetime) else text
