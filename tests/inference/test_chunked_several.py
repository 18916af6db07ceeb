"""Several tissues of the same people, chunk by chunk, are predicted as from whole tables."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

from mtm_core.data.formats.stored_table import open_stored_table
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.inference.blocks import predict_blocks
from mtm_core.inference.chunked import ChunkedRequest, StoredTissue, predict_chunked
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model

distributed = pytest.importorskip("distributed")

BLOOD, MUSCLE, SKIN = "Whole Blood", "Muscle - Skeletal", "Skin - Sun Exposed (Lower leg)"
TARGETS = ("Lung", "Liver")
VALUES = ("z", "expression", "lower", "upper")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Blood of the first 30; as if muscle of 8 to 40, in another order; as if skin of 3."""
    path = Path(__file__).parents[2] / "data_samples" / "blood_tpm.tsv"
    values = pd.read_csv(path, sep="\t", index_col="sample").astype(np.float32)
    muscle = (values.iloc[8:] + 1).sample(frac=1, random_state=0)
    return {BLOOD: values.iloc[:30], MUSCLE: muscle, SKIN: values.iloc[[35, 2, 20]] * 2}


@pytest.fixture
def request_of_all(tables: dict[str, pd.DataFrame], tmp_path: Path) -> ChunkedRequest:
    tables[BLOOD].to_parquet(tmp_path / "blood.parquet", row_group_size=9)
    ad.AnnData(tables[MUSCLE]).write_h5ad(tmp_path / "muscle.h5ad")
    tables[SKIN].to_parquet(tmp_path / "skin.parquet", row_group_size=2)
    further = (
        StoredTissue(tmp_path / "muscle.h5ad", MUSCLE, "tpm"),
        StoredTissue(tmp_path / "skin.parquet", SKIN, "tpm"),
    )
    return ChunkedRequest(
        tmp_path / "blood.parquet", tmp_path / "p.zarr", find_model(DEFAULT_MODEL).resolve(),
        targets=TARGETS, unit="tpm", chunk=7, further=further,
    )  # fmt: skip


def opened(path: Path) -> xr.Dataset:
    dataset = xr.open_zarr(path).load()
    del dataset.attrs["run"]
    return dataset


def test_chunks_of_several_tissues_are_the_whole(
    client: distributed.Client,
    predictor: Predictor,
    tables: dict[str, pd.DataFrame],
    request_of_all: ChunkedRequest,
) -> None:
    """Blood and muscle aligned by their own batches; skin, of three people, not at all."""
    plate = pd.Series(["a", "b"] * 20, sorted(set().union(*(t.index for t in tables.values()))))
    batch = {MUSCLE: plate.rename("plate")}
    people = pd.DataFrame({"age": [50.0] * 20, "sex": ["male"] * 20}, index=plate.index[10:30])
    result = predict_chunked(request_of_all, client, batch=batch, phenotypes=people)
    together = predictor.prepare_tables(tables, unit="tpm", batch=batch)
    expected = predictor.predict_prepared(together, TARGETS, phenotypes=people)
    store = opened(request_of_all.output)
    assert store.attrs == expected.attrs
    assert "for 30 of 40 people" in result.interval
    xr.testing.assert_allclose(store, expected, rtol=1e-4, atol=1e-5)
    assert np.isnan(store["lower"]).any()
    assert result.sizes == (40, 2, 59)
    assert result.by_sample["used_age_sex"].sum() == 20
    given = [
        " ".join(name for name, table in tables.items() if person in table.index)
        for person in together.samples
    ]
    counted = pd.Series(given).value_counts().to_dict()
    assert {k.replace("; ", " "): n for k, n in result.tissues_given.items()} == counted
    for own, whole in zip(result.tables, together.tables, strict=True):
        distance = whole.aligned.distance[["distance_before", "distance_after"]]
        shown = own.distance.loc[distance.index]
        pd.testing.assert_frame_equal(shown, distance, rtol=1e-5, check_names=False)
    muscle = result.tables[1]
    own_batches = together.tables[1].aligned.by_batch().set_index("batch").sort_index()
    shown = muscle.by_batch.set_index("batch").sort_index()
    pd.testing.assert_frame_equal(shown, own_batches, rtol=1e-4)
    assert [one.alignment for one in result.tables] == ["cohort", "cohort", "none"]
    notes = {str(note) for note in result.notes}
    assert {str(note) for note in together.notes} <= notes


