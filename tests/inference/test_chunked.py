"""Chunk by chunk is the same as all at once, whatever the format, and whatever dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import psutil
import pytest
import xarray as xr
import zarr
from scipy import sparse

from mtm_core.artefact import Artefact
from mtm_core.errors import ExpressionError, InputFileError, OutputError, SelectionError
from mtm_core.inference.chunked import ChunkedRequest, predict_chunked
from mtm_core.inference.cluster import dask_client
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model
from tests.cases import base, units

distributed = pytest.importorskip("distributed")

TARGETS = ("Lung", "Liver", "Spleen")


@pytest.fixture(scope="module")
def client() -> Iterator[distributed.Client]:
    """One worker in this process: what it does is the same in another."""
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as client:
        yield client


@pytest.fixture(scope="module")
def model() -> Path:
    return find_model(DEFAULT_MODEL).resolve()


@pytest.fixture(scope="module")
def blood() -> pd.DataFrame:
    """40 simulated samples, float32 as a stored table has them."""
    path = Path(__file__).parents[2] / "data_samples" / "blood_tpm.tsv"
    return pd.read_csv(path, sep="\t", index_col="sample").astype(np.float32)


def write_h5ad(table: pd.DataFrame, folder: Path) -> Path:
    ad.AnnData(table).write_h5ad(folder / "new.h5ad", compression="gzip")
    return (folder / "new.h5ad").replace(folder / "t.h5ad")


def write_sparse_h5ad(table: pd.DataFrame, folder: Path) -> Path:
    ad.AnnData(
        sparse.csr_matrix(table.to_numpy()),
        obs=pd.DataFrame(index=table.index),
        var=pd.DataFrame(index=table.columns),
    ).write_h5ad(folder / "t.h5ad")
    return folder / "t.h5ad"


def write_zarr(table: pd.DataFrame, folder: Path) -> Path:
    settings = ad.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False)
    with settings, warnings.catch_warnings(action="ignore"):  # that its metadata is consolidated
        ad.AnnData(table).write_zarr(folder / "t.zarr", chunks=(6, 20))
    return folder / "t.zarr"


def write_parquet(table: pd.DataFrame, folder: Path) -> Path:
    table.assign(group="case", age=50).to_parquet(folder / "t.parquet", row_group_size=9)
    return folder / "t.parquet"


def write_parquet_parts(table: pd.DataFrame, folder: Path) -> Path:
    parts = folder / "parts"
    parts.mkdir()
    for number, start in enumerate(range(0, len(table), 15)):
        part = table.iloc[start : start + 15].reset_index(names="person")
        part.to_parquet(parts / f"{number}.parquet", index=False, row_group_size=4)
    return parts


WRITERS: dict[str, Callable[[pd.DataFrame, Path], Path]] = {
    "h5ad": write_h5ad,
    "sparse h5ad": write_sparse_h5ad,
    "zarr": write_zarr,
    "parquet": write_parquet,
    "parquet parts": write_parquet_parts,
}


def opened(path: Path) -> xr.Dataset:
    """The store as anybody would open it, without what only a chunked run says."""
    dataset = xr.open_zarr(path).load()
    assert "run" in dataset.attrs
    del dataset.attrs["run"]
    return dataset


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


def test_a_unit_that_is_not_clear_or_centred_is_no_result(
    client: distributed.Client, model: Path, tmp_path: Path
) -> None:
    small, z = units.small_fpkm().values.T, units.centred()["z-scores of genes"].T
    for table, unit, message in (
        (small, "auto", r"not clear.*fpkm \(FPKM\).*--unit"),
        (z, "auto", "z-scores, centred logarithms"),
        (z, "logcpm", "z-scores, centred logarithms"),
    ):
        request = ChunkedRequest(
            write_h5ad(table, tmp_path), tmp_path / "p.zarr", model, chunk=9, unit=unit
        )
        with pytest.raises(ExpressionError, match=message):
            predict_chunked(request, client)
        assert not request.output.exists()


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


def test_a_finished_run_is_left_as_it_is(
    client: distributed.Client, model: Path, blood: pd.DataFrame, tmp_path: Path
) -> None:
    request = ChunkedRequest(
        write_h5ad(blood, tmp_path), tmp_path / "p.zarr", model, targets=TARGETS, chunk=7
    )
    first = predict_chunked(request, client)
    expected = opened(request.output)
    done_before = predict_chunked(request, client)
    assert (done_before.n_there_before, done_before.n_chunks) == (6, 6)
    assert done_before.by_sample.equals(first.by_sample)
    xr.testing.assert_identical(opened(request.output), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chunk": 8}, "chunk 7, now 8"),
        ({"targets": ("Lung",)}, "targets .*now"),
        ({"unit": "cpm"}, "unit auto, now cpm"),
        ({"alignment": "none"}, "alignment auto, now none"),
        ({"bits": 10}, "bits 23, now 10"),
        ({"values": ("z",)}, "values"),
    ],
)
def test_another_command_is_refused(
    client: distributed.Client,
    model: Path,
    blood: pd.DataFrame,
    tmp_path: Path,
    change: dict[str, object],
    message: str,
) -> None:
    request = ChunkedRequest(
        write_h5ad(blood, tmp_path), tmp_path / "p.zarr", model, targets=TARGETS[:2], chunk=7
    )
    predict_chunked(request, client)
    expected = opened(request.output)
    with pytest.raises(SelectionError, match=f"was begun with other options: .*{message}"):
        predict_chunked(replace(request, **change), client)
    xr.testing.assert_identical(opened(request.output), expected)


def test_another_model_table_or_age_is_refused(
    client: distributed.Client,
    model: Path,
    small_artefact: Artefact,
    blood: pd.DataFrame,
    tmp_path: Path,
) -> None:
    table = write_h5ad(blood, tmp_path)
    request = ChunkedRequest(table, tmp_path / "p.zarr", model, targets=("Lung",), chunk=20)
    predict_chunked(request, client)
    other = find_model("gtex_v8_acmg59").resolve()
    with pytest.raises(SelectionError, match="begun with other options: model"):
        predict_chunked(replace(request, model=other), client)
    people = pd.DataFrame({"age": [50.0], "sex": ["male"]}, index=blood.index[:1])
    with pytest.raises(SelectionError, match="begun with other options: age and sex"):
        predict_chunked(request, client, phenotypes=people)
    write_h5ad(blood.iloc[::-1], tmp_path)
    with pytest.raises(
        SelectionError, match="begun with other options: names of samples and genes"
    ):
        predict_chunked(request, client)
    write_h5ad(blood * np.float32(1.5), tmp_path)
    with pytest.raises(SelectionError, match="begun from other values"):
        predict_chunked(request, client)
    # The same values written anew are the same table.
    time.sleep(0.02)
    write_h5ad(blood, tmp_path)
    assert predict_chunked(request, client).n_there_before == 2


def test_something_else_in_the_place_of_the_output_is_left(
    client: distributed.Client, model: Path, blood: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "p.zarr").mkdir()
    (tmp_path / "p.zarr" / "mine.txt").write_text("keep")
    request = ChunkedRequest(write_h5ad(blood, tmp_path), tmp_path / "p.zarr", model)
    with pytest.raises(OutputError, match="exists already, and is not a prediction"):
        predict_chunked(request, client)
    assert (tmp_path / "p.zarr" / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.nan, "sample 'SIM-012', gene 'LDLR'|got nan in sample 'SIM-012'"),
        (-5.0, "expected TPM, 0 or more.*SIM-012"),
    ],
)
def test_bad_value_is_named_in_any_chunk(
    client: distributed.Client,
    model: Path,
    blood: pd.DataFrame,
    tmp_path: Path,
    bad: float,
    message: str,
) -> None:
    table = blood.copy()
    table.iloc[11, 5] = bad
    request = ChunkedRequest(
        write_h5ad(table, tmp_path), tmp_path / "p.zarr", model, chunk=5, unit="tpm"
    )
    with pytest.raises(ExpressionError, match=message):
        predict_chunked(request, client)
    assert not request.output.exists()


def test_table_that_changes_on_the_way_is_an_error(
    client: distributed.Client, model: Path, blood: pd.DataFrame, tmp_path: Path
) -> None:
    request = ChunkedRequest(
        write_zarr(blood, tmp_path), tmp_path / "p.zarr", model, targets=("Lung",), chunk=6
    )

    def meddle(what: str, done: int, total: int) -> None:
        if what == "Predicting" and done == 0:
            x = zarr.open_group(request.table, mode="r+")["X"]
            x[39] = x[38]

    with pytest.raises(InputFileError, match="samples 37 to 40 have changed since the run began"):
        predict_chunked(request, client, progress=meddle)


# --- what dies -----------------------------------------------------------------------------------


def test_a_worker_that_is_killed_loses_nothing(
    model: Path, blood: pd.DataFrame, tmp_path: Path
) -> None:
    table = pd.concat([blood.add_prefix(f"{i}-", axis=0) for i in range(3)])
    request = ChunkedRequest(
        write_h5ad(table, tmp_path), tmp_path / "p.zarr", model, targets=TARGETS, chunk=10
    )
    killed: list[int] = []
    with dask_client(workers=2) as client:

        def kill_one(what: str, done: int, total: int) -> None:
            if what == "Predicting" and done == 3 and not killed:
                killed.extend(client.run(os.getpid).values())
                os.kill(killed[0], signal.SIGKILL)

        result = predict_chunked(request, client, progress=kill_one)
        alive = set(client.run(os.getpid).values())
    assert killed
    assert killed[0] not in alive
    assert result.n_chunks == 12
    expected = Predictor.load(model).predict(table, targets=TARGETS)
    xr.testing.assert_allclose(opened(request.output), expected, rtol=1e-4, atol=1e-5)


def test_a_run_that_is_killed_goes_on_with_the_same_request(
    client: distributed.Client, model: Path, blood: pd.DataFrame, tmp_path: Path
) -> None:
    table = pd.concat([blood.add_prefix(f"{i}-", axis=0) for i in range(4)])
    stored = write_h5ad(table, tmp_path)
    command = [
        str(Path(sys.executable).with_name("mtm")),
        *("predict", str(stored), "--targets", "Lung,Liver"),
        *("--workers", "1", "--chunk", "8", "--output", str(tmp_path / "p.zarr")),
    ]
    done = tmp_path / "p.zarr.progress" / "done"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
        while run.poll() is None and (not done.exists() or len(list(done.iterdir())) < 5):
            time.sleep(0.01)
        workers = psutil.Process(run.pid).children(recursive=True)
        run.kill()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=60)  # they end once they notice
    assert not alive
    written = {path.name: path.stat().st_mtime_ns for path in done.glob("[0-9]*[0-9]")}
    assert 5 <= len(written) < 20, "killed too early or too late to show anything"
    assert not (tmp_path / "p.zarr").exists(), "half a prediction looks whole"

    request = ChunkedRequest(stored, tmp_path / "p.zarr", model, targets=("Lung", "Liver"), chunk=8)
    newly: list[int] = []
    result = predict_chunked(
        request,
        client,
        progress=lambda what, done, total: newly.append(done) if what == "Predicting" else None,
    )
    assert result.n_there_before == len(written)
    assert newly == list(range(len(written), 21))
    expected = Predictor.load(model).predict(table, targets=["Lung", "Liver"])
    xr.testing.assert_allclose(opened(tmp_path / "p.zarr"), expected, rtol=1e-4, atol=1e-5)


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


def test_a_batch_that_is_not_known_or_other_batches_are_refused(
    blood: pd.DataFrame, client: distributed.Client, model: Path, tmp_path: Path
) -> None:
    path = write_parquet(blood, tmp_path)
    request = ChunkedRequest(path, tmp_path / "p.zarr", model, targets=TARGETS)
    batch = pd.Series(["a", "b"] * 20, blood.index, name="plate")
    with pytest.raises(SelectionError, match="plate"):
        predict_chunked(request, client, batch=batch.iloc[1:])
    assert not (tmp_path / "p.zarr").exists()
    predict_chunked(request, client, batch=batch)
    with pytest.raises(SelectionError, match="batches"):
        predict_chunked(request, client, batch=batch[::-1].set_axis(batch.index))
    with pytest.raises(SelectionError, match="all its values at once"):
        predict_chunked(replace(request, output=tmp_path / "q.zarr", alignment="quantiles"), client)
