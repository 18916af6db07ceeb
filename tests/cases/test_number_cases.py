"""Numbers with signs between thousands, decimal commas, and both: read as what they say."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.errors import ExpressionError, InputFileError
from tests.cases import base

Write = Callable[[float], str]
COUNTS = base.counts() * 13
"""So that in every person some genes have counts of a thousand and more."""


def grouped(sign: str) -> Write:
    return lambda value: f"{value:,.0f}".replace(",", sign)


def written(write: Write, people: slice = slice(None), every: int = 1) -> pd.DataFrame:
    """Write the counts as text: of some people, of every so many genes."""
    table = COUNTS.astype(str)
    for name in COUNTS.columns[people]:
        rows = COUNTS.index[::every]
        table.loc[rows, name] = COUNTS.loc[rows, name].map(write)
    return table


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    return base.z_of_table(COUNTS.T.astype(float), "counts")


SIGNS = {
    "point": ".",
    "comma": ",",
    "blank": " ",
    "no-break": "\u00a0",
    "narrow": "\u202f",
    "thin": "\u2009",
    "apostrophe": "'",
    "curly": "\u2019",
    "underscore": "_",
}


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("people", [slice(None), slice(12, None)], ids=["all", "half"])
@pytest.mark.parametrize("way", ["genes in rows", "samples in rows"])
def test_thousands_are_read(
    sign: str, people: slice, way: str, tmp_path: Path, expected: pd.DataFrame
) -> None:
    table = written(grouped(SIGNS[sign]), people)
    if people != slice(None) and sign in ("point", "comma"):  # others have 1234 beside 1.234
        table.iloc[:, :12] = (COUNTS.iloc[:, :12].clip(upper=999)).astype(str)
        expected = base.z_of_table(
            pd.concat([COUNTS.iloc[:, :12].clip(upper=999), COUNTS.iloc[:, 12:]], axis=1).T * 1.0
        )
    path = tmp_path / "counts.csv"
    (table if way == "genes in rows" else table.T).to_csv(path, sep=";", index_label="id")
    read = base.read(path)
    assert read.report.set_aside == ()
    assert "between thousands" in str(read.report.notes)
    base.same_z(base.z_of_table(read), expected, 1e-6)


@pytest.mark.parametrize(
    ("decimal", "sign"), [(",", "."), (".", ","), (",", " "), (".", "'"), (",", ""), (".", "")]
)
def test_decimals_with_thousands_are_read(decimal: str, sign: str, tmp_path: Path) -> None:
    table = base.tpm().map(
        lambda x: f"{x:,.2f}".replace(",", "#").replace(".", decimal).replace("#", sign)
    )
    table.to_csv(tmp_path / "tpm.tsv", sep="\t")
    found = base.read(tmp_path / "tpm.tsv")
    np.testing.assert_allclose(found.values.T, base.tpm(), atol=0.006)


def test_three_decimals_stay_decimals(tmp_path: Path) -> None:
    """TPM printed with three decimals have three digits behind every point."""
    for name, table in {"tpm": base.tpm(), "high": base.tpm() + 1.5}.items():
        table.map("{:.3f}".format).to_csv(tmp_path / f"{name}.csv")
        found = base.read(tmp_path / f"{name}.csv")
        np.testing.assert_allclose(found.values.T, table, atol=6e-4)
        assert "thousands" not in str(found.report.notes)


def test_one_decimal_shows_that_points_are_decimal(tmp_path: Path) -> None:
    """A table with 1.234 and, somewhere, 12.5 has decimals."""
    table = (base.counts() % 90).astype(str)
    table.iloc[3] = "7.230"
    table.iloc[9, 2] = "12.5"
    table.to_csv(tmp_path / "x.csv")
    assert (base.read(tmp_path / "x.csv").values.iloc[:, 3] == 7.23).all()


def few(cell: str) -> bytes:
    """Return a table of whole numbers below a thousand with one other cell."""
    table = (base.counts() % 90).astype(str)
    table.iloc[5, 1] = cell
    return table.to_csv(sep=";").encode()


@pytest.mark.parametrize(
    ("cell", "point", "comma"), [("7.231", 7.231, 7231.0), ("7,231", 7231.0, 7.231)]
)
def test_ambiguous_numbers_are_asked_about_and_the_answer_is_used(
    cell: str, point: float, comma: float, tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(few(cell))
    with pytest.raises(InputFileError, match=rf"{cell!r} in column 'PT02' .* --numbers point"):
        base.read(path)
    for style, value in (("point", point), ("comma", comma)):
        found = base.read(path, ReadingOptions(numbers=style))
        assert found.values.iloc[1, 5] == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("7.230", 7230),  # with whole numbers beside it, the zero would not be there
        ("1.234.567", 1234567),
        ("12,34,567", 1234567),
        ("1,5E+03", 1500),
        ("1.234e3", 1234),
        (" 1\u202f234 ", 1234),
        ("'1234", 1234),
        ("0,230", 0.23),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("+17", 17),
    ],
)
def test_single_cell_is_read(cell: str, value: float, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(few(cell))
    found = base.read(tmp_path / "x.csv").values
    assert found.iloc[1, 5] == value
    assert found.shape == (base.N_PEOPLE, len(base.genes()))


@pytest.mark.parametrize("cell", ["12%", "1 23", "n/d", "1.2.3", "<5", "1'23", "-"])
@pytest.mark.parametrize("share", [1, 90])
def test_a_cell_without_a_number_is_an_error_not_a_lost_sample(
    cell: str, share: int, tmp_path: Path
) -> None:
    table = base.counts().astype(str)
    table.iloc[:share, 4] = cell
    table.to_csv(tmp_path / "x.csv")
    with pytest.raises(
        ExpressionError, match=rf"{share} cells? (is not a number|are not numbers),.*'PT05'"
    ):
        base.read(tmp_path / "x.csv")


def test_text_cells_of_a_workbook_are_read(tmp_path: Path, expected: pd.DataFrame) -> None:
    """Exports of laboratory systems write numbers into workbooks as text."""
    book = openpyxl.Workbook()
    table = written(grouped("."), slice(12, None))
    book.active.append(["gene", *table.columns])
    for gene, row in table.iterrows():
        plain = [int(value) for value in row.iloc[:12]]
        book.active.append([gene, *plain, *row.iloc[12:]])
    book.save(tmp_path / "x.xlsx")
    base.same_z(base.z_of(tmp_path / "x.xlsx"), expected, 1e-6)


def test_text_columns_of_parquet_are_read(tmp_path: Path, expected: pd.DataFrame) -> None:
    written(grouped(" ")).rename_axis("gene").reset_index().to_parquet(tmp_path / "x.parquet")
    base.same_z(base.z_of(tmp_path / "x.parquet"), expected, 1e-6)


@pytest.mark.parametrize(
    ("name", "n_notes"),
    [("18_european/counts_thousand_dots.csv", 1), ("36_thousand_deep/deep_spaces.csv", 1)],
)
def test_real_files(name: str, n_notes: int) -> None:
    path = base.case_file(name)
    read = base.read(path)
    assert sum("between thousands" in note.found for note in read.report.notes) == n_notes
    if name.startswith("18"):
        clean = base.z_of(base.case_file("00_base/counts.csv"))
        base.same_z(base.z_of_table(read), clean, 1e-6)
    else:
        text = pd.read_csv(path, sep=";", index_col=0, dtype=str)
        by_hand = text.map(lambda cell: float(cell.replace(" ", "")))
        np.testing.assert_array_equal(read.values.T, by_hand)


def test_bytes_are_the_same_to_a_server() -> None:
    """Read by a process of its own, with the same decision."""
    data = io.BytesIO(few("7,231"))
    with pytest.raises(InputFileError, match="--numbers"):
        base.read_expression(data, "x.csv", isolated=True)
