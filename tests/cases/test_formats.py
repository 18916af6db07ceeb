"""Formats of other programs: the same people, the same z-scores."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from mtm_core.data.cohort.cohort import read_cohort
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.isolation.isolated import read_isolated
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import InputFileError
from tests.cases import base, formats
from tests.cli.conftest import Mtm

REAL = ("23_gct/tissue_with_id.gct", "24_xlsx/readme_first.xlsx", "26_h5ad/old.h5ad")


@pytest.mark.parametrize("name", formats.CASES)
def test_format_gives_the_z_of_the_clean_table(name: str, tmp_path: Path) -> None:
    path = formats.CASES[name](tmp_path)
    options = formats.OPTIONS.get(name, AS_IT_LIES)
    base.same_z(base.z_of(path, options), base.clean_z())


@pytest.mark.parametrize("name", REAL)
def test_files_that_people_brought(name: str) -> None:
    path = base.case_file(name)
    base.same_z(base.z_of(path), base.z_of(base.case_file("00_base/counts.csv")))


def test_sheets_are_named_to_choose_from_and_the_choice_outlives_the_process(
    tmp_path: Path,
) -> None:
    path = formats.CASES["xlsx_metadata_first"](tmp_path)
    report = base.read(path).report
    assert str(report.notes[0]) == (
        "The workbook has 3 sheets: 'Sheet', 'Counts', 'Log'. 'Counts' was read. 'Sheet' before it"
        " holds no expression. If expression is in another sheet, choose it (--sheet)."
    )
    (choice,) = report.choices
    assert (choice.option, choice.taken) == ("sheet", "Counts")
    assert choice.offered == ("Sheet", "Counts", "Log")
    assert read_isolated(path.read_bytes()).choices == (choice,)
    log = base.read(path, ReadingOptions(sheet="Log"))
    assert log.report.unit == "log2"
    with pytest.raises(InputFileError, match=r"no sheet 'Logs'\. .*'Sheet', 'Counts', 'Log'"):
        base.read(path, ReadingOptions(sheet="Logs"))


def test_a_sheet_with_one_column_is_not_called_damaged(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for i in range(40):
        book.active.append([f"line {i}"])
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(Exception, match=r"^(?!.*damaged)x\.xlsx: ") as caught:
        read_expression(tmp_path / "x.xlsx")
    assert "not clear" in str(caught.value)


PREPARED = "60_prepare/reads_id.gct", "60_prepare/attr.txt", "60_prepare/subj_bom.txt"


def test_gtex_files_with_row_numbers_and_a_mark_are_prepared(mtm: Mtm, tmp_path: Path) -> None:
    gct, attributes, marked = (base.case_file(name) for name in PREPARED)
    for name, phenotypes in (("a", marked), ("b", marked.with_name("subj.txt"))):
        mtm(
            *("data", "prepare", "--expression", gct, "--sample-attributes", attributes),
            *("--subject-phenotypes", phenotypes, "--minimum-samples=2", "--minimum-tissues=2"),
            *("--output", tmp_path / f"{name}.h5ad"),
        )
    made, expected = read_cohort(tmp_path / "a.h5ad"), read_cohort(tmp_path / "b.h5ad")
    assert_array_equal(made.X, expected.X)
    pd.testing.assert_frame_equal(made.uns["donors"], expected.uns["donors"])
    values = pd.read_csv(gct, sep="\t", skiprows=2, index_col="Name")
    assert_array_equal(made.to_df().T, values.loc[made.var_names, made.obs_names])
