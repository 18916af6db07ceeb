"""Users' tables: values that are read with a note, and those that are refused by name."""

from __future__ import annotations

import io
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import ExpressionError, InputFileError
from tests.data.user_tables import KNOWN, read, report, same, sheet, text, xlsx


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("abc", "1 cell is not a number, the first in row 'BRCA1', column 'P-2': 'abc'"),
        ("", "1 cell is blank, the first in row 'BRCA1', column 'P-2'"),
        ("NA", "1 cell is blank, the first in row 'BRCA1', column 'P-2'"),
        ("NaN", "1 cell is blank, the first in row 'BRCA1', column 'P-2'"),
        ("1e3000000000", "1 cell is not a number, .* column 'P-2': '1e3000000000'"),
        ("inf", "1 cell is infinite, the first in row 'BRCA1', column 'P-2'"),
        ("-7000", "1 values are negative, the first in sample 'P-2', gene 'BRCA1': -7000"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_bad_cell_is_named(values: pd.DataFrame, cell: str, message: str, kind: str) -> None:
    table = values.T.astype(object)
    table.loc["BRCA1", "P-2"] = float(cell) if kind == "xlsx" and cell == "-7000" else cell
    data = text(table) if kind == "csv" else xlsx(sheet(table))
    with pytest.raises(ExpressionError, match=message):
        read(data)


def test_a_bad_cell_is_named_the_other_way_too(values: pd.DataFrame) -> None:
    table = values.astype(object)
    table.loc["P-2", ["BRCA1", "LDLR"]] = "low"
    with pytest.raises(ExpressionError, match=r"2 cells .* row 'P-2', column 'BRCA1': 'low'"):
        read(text(table))


def test_negative_logarithms_are_read_and_their_unit_is_asked_for(values: pd.DataFrame) -> None:
    logs = np.log2(values) - 9 + np.arange(8) / 2
    same(read(text(logs)), logs)
    found = report(text(logs))
    assert found.unit is None
    assert {"logcpm", "log2-0.001", "log2-0"} <= set(found.possible_units)


@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_decimal_commas_are_read_and_reported(values: pd.DataFrame, sep: str) -> None:
    fractions = (values / 7).round(2)
    data = text(fractions.T, sep, decimal=",", quoting=2 if sep == "," else 0)
    np.testing.assert_allclose(read(data), fractions)
    assert any("decimal commas" in note.found for note in report(data).notes)


def test_thousands_are_not_guessed_at(values: pd.DataFrame) -> None:
    data = (values.T * 1000).map("{:,.0f}".format).to_csv(sep="\t").encode()
    with pytest.raises(InputFileError, match=r"thousands separator or with a decimal comma"):
        read(data)


def test_duplicate_samples_are_refused(values: pd.DataFrame) -> None:
    twice = values.set_axis(["P-1", "P-2", "P-1", "P-4"], axis=0)
    for table in (twice, twice.T):
        with pytest.raises(ExpressionError, match="1 sample name is duplicated: 'P-1'"):
            read(text(table))
    with pytest.raises(ExpressionError, match="sample 3 has no name"):
        read(text(values.set_axis(["P-1", "P-2", "", "P-4"], axis=0)))


def test_duplicate_genes_are_read_and_reported(values: pd.DataFrame) -> None:
    twice = values.rename(columns={"ACTB": "TP53"})
    for table in (twice, twice.T):
        same(read(text(table)), twice)
        assert report(text(table)).duplicates == ("TP53",)


def test_damaged_names_are_reported_from_text_and_from_excel(values: pd.DataFrame) -> None:
    damaged = values.rename(columns={"ACTB": "1-Mar", "GAPDH": "2-Sep"})
    assert report(text(damaged.T)).damaged_names == ("1-Mar", "2-Sep")
    rows = sheet(values.T)
    rows[-1][0] = datetime(2024, 3, 1)
    found = report(xlsx(rows))
    assert found.damaged_names == ("2024-03-01 00:00:00",)
    assert any("MARCH1" in note.found for note in found.notes)


def test_title_lines_and_sheets_of_a_workbook(values: pd.DataFrame) -> None:
    found = read_expression(
        io.BytesIO(xlsx([["Table S1. Blood"], [], *sheet(values.T)], "notes")), known_genes=KNOWN
    )
    same(found.values, values)
    assert {"It was skipped.", "'Sheet' was read."} <= {n.done for n in found.report.notes}
