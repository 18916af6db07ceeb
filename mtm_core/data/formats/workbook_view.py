"""Where what a spreadsheet program shows of a sheet differs from what its file holds.

Formulas without a saved result and merged cells look filled and read as blank; rows, columns and
sheets that are hidden, as by a filter, read like the others.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from typing import Any

from mtm_core.data.notes import Note, counted, name_some, they_were

_PIECE = 1 << 22
"""Bytes of a sheet that are looked through at a time, and the rest of the row they end in."""
_LONGEST_ROW = 1 << 25
"""Bytes of a row up to which a sheet is looked through."""
_NO_VALUE = re.compile(
    rb'<c (?![^<>]*t="str")[^<>]*>\s*<f(?:\s[^<>]*)?(?:/>|>[^<]*</f>)\s*'
    rb"(?:<v\s*/>\s*|<v>\s*</v>\s*)?</c>"
)
"""A formula without its result; of text, an empty result is one. Linear in time on any text."""
_MERGED = re.compile(rb'<mergeCell ref="([A-Z]+([0-9]+):[A-Z]+([0-9]+))"')
_ROW = re.compile(rb"<row(?=\s)([^<>]*[^<>/])>")
"""The beginning of a row that has cells."""
_COLUMNS = re.compile(rb"<col(?=\s)([^<>]*)>")
_HIDDEN = re.compile(rb'\shidden="(?:1|true)"')
_SPAN = re.compile(rb'\s(min|max)="([0-9]{1,5})"')
_CELL = re.compile(rb'<c r="([A-Z]{1,3})[0-9]+"(?:[^<>]*[^<>/])?>')
_VALUE = re.compile(rb"<(?:v|is)[\s>]")
_LAST_COLUMN = 16_384


def describe_view(sheet: Any) -> Iterator[Note]:  # noqa: ANN401 - openpyxl has no types
    """Say what of a sheet reads otherwise than a spreadsheet program shows it.

    Parameters
    ----------
    sheet
        Sheet of a workbook that openpyxl opened read-only, from bytes.

    Raises
    ------
    Exception
        As :mod:`zipfile` of damaged files.
    """
    if sheet.sheet_state != "visible":
        yield Note(
            "warning", f"The sheet {sheet.title!r} is hidden in the workbook.", "It was read."
        )
    n_formulas, n_rows, merged = 0, 0, list[str]()
    hidden_columns, columns = set[int](), set[bytes]()
    for markup in _pieces(sheet):
        n_formulas += sum(1 for _ in _NO_VALUE.finditer(markup))
        n_rows += sum(1 for _ in _hidden_rows(markup))
        hidden_columns |= set(_hidden_columns(markup))  # these come before the cells
        if hidden_columns:
            columns |= set(_CELL.findall(markup))
        merged += [
            found[1].decode()
            for found in _MERGED.finditer(markup)
            if 1 < int(found[2]) < int(found[3])  # a title or a header begins in the first row
        ]
    letters = [
        name.decode() for name in sorted(columns, key=_number) if _number(name) in hidden_columns
    ]
    if n_formulas:
        yield Note(
            "warning",
            f"{counted(n_formulas, 'cell holds a formula', 'cells hold formulas')} without a saved"
            " result.",
            they_were(n_formulas, "read as blank"),
            "Open the file in a spreadsheet program and save it, or save values in place of"
            " formulas.",
        )
    if merged:
        yield Note(
            "warning",
            f"{counted(len(merged), 'merged cell spans', 'merged cells span')} several rows:"
            f" {name_some(merged)}.",
            "Only the first row of each was read with the value; the others are blank.",
            "Unmerge the cells, and write the value into each row.",
        )
    if n_rows or letters:
        rows = counted(n_rows, "row", "rows") if n_rows else ""
        many = f"{'column' if len(letters) == 1 else 'columns'} {', '.join(letters[:5])}"
        many += ", …" if len(letters) > 5 else ""
        is_one = n_rows + len(letters) == 1
        yield Note(
            "warning",
            f"{' and '.join(part for part in (rows, many if letters else '') if part)}"
            f" {'is' if is_one else 'are'} hidden in the sheet {sheet.title!r}, as by a filter.",
            they_were(1 if is_one else 2, "read like the others"),
            "To leave hidden cells out, copy those shown into a new sheet.",
        )


def _pieces(sheet: Any) -> Iterator[bytes]:  # noqa: ANN401
    """Read the file of a sheet in pieces that end with a row; stop at a row longer than any is."""
    with (
        zipfile.ZipFile(sheet.parent._archive.fp) as archive,
        archive.open(sheet._worksheet_path) as file,
    ):
        rest = b""
        while piece := file.read(_PIECE):
            whole, end, rest = (rest + piece).rpartition(b"</row>")
            if len(rest) > _LONGEST_ROW:
                return
            yield whole + end
        yield rest


def _hidden_rows(markup: bytes) -> Iterator[bytes]:
    """Find the rows that are hidden and have a value."""
    for found in _ROW.finditer(markup):
        if _HIDDEN.search(found[1]):
            row = markup[found.end() : markup.find(b"</row>", found.end())]
            if _VALUE.search(row):
                yield row


def _hidden_columns(markup: bytes) -> Iterator[int]:
    for found in _COLUMNS.finditer(markup):
        if _HIDDEN.search(found[1]):
            ends = {name: int(number) for name, number in _SPAN.findall(found[1])}
            if {b"min", b"max"} <= ends.keys():
                yield from range(ends[b"min"], min(ends[b"max"], _LAST_COLUMN) + 1)


def _number(letters: bytes) -> int:
    """Return the place of a column, A being 1."""
    place = 0
    for letter in letters:
        place = 26 * place + letter - 64
    return place
