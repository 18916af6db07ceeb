"""Small workbooks that are large inside are refused soon, and small ones that look it are read."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable

import openpyxl
import pytest

from mtm_core.data.formats.tables import read_table
from mtm_core.data.isolation.isolated import read_isolated
from mtm_core.errors import InputFileError

SHEET = "xl/worksheets/sheet1.xml"
HEAD = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
SOON = 25  # seconds, on a busy machine; without the checks each took over a minute or never ended


def book(part: str = "", change: Callable[[bytes], bytes] = lambda data: data) -> bytes:
    """A workbook of 30 genes and 2 samples, of which ``change`` makes one part anew."""
    made = openpyxl.Workbook()
    made.active.append(["gene", "P1", "P2"])
    for i in range(30):
        made.active.append([f"ENSG{i:011d}", i + 0.5, i + 1.5])
    file, changed = io.BytesIO(), io.BytesIO()
    made.save(file)
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name == part else data)
    return changed.getvalue()


def sheet(rows: bytes, before: bytes = b"") -> bytes:
    whole = before + HEAD + b"<sheetData>" + rows + b"</sheetData></worksheet>"
    return book(SHEET, lambda _: whole)


def far_cells(n: int) -> bytes:
    return b"".join(b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>' % (i, i) for i in range(1, n))


def before(end: bytes, what: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(end, what + end)


ENTITIES = b"".join(b'<!ENTITY e%d "%b">' % (i, b"&e%d;" % (i - 1) * 10) for i in range(1, 10))
LAUGHS = b'<!DOCTYPE x [<!ENTITY e0 "lol">' + ENTITIES + b"]>"
OUTSIDE = b'<!DOCTYPE x [<!ENTITY e9 SYSTEM "file:///etc/passwd">]>'
ENTITY = b'<row r="1"><c r="A1" t="str"><v>&e9;</v></c></row>'
LIST = b'<sheet name="q" sheetId="2" r:id="rId1" xmlns:r="%b"/>' % (
    b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
)
BOMBS = {
    "a row beyond the last": (sheet(b'<row r="1000000000"><c><v>1</v></c></row>'), "larger than"),
    "a cell beyond the last row": (
        sheet(b'<row r="1000000000"><c r="A1000000000"><v>1</v></c></row>'),
        "larger than a sheet can be",
    ),
    "rows that end at the last column": (sheet(far_cells(20_000)), "spans more than 30,000,000"),
    "a column beyond the last": (sheet(b'<row r="1"><c r="ZZZZ1"><v>1</v></c></row>'), "damaged"),
    "entities of entities": (sheet(ENTITY, LAUGHS), "damaged"),
    "an entity in a file": (sheet(ENTITY, OUTSIDE), "damaged"),
    "rows of nothing": (sheet(b"<row/>" * 3_000_000), "unpacks from"),
    "nested without end": (sheet(b"<a>" * 2_000_000 + b"</a>" * 2_000_000), "unpacks from"),
    "styles": (book("xl/styles.xml", before(b"</cellXfs>", b"<xf/>" * 2_000_000)), "unpacks from"),
    "sheets": (book("xl/workbook.xml", before(b"</sheets>", LIST * 5_000)), "1,000 sheets"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_workbook_bomb_is_refused_quickly(kind: str) -> None:
    data, words = BOMBS[kind]
    assert len(data) < 200_000
    started = time.monotonic()
    with pytest.raises(InputFileError, match=words) as refused:
        read_isolated(data)
    assert time.monotonic() - started < SOON
    assert "root:" not in str(refused.value)


def test_a_wrong_dimension_is_no_harm() -> None:
    wrong = b'<dimension ref="A1:XFD1048576"/><sheetData>'
    data = book(SHEET, lambda data: data.replace(b"<sheetData>", wrong))
    assert b"XFD1048576" in zipfile.ZipFile(io.BytesIO(data)).read(SHEET)
    table = read_table(data)
    assert table.header == ("gene", "P1", "P2")
    assert table.cells[1].tolist() == [i + 0.5 for i in range(30)]
