"""What cannot be predicted chunk by chunk, or would mix two predictions, is refused by name."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.artefact import Artefact
from mtm_core.errors import ExpressionError, OutputError, SelectionError
from mtm_core.inference.chunked import ChunkedRequest, predict_chunked
from mtm_core.model_places import find_model
from tests.cases import units
from tests.inference.stored_tables import (
    TARGETS,
    opened,
    write_h5ad,
    write_parquet,
)

distributed = pytest.importorskip("distributed")


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
