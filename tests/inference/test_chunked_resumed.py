"""A prediction by chunks goes on where it stopped, whatever dies or changes on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import xarray as xr
import zarr

from mtm_core.errors import InputFileError
from mtm_core.inference.chunked import ChunkedRequest, predict_chunked
from mtm_core.inference.cluster import dask_client
from mtm_core.inference.predictor import Predictor
from tests.inference.stored_tables import (
    TARGETS,
    opened,
    write_h5ad,
    write_zarr,
)

distributed = pytest.importorskip("distributed")


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
