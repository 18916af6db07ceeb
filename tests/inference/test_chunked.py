"""Chunk by chunk is the same as all at once, whatever the format, unit and batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.errors import SelectionError
from mtm_core.inference.chunked import ChunkedRequest, predict_chunked
from mtm_core.inference.predictor import Predictor
from tests.cases import base, units
from tests.inference.stored_tables import (
    TARGETS,
    WRITERS,
    opened,
    write_h5ad,
    write_parquet,
)

distributed = pytest.importorskip("distributed")


@pytest.mark.parametrize("kind", WRITERS)
def test_chunks_are_the_whole_in_every_format(
    client: distributed.Client, model: Path, blood: pd.DataFrame, tmp_path: Path, kind: str
) -> None:
    expected = Predictor.load(model).predict(blood, targets=TARGETS)
    request = ChunkedRequest(
        WRITERS[kind](blood, tmp_path), tmp_path / "p.zarr", model, targets=TARGETS, chunk=7
    )
    result = predict_chunked(request, client)
    assert (result.sizes, result.n_chunks, result.n_there_before) == ((40, 3, 59), 6, 0)
    assert (result.unit, result.alignment) == ("tpm", "cohort")
    xr.testing.assert_allclose(opened(tmp_path / "p.zarr"), expected, rtol=1e-4, atol=1e-5)
    assert opened(tmp_path / "p.zarr").attrs == expected.attrs
    left = {path.name for path in tmp_path.iterdir()} - {request.table.name}
    assert left == {"p.zarr"}


@pytest.mark.parametrize("alignment", ["none", "cohort"])
@pytest.mark.parametrize("unit", ["counts", "log2"])
def test_units_missing_genes_and_phenotypes_are_read_as_in_the_whole(
    client: distributed.Client,
    model: Path,
    blood: pd.DataFrame,
    tmp_path: Path,
    unit: str,
    alignment: str,
) -> None:
    table = blood.drop(columns=["BRCA1", "TP53"]).assign(XIST=np.float32(3))
    table = np.log2(1 + table) - np.float32(0.01) if unit == "log2" else table.round()
    people = pd.DataFrame(
        {"age": np.linspace(20, 80, 20), "sex": ["male", "female"] * 10}, index=table.index[5:25]
    )
    predictor = Predictor.load(model)
    asked = "log2" if unit == "log2" else "auto"
    prepared = predictor.prepare(table, unit=asked, alignment=alignment)
    expected = predictor.predict_prepared(prepared, ["Lung"], phenotypes=people)
    request = ChunkedRequest(
        write_h5ad(table, tmp_path), tmp_path / "p.zarr", model,
        targets=("Lung",), chunk=11, unit=asked, alignment=alignment,
    )  # fmt: skip
    result = predict_chunked(request, client, phenotypes=people)
    xr.testing.assert_allclose(opened(tmp_path / "p.zarr"), expected, rtol=1e-4, atol=1e-5)
    assert result.unit == unit
    assert result.by_sample["used_age_sex"].sum() == 20
    assert set(prepared.notes) == {n for n in result.notes if "assumed to be" not in n.done}


@pytest.mark.parametrize("name", ["log2 of tpm", "log10 of counts", "voom", "vst"])
def test_units_and_rows_of_the_clinic_are_judged_as_in_the_whole(
    client: distributed.Client, model: Path, tmp_path: Path, name: str
) -> None:
    case = units.RECOGNISED[name]
    table = units.clinic_rows(case.values).T
    predictor = Predictor.load(model)
    prepared = predictor.prepare(table)
    expected = predictor.predict_prepared(prepared, ["Lung"])
    request = ChunkedRequest(
        write_h5ad(table, tmp_path), tmp_path / "p.zarr", model, targets=("Lung",), chunk=9
    )
    result = predict_chunked(request, client)
    assert result.unit == prepared.unit == case.unit
    xr.testing.assert_allclose(opened(tmp_path / "p.zarr"), expected, rtol=1e-4, atol=1e-4)
    assert set(prepared.notes) == {n for n in result.notes if "assumed to be" not in n.done}


def test_the_stated_unit_of_the_file_is_used_for_every_chunk(
    client: distributed.Client, model: Path, tmp_path: Path
) -> None:
    case = units.log_of(units.panel(base.tpm()) / 30, "ln")
    adata = ad.AnnData(case.values.T)
    adata.uns["log1p"] = {}
    adata.write_h5ad(tmp_path / "x.h5ad")
    request = ChunkedRequest(
        tmp_path / "x.h5ad", tmp_path / "p.zarr", model, targets=("Lung",), chunk=9
    )
    assert predict_chunked(request, client).unit == "ln"


def test_stored_quantities_and_digits_can_be_chosen(
    client: distributed.Client, model: Path, blood: pd.DataFrame, tmp_path: Path
) -> None:
    expected = Predictor.load(model).predict(blood, targets=TARGETS)["expression"]
    request = ChunkedRequest(
        write_h5ad(blood, tmp_path), tmp_path / "p.zarr", model,
        targets=TARGETS, chunk=16, values=("expression",), bits=10,
    )  # fmt: skip
    predict_chunked(request, client)
    got = opened(tmp_path / "p.zarr")
    assert not {"z", "lower", "upper"} & set(got)
    np.testing.assert_allclose(got["expression"], expected, rtol=2**-11 + 1e-4)
    assert (got["expression"].to_numpy().view(np.uint32) & (2**13 - 1) == 0).all()
    assert got["expression"].dtype == np.float32


def same_as_whole(store: xr.Dataset, expected: xr.Dataset) -> None:
    for name in ("z", "expression", "lower", "upper"):
        np.testing.assert_allclose(store[name], expected[name], atol=2e-4, rtol=2e-4)
    for name in ("distance_before", "distance_after"):
        np.testing.assert_allclose(store[name], expected[name], rtol=1e-5)
    assert store["batch"].to_numpy().tolist() == expected["batch"].to_numpy().tolist()
    assert store.attrs["alignment"] == expected.attrs["alignment"]
    assert store.attrs["batch_column"] == "plate"


def test_batches_are_aligned_as_in_the_whole_table(
    blood: pd.DataFrame, client: distributed.Client, model: Path, tmp_path: Path
) -> None:
    """One batch of 24 samples, one of 14, whose spread is that within all, and one of 2."""
    names = ["first"] * 24 + ["the second plate"] * 14 + ["c"] * 2
    batch = pd.Series(names, blood.index, name="plate").sample(frac=1, random_state=0)
    own = batch.reindex(blood.index)
    table = blood.mul(own.map({"first": 1.0, "the second plate": 3.0, "c": 0.2}), axis=0)
    path = write_parquet(table.astype(np.float32), tmp_path)
    request = ChunkedRequest(path, tmp_path / "p.zarr", model, targets=TARGETS, chunk=13)
    result = predict_chunked(request, client, batch=batch)
    predictor = Predictor.load(model)
    prepared = predictor.prepare(table.astype(np.float32), batch=own)
    expected = predictor.predict_prepared(prepared, TARGETS)
    same_as_whole(opened(tmp_path / "p.zarr"), expected)
    pd.testing.assert_frame_equal(result.by_batch, prepared.aligned.by_batch(), rtol=1e-4)
    assert any("plate" in str(note) for note in result.notes)
    # What is saved reads the same samples again as they were read.
    assert result.saved is not None
    again = replace(request, output=tmp_path / "again.zarr", chunk=20)
    predict_chunked(again, client, batch=batch, alignment_from=result.saved)
    first, second = opened(tmp_path / "p.zarr"), opened(tmp_path / "again.zarr")
    np.testing.assert_allclose(first["z"], second["z"], atol=2e-6)
    later = predictor.predict(table.iloc[[30]], batch=own, alignment_from=result.saved)
    shown = later["z"].sel(tissue=list(TARGETS)).isel(sample=0)
    np.testing.assert_allclose(shown, first["z"].isel(sample=30), atol=2e-6)
    assert "a saved alignment of 40 samples" in second.attrs["alignment_from"]
    assert "alignment_from" not in first.attrs
    with pytest.raises(SelectionError, match="batch"):
        predict_chunked(
            replace(again, output=tmp_path / "n.zarr"), client, alignment_from=result.saved
        )