def test_by_saved_alignments_chunks_are_the_whole_to_the_bit(
    client: distributed.Client,
    predictor: Predictor,
    tables: dict[str, pd.DataFrame],
    request_of_all: ChunkedRequest,
) -> None:
    saved = {t.source: t.alignment for t in predictor.prepare_tables(tables, unit="tpm").tables}
    request = replace(request_of_all, unit="auto")
    predict_chunked(request, client, alignment_from=saved)
    store = opened(request.output)
    together = predictor.prepare_tables(tables, unit="tpm", alignment_from=saved)
    size = 7 * 16 * len(TARGETS) * 59
    blocks = predict_blocks(predictor, together, TARGETS, block_bytes=size)
    for number, block in enumerate(blocks):
        own = store.isel(sample=slice(7 * number, 7 * number + 7))
        for name in VALUES:
            # A block in which nobody has an interval has no bounds.
            wanted = block[name] if name in block else np.full(own[name].shape, np.nan)
            np.testing.assert_array_equal(own[name], wanted, err_msg=name)
        np.testing.assert_array_equal(own["is_given"], block["is_given"])


def test_a_run_of_several_tissues_goes_on_and_another_is_refused(
    client: distributed.Client, request_of_all: ChunkedRequest, tmp_path: Path
) -> None:
    class CutOffError(Exception):
        pass

    def cut_off(what: str, done: int, total: int) -> None:
        if what == "Predicting" and done == 4:
            raise CutOffError

    with pytest.raises(CutOffError):
        predict_chunked(request_of_all, client, progress=cut_off)
    assert not request_of_all.output.exists()
    result = predict_chunked(request_of_all, client)
    assert result.n_there_before >= 4
    assert len(result.tables[1].distance) == 32
    again = predict_chunked(request_of_all, client)
    assert again.n_there_before == again.n_chunks == 6
    assert again.tables[1].distance.empty
    without = replace(request_of_all, further=request_of_all.further[:1])
    with pytest.raises(SelectionError, match=r"begun with other options: .*further tissues"):
        predict_chunked(without, client)
    # Another muscle of the same names is another table.
    other = ad.read_h5ad(tmp_path / "muscle.h5ad")
    other.X = other.X * 2
    other.write_h5ad(tmp_path / "new.h5ad")
    (tmp_path / "new.h5ad").replace(tmp_path / "muscle.h5ad")
    with pytest.raises(SelectionError, match=r"muscle.h5ad and .* have now"):
        predict_chunked(request_of_all, client)


def test_tables_without_a_person_in_common_are_refused(
    client: distributed.Client,
    tables: dict[str, pd.DataFrame],
    request_of_all: ChunkedRequest,
    tmp_path: Path,
) -> None:
    tables[MUSCLE].add_prefix("M-", axis=0).to_parquet(tmp_path / "other.parquet")
    further = (StoredTissue(tmp_path / "other.parquet", MUSCLE, "tpm"),)
    with pytest.raises(SelectionError, match="no sample name in common"):
        predict_chunked(replace(request_of_all, further=further), client)
    tables[MUSCLE].add_suffix("_muscle", axis=0).to_parquet(tmp_path / "near.parquet")
    further = (StoredTissue(tmp_path / "near.parquet", MUSCLE, "tpm"),)
    near = replace(request_of_all, further=further, near_people=True)
    assert predict_chunked(near, client).tissues_given[f"{BLOOD}; {MUSCLE}"] == 22


@pytest.mark.parametrize("name", ["blood.parquet", "muscle.h5ad"])
def test_rows_are_read_in_any_order(
    request_of_all: ChunkedRequest, tmp_path: Path, name: str, rng: np.random.Generator
) -> None:
    table = open_stored_table(tmp_path / name)
    whole = table.read(0, len(table.samples))
    for rows in ([4], [5, 6, 7], rng.permutation(len(whole))[:17]):
        pd.testing.assert_frame_equal(table.take(np.array(rows)), whole.iloc[list(rows)])


def test_a_further_table_that_changes_on_the_way_is_an_error(
    client: distributed.Client,
    tables: dict[str, pd.DataFrame],
    request_of_all: ChunkedRequest,
    tmp_path: Path,
) -> None:
    settings = ad.settings.override(zarr_write_format=3, auto_shard_zarr_v3=False)
    with settings, warnings.catch_warnings(action="ignore"):  # that its metadata is consolidated
        ad.AnnData(tables[MUSCLE]).write_zarr(tmp_path / "muscle.zarr", chunks=(6, 20))

    def meddle(what: str, done: int, total: int) -> None:
        if what == "Predicting" and done == 0:
            x = zarr.open_group(tmp_path / "muscle.zarr", mode="r+")["X"]
            x[:] = x[:] + 1

    request = replace(
        request_of_all, further=(StoredTissue(tmp_path / "muscle.zarr", MUSCLE, "tpm"),)
    )
    with pytest.raises(InputFileError, match=r"muscle.zarr: samples \d+ to \d+ have changed"):
        predict_chunked(request, client, progress=meddle)
