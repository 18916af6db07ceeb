"""Every unit comes to the same z-scores, once it is chosen or the values tell it."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.units import UNITS
from mtm_core.errors import ExpressionError
from tests.cases import base, units
from tests.cli.conftest import Mtm

ROUNDING = 5e-3
LOGS = [unit for unit in UNITS if units.UNIT_TABLE[unit].is_log]


@pytest.mark.parametrize("name", units.RECOGNISED)
def test_units_shown_by_the_values_are_recognised(name: str, tmp_path: Path) -> None:
    case = units.RECOGNISED[name]
    path = base.write(case.values, tmp_path / "x.csv")
    expected = "tpm" if case.unit == "fpkm" else case.unit
    assert base.read(path).report.unit == expected
    base.same_z(base.z_of(path), case.expected, ROUNDING)


@pytest.mark.parametrize("name", units.CHOSEN)
def test_the_users_unit_is_used(name: str, tmp_path: Path) -> None:
    case = units.CHOSEN[name]
    path = base.write(case.values, tmp_path / "x.csv")
    found = base.z_of(path, unit=case.unit)
    base.same_z(found, case.expected, ROUNDING)


@pytest.mark.parametrize("name", units.ASKED)
def test_an_unclear_unit_is_asked_for(name: str, tmp_path: Path) -> None:
    case = units.ASKED[name]
    read = base.read(base.write(case.values, tmp_path / "x.csv"))
    assert read.report.unit is None
    assert case.unit in read.report.possible_units
    with pytest.raises(ExpressionError, match=r"not clear\..*--unit.*unit="):
        base.z_of_table(read)


@pytest.mark.parametrize("name", units.centred())
def test_centred_values_are_refused_whatever_unit_is_chosen(name: str, tmp_path: Path) -> None:
    read = base.read(base.write(units.centred()[name].round(5), tmp_path / "x.csv"))
    assert read.report.possible_units == ()
    for unit in ("auto", *LOGS):
        with pytest.raises(ExpressionError, match="z-scores, centred logarithms, log ratios"):
            base.z_of_table(read, unit)


@pytest.mark.parametrize("name", ["log2 of tpm", "log2 of counts", "voom", "vst", "fpkm"])
@pytest.mark.parametrize("chosen", [False, True])
def test_clinical_rows_change_nothing(name: str, chosen: bool, tmp_path: Path) -> None:
    case = units.RECOGNISED[name]
    path = base.write(units.clinic_rows(case.values), tmp_path / "x.csv")
    base.same_z(base.z_of(path, unit=case.unit if chosen else "auto"), case.expected, ROUNDING)


@pytest.mark.parametrize("unit", ["log2", "ln", "log10"])
@pytest.mark.parametrize("how", ["anndata", "none written", "empty"])
def test_the_base_that_scanpy_stores_is_used(unit: str, how: str, tmp_path: Path) -> None:
    case = units.log_of(units.panel(base.tpm()) / 30, unit)
    number = {"log2": 2.0, "ln": None, "log10": 10.0}[unit]
    if how != "anndata" and unit != "ln":
        pytest.skip("scanpy writes nothing for the natural logarithm alone")
    adata = ad.AnnData(case.values.T)
    adata.uns["log1p"] = {} if how == "empty" or number is None else {"base": number}
    adata.write_h5ad(tmp_path / "x.h5ad")
    read = base.read(tmp_path / "x.h5ad")
    assert read.report.unit == unit
    assert "file says so" in read.report.unit_reason
    base.same_z(base.z_of_table(read), case.expected, ROUNDING)


@pytest.mark.parametrize(
    ("name", "unit", "clean"),
    [
        ("11_deseq2_plus_counts/edger_logcpm.csv", "log2", "counts"),
        ("14_ln_log10/log10p.csv", "log10", "counts"),
        ("22_rows_with_clinic/log2_rows_weight.csv", "auto", "counts"),
        ("22_rows_with_clinic/log2_rows_weight.csv", "log2", "counts"),
        ("26_h5ad/log1p.h5ad", "auto", "counts"),
        ("33_small_linear/fpkm_panel_small.csv", "fpkm", "tpm"),
        ("35_vst_real/vst.csv", "auto", "counts"),
    ],
)
def test_files_that_people_brought(name: str, unit: str, clean: str) -> None:
    expected = base.z_of(base.case_file(f"00_base/{clean}.csv"))
    tolerance = 0.05 if clean == "tpm" else ROUNDING  # FPKM are given to five digits
    base.same_z(base.z_of(base.case_file(name), unit=unit), expected, tolerance)


def test_small_fpkm_that_people_brought_are_asked_for(mtm: Mtm, tmp_path: Path) -> None:
    path = base.case_file("33_small_linear/fpkm_panel_small.csv")
    done = mtm("predict", str(path), "--targets", "Lung", "--output", str(tmp_path / "x.csv"))
    assert done.code == 1
    assert "fpkm (FPKM)" in done.err.replace("\n", " ")
    assert "--unit" in done.err


def test_the_command_line_asks_and_takes_the_answer(mtm: Mtm, tmp_path: Path) -> None:
    path = base.write(units.small_fpkm().values, tmp_path / "x.csv")
    words = ["predict", str(path), "--targets", "Lung", "--output", str(tmp_path / "p.csv")]
    asked = mtm(*words)
    assert asked.code == 1
    assert "the unit of the values is not clear" in asked.err
    assert "fpkm (FPKM)" in asked.err
    assert not (tmp_path / "p.csv").exists()
    reported = mtm(*words, "--unit", "fpkm")
    assert reported.code == 0
    assert "Read as fpkm" in reported.err
    assert "not clear" not in reported.err
    assert pd.read_csv(tmp_path / "p.csv")["z"].notna().all()


def test_distance_before_alignment_names_a_unit_that_lies_nearer() -> None:
    values = np.log2(1 + units.panel(units.cpm()).T)
    warned = [str(n) for n in base.predictor().prepare(values, unit="log10").notes]
    assert any("Read as log10, the samples lie" in note and "log2 " in note for note in warned)
    assert any("24 of 24 samples lie more than 5 SD" in note for note in warned)
    right = [n for n in base.predictor().prepare(values, unit="log2").notes if n.level == "warning"]
    assert right == []
