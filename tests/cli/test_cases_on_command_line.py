"""What people bring, through ``mtm predict``: what their clean table predicts, or a next step."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

from mtm_core.inference.predictor import Predictor
from tests.cases import base
from tests.cases.brought import COUNTS, SAME
from tests.cli.conftest import Mtm


@cache
def expected(clean: str) -> pd.DataFrame:
    """Return predicted z-scores (people, genes) of lung, of a clean table, from Python."""
    model: Predictor = base.predictor()
    made = model.predict(base.read(base.case_file(clean)), targets=["Lung"])
    return made["z"].sel(tissue="Lung").to_pandas()


def predicted(path: Path) -> pd.DataFrame:
    rows = pd.read_parquet(path)
    order = rows["sample"].drop_duplicates()
    return rows.pivot(index="sample", columns="gene_id", values="z").loc[order]


def same(found: pd.DataFrame, clean: str, least: float) -> None:
    """Compare people in their order: names differ where that is the case."""
    wanted = expected(clean)[found.columns]
    assert len(found) == len(wanted)
    rho = found.reset_index(drop=True).corrwith(wanted.reset_index(drop=True))
    assert rho.min() > least


@pytest.mark.parametrize("name", SAME)
def test_a_case_predicts_what_its_clean_table_does(name: str, tmp_path: Path, mtm: Mtm) -> None:
    clean, unit, least = SAME[name]
    output = tmp_path / "lung.parquet"
    options = ["--unit", unit] if unit else []
    done = mtm("predict", base.case_file(name), "--targets", "Lung", *options, "--output", output)
    assert done.code == 0, done.err
    same(predicted(output), clean, min(least, 0.999) - 0.001)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("04_gdc_star/augmented_star_gene_counts.tsv", "'unstranded'"),
        ("10_htseq_star/PT01.ReadsPerGene.out.tab", "'unstranded'"),
    ],
)
def test_quantities_of_one_sample_are_one_person(
    name: str, said: str, tmp_path: Path, mtm: Mtm
) -> None:
    output = tmp_path / "lung.parquet"
    done = mtm("predict", base.case_file(name), "--targets", "Lung", "--output", output)
    assert done.code == 0, done.err
    assert len(predicted(output)) == 1
    assert said in done.err


def test_nobody_is_dropped_for_the_way_numbers_are_written(tmp_path: Path, mtm: Mtm) -> None:
    path, output = base.case_file("36_thousand_deep/deep_spaces.csv"), tmp_path / "lung.parquet"
    assert mtm("predict", path, "--targets", "Lung", "--output", output).code == 0
    found = predicted(output)
    assert list(found.index) == pd.read_csv(path, sep=";", nrows=1, index_col=0).columns.tolist()
    plain = pd.read_csv(path, sep=";", index_col=0, dtype=str)
    plain = plain.apply(lambda cells: cells.str.replace(r"\s", "", regex=True)).astype(float)
    made = base.predictor().predict(plain.T, targets=["Lung"], unit="counts")
    wanted = made["z"].sel(tissue="Lung").to_pandas()[found.columns]
    assert found.corrwith(wanted).min() > 0.9999


def test_small_linear_values_are_asked_about(tmp_path: Path, mtm: Mtm) -> None:
    path, output = base.case_file("33_small_linear/fpkm_panel_small.csv"), tmp_path / "x.parquet"
    words = ["predict", path, "--targets", "Lung", "--output", output]
    refused = mtm(*words)
    assert refused.code == 1
    assert "--unit" in refused.err.splitlines()[-1]
    assert not output.exists()
    assert mtm(*words, "--unit", "fpkm").code == 0


def test_part_by_part_it_is_the_same(tmp_path: Path, mtm: Mtm) -> None:
    path, output = base.case_file("26_h5ad/log1p.h5ad"), tmp_path / "lung.zarr"
    done = mtm("predict", path, "--targets", "Lung", "--chunk", "7", "--output", output)
    assert done.code == 0, done.err
    with xr.open_zarr(output, consolidated=False) as made:
        found = made["z"].sel(tissue="Lung").to_pandas()
    same(found, COUNTS, 0.998)
