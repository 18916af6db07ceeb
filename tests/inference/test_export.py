"""What is written is read back, by the readers that people use, as what was predicted."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.errors import SelectionError
from mtm_core.inference.export import (
    LONG_COLUMNS,
    check_output,
    to_anndata,
    to_long_table,
    write_prediction,
)

SAMPLES = ["P1", "p1", 'a "b", c', "µ; tab", "1", "NA"]  # all hard on some format
TISSUES = ["Lung", "Brain - Nucleus accumbens (basal ganglia)"]
GENES = ["ENSG00000141510.16", "ENSG00000012048.20", "ENSG00000139618.14"]
VALUES = ("expression", "z")


@pytest.fixture(params=[False, True], ids=["plain", "with interval"])
def prediction(request: pytest.FixtureRequest, rng: np.random.Generator) -> xr.Dataset:
    """As a predictor gives it: 6 samples, 2 tissues, 3 genes."""
    shape, dims = (len(SAMPLES), len(TISSUES), len(GENES)), ("sample", "tissue", "gene")
    z = rng.normal(size=shape).astype(np.float32)
    interval = {"lower": (dims, np.exp2(z - 1)), "upper": (dims, np.exp2(z + 1))}
    return xr.Dataset(
        {
            "z": (dims, z),
            "expression": (dims, np.exp2(z)),
            **(interval if request.param else {}),
            "found": ("gene", np.array([True, False, True])),
            "distance_before": ("sample", rng.uniform(1, 3, len(SAMPLES))),
            "distance_after": ("sample", rng.uniform(0, 1, len(SAMPLES))),
        },
        coords={
            "sample": SAMPLES,
            "tissue": TISSUES,
            "gene": GENES,
            "symbol": ("gene", ["TP53", "BRCA1", ""]),
        },
        attrs={"model": "small", "unit": "TPM", "source": "Whole Blood", "input_unit": "counts"},
    )


def check_long_table(table: pd.DataFrame, prediction: xr.Dataset, rtol: float) -> None:
    interval = ["lower", "upper"] if "lower" in prediction else []
    assert table.columns.tolist() == [*LONG_COLUMNS, *interval]
    assert len(table) == prediction["z"].size
    symbols = dict(zip(GENES, prediction["symbol"].to_numpy(), strict=True))
    assert (table["gene"] == table["gene_id"].map(symbols)).all()
    for name in (*VALUES, *interval):
        expected = [
            prediction[name].sel(sample=row.sample, tissue=row.tissue, gene=row.gene_id).item()
            for row in table[["sample", "tissue", "gene_id"]].astype(str).itertuples()
        ]
        np.testing.assert_allclose(table[name], expected, rtol=rtol)


def test_long_columns_are_the_documented_ones() -> None:
    assert LONG_COLUMNS == ("sample", "tissue", "gene_id", "gene", "expression", "z")


def test_long_table_has_every_value_once_at_its_names(prediction: xr.Dataset) -> None:
    table = to_long_table(prediction)
    check_long_table(table, prediction, rtol=0)
    assert not table.duplicated(["sample", "tissue", "gene_id"]).any()


def test_csv_comes_back(prediction: xr.Dataset, tmp_path: Path) -> None:
    write_prediction(prediction, tmp_path / "new" / "p.csv")
    table = pd.read_csv(tmp_path / "new" / "p.csv", dtype={"sample": str}, keep_default_na=False)
    check_long_table(table, prediction, rtol=1e-5)


def test_parquet_comes_back(prediction: xr.Dataset, tmp_path: Path) -> None:
    write_prediction(prediction, tmp_path / "p.parquet")
    check_long_table(pd.read_parquet(tmp_path / "p.parquet"), prediction, rtol=0)


def test_zarr_comes_back_as_it_was(prediction: xr.Dataset, tmp_path: Path) -> None:
    for again in (False, True):  # a second time over the first
        write_prediction(prediction, tmp_path / "p.zarr", overwrite=again)
    with xr.open_zarr(tmp_path / "p.zarr", consolidated=False) as again:
        xr.testing.assert_identical(again.load().drop_encoding(), prediction)


def test_h5ad_comes_back(prediction: xr.Dataset, tmp_path: Path) -> None:
    write_prediction(prediction, tmp_path / "p.h5ad")
    again = ad.read_h5ad(tmp_path / "p.h5ad")
    assert again.shape == (len(SAMPLES) * len(TISSUES), len(GENES))
    assert again.obs_names.is_unique
    assert again.var_names.tolist() == GENES
    assert again.var["symbol"].tolist() == ["TP53", "BRCA1", ""]
    assert again.var["found"].tolist() == [True, False, True]
    about = dict(again.uns["mtm"])
    words = "expression, lower, upper" if "lower" in prediction else "expression"
    assert about.pop("layers") == f"{words}: TPM, not logarithms"
    assert about.pop("X").startswith("z-scores")
    assert about == prediction.attrs
    layers = set(VALUES) - {"z"} | ({"lower", "upper"} & set(prediction))
    assert set(again.layers) == layers
    for i, (sample, tissue) in enumerate(again.obs[["sample", "tissue"]].astype(str).to_numpy()):
        row = prediction.sel(sample=sample, tissue=tissue)
        np.testing.assert_array_equal(again.X[i], row["z"])
        for name in layers:
            np.testing.assert_array_equal(again.layers[name][i], row[name])
        for name in ("distance_before", "distance_after"):
            assert again.obs[name].iloc[i] == row[name].item()


def test_anndata_is_one_row_a_sample_and_tissue(prediction: xr.Dataset) -> None:
    rows = to_anndata(prediction).obs[["sample", "tissue"]].to_numpy().tolist()
    assert rows == [[sample, tissue] for sample in SAMPLES for tissue in TISSUES]


@pytest.mark.parametrize("name", ["p", "p.xlsx", "p.csv.gz", "p.CSV.txt", ".csv"])
def test_ending_that_is_no_format_is_refused(
    prediction: xr.Dataset, tmp_path: Path, name: str
) -> None:
    for refuse in (check_output, lambda path: write_prediction(prediction, path)):
        with pytest.raises(SelectionError, match=r"ends in .*\.h5ad, \.h5mu, \.zarr"):
            refuse(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_h5mu_has_a_modality_a_tissue(prediction: xr.Dataset, tmp_path: Path) -> None:
    mudata = pytest.importorskip("mudata")
    write_prediction(prediction, tmp_path / "p.h5mu")
    with mudata.set_options(pull_on_update=False):
        again = mudata.read_h5mu(tmp_path / "p.h5mu")
    assert list(again.mod) == TISSUES
    assert again.obs_names.tolist() == SAMPLES
    assert again.shape == (len(SAMPLES), len(TISSUES) * len(GENES))
    for tissue in TISSUES:
        of_tissue = again.mod[tissue]
        cut = prediction.sel(tissue=tissue)
        np.testing.assert_array_equal(of_tissue.X, cut["z"])
        np.testing.assert_array_equal(of_tissue.layers["expression"], cut["expression"])
        assert of_tissue.var["gene_id"].tolist() == GENES
    assert prediction.attrs.items() <= dict(again.uns["mtm"]).items()
