"""Predict simulated blood samples in chunks, kill a worker on the way, and say what it costs.

Twice: with the bundled model (59 genes), and with an MTM of the paper's size whose weights are
random, so that it predicts nothing, at the same cost. Rates are held against the same samples in
memory, predicted by one process on one thread, shared among as many processes.

python benchmarks/predict_at_scale.py [--samples 20000] [--wide-samples 256] [--workers 2]
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil
import torch
import xarray as xr
import zarr
from anndata.io import write_elem
from measuring import Row, print_rows
from threadpoolctl import threadpool_limits

from mtm_core.artefact import Artefact
from mtm_core.bit_rounding import rounded
from mtm_core.config import ScalingConfig, preset
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.gtex.annotations import tissue_table
from mtm_core.inference.chunked import ChunkedRequest, predict_chunked
from mtm_core.inference.cluster import dask_client
from mtm_core.inference.prediction_store import COMPRESSION
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.mtm import FittedMTM
from mtm_core.model.mtm import MTM
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.model_reference import QUANTILE_LEVELS, Reference

BLOOD = "Whole Blood"
N_GENES, N_TISSUES = 19_291, 49
_AT_ONCE = 1_000
COMMAND = "python benchmarks/predict_at_scale.py"


def measure(
    *,
    n_samples: int = 20_000,
    n_wide: int = 256,
    workers: int = 2,
    n_genes: int = N_GENES,
    folder: Path | None = None,
) -> list[Row]:
    """Predict both ways; files go to ``folder``, by default one that is deleted."""
    command = f"{COMMAND} --samples {n_samples} --wide-samples {n_wide} --workers {workers}"
    with TemporaryDirectory(dir=folder) as scratch:
        place = Path(scratch)
        bundled = find_model(DEFAULT_MODEL).resolve()
        rows = _measure_model(bundled, n_samples, workers, place / "panel", command, kill=True)
        if n_wide:
            model = place / "wide_model"
            random_mtm(n_genes).save(model)
            rows += _measure_model(model, n_wide, workers, place / "wide", command, kill=False)
    return rows


def random_mtm(n_genes: int = N_GENES) -> Artefact:
    """Return an MTM of the paper's size with random weights, and a made-up reference."""
    rng = np.random.default_rng(0)
    tissues = tissue_table().drop(index=tissue_table().index[:5]).assign(n_samples=100)
    shape = (N_TISSUES, n_genes)
    mean = rng.normal(4, 2, shape).clip(0).astype(np.float32)
    scaler = TissueScaler(mean, np.full(shape, 0.8, dtype=np.float32), "log2")
    config = replace(preset("paper", n_genes, N_TISSUES), scaling=ScalingConfig("log2"))
    torch.manual_seed(0)
    method = FittedMTM(MTM(config.model, scaler).eval(), scaler, tuple(tissues.index), config)
    ids = pd.Index([f"ENSG{i:011d}" for i in range(n_genes)], name="gene_id")
    levels = len(QUANTILE_LEVELS)
    reference = Reference(
        np.exp2(mean) - 1, np.repeat(mean[None], levels, 0), np.ones((levels, N_TISSUES), "f4")
    )
    return Artefact(
        name="random",
        method=method,
        genes=pd.DataFrame({"symbol": "", "entrez": ""}, index=ids),
        tissues=tissues,
        unit="TPM",
        normalisation="none",
        reference=reference,
    )


def write_samples(model: Predictor, n_samples: int, path: Path, seed: int = 0) -> None:
    """Write simulated blood as a zarr store of AnnData, a thousand samples at a time."""
    code, scaler = model.tissues.index(BLOOD), model.artefact.method.scaler
    genes = model.artefact.genes
    group = zarr.create_group(path, zarr_format=2, attributes={"encoding-type": "anndata"})
    write_elem(group, "obs", pd.DataFrame(index=[f"P{i:07d}" for i in range(n_samples)]))
    write_elem(group, "var", pd.DataFrame(index=genes.index.astype(str)))
    shape = (n_samples, len(genes))
    x = group.create_array("X", shape=shape, dtype="f4", chunks=(min(256, n_samples), shape[1]))
    rng = np.random.default_rng(seed)
    for start in range(0, n_samples, _AT_ONCE):
        n = min(_AT_ONCE, n_samples - start)
        z = rng.standard_normal((n, shape[1]), dtype=np.float32)
        x[start : start + n] = scaler.inverse(z, np.full(n, code)).round(3)


@dataclass(frozen=True)
class _Run:
    """One run: seconds of each part, of wall clock and of the workers' processors."""

    first: float
    seconds: float
    processor_seconds: float
    peak_bytes: int
    complete: bool
    sizes: tuple[int, int, int]


def _run(request: ChunkedRequest, workers: int, *, kill: bool) -> _Run:
    began: dict[str, float] = {"": time.perf_counter()}
    killed: list[int] = []
    spent = 0.0
    with dask_client(workers=workers) as client:

        def watch(what: str, done: int, total: int) -> None:
            nonlocal spent
            if what not in began:
                spent = -sum(client.run(time.process_time).values())
                began[what] = time.perf_counter()
            if kill and not killed and what == "Predicting" and done >= total // 2:
                killed.extend(client.run(os.getpid).values())
                os.kill(killed[0], signal.SIGKILL)

        result = predict_chunked(request, client, progress=watch)
        ended = time.perf_counter()
        spent += sum(client.run(time.process_time).values())
        peak = max(client.run(_peak_bytes).values())
    z = xr.open_zarr(request.output)["z"]
    complete = int(np.isfinite(z).sum()) == z.size and bool(killed) == kill
    first = began["Predicting"] - began[""]
    return _Run(first, ended - began["Predicting"], spent, peak, complete, result.sizes)


def _measure_model(
    model: Path, n_samples: int, workers: int, place: Path, command: str, *, kill: bool
) -> list[Row]:
    place.mkdir()
    predictor = Predictor.load(model)
    write_samples(predictor, n_samples, place / "blood.zarr")
    request = ChunkedRequest(place / "blood.zarr", place / "predicted.zarr", model, unit="tpm")
    run = _run(request, workers, kill=False)
    wall, processor = _in_memory_seconds(predictor, request.table, n_samples)
    _, n_tissues, n_genes = run.sizes
    name = f"{n_samples:,} samples x {n_tissues} tissues x {n_genes:,} genes"
    whole = 16 * n_samples * n_tissues * n_genes / 1e9

    def row(what: str, value: float, unit: str, peer: float = 0, against: str = "") -> Row:
        found: Row = {"what": f"{name}: {what}", "value": value, "unit": unit}
        if against:
            found |= {"peer": peer, "against": against, "ratio": value / peer}
        return found | {"command": command}

    rows = [
        row(
            "predicted and stored, 1,000 samples, processors",
            1000 * run.processor_seconds / n_samples,
            "s",
            1000 * processor,
            "predicted in memory, one thread",
        ),
        row(
            "predicted and stored, 1,000 samples, wall clock",
            1000 * run.seconds / n_samples,
            "s",
            1000 * wall / workers,
            f"the same over {workers}",
        ),
        row("looked through and aligned before, 1,000 samples", 1000 * run.first / n_samples, "s"),
        row(
            "most memory of a worker",
            run.peak_bytes / 1e9,
            "GB",
            whole,
            "the whole prediction in memory",
        ),
        row("memory of the main process", psutil.Process().memory_info().rss / 1e9, "GB"),
    ]
    if kill:
        again = replace(request, output=place / "again.zarr")
        lost = _run(again, workers, kill=True)
        rows += [
            row(
                f"one of {workers} workers killed half way, wall clock",
                lost.seconds,
                "s",
                run.seconds,
                "none killed",
            ),
            row("share of values that are there", float(lost.complete), "", 1.0, "all"),
        ]
    return rows + _stored_bytes(request, row)


def _peak_bytes() -> int:
    """Most memory that this process ever had (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return psutil.Process().memory_info().rss


def _in_memory_seconds(predictor: Predictor, table: Path, n_samples: int) -> tuple[float, float]:
    """Time a sample in memory on one thread: wall clock, and processor."""
    n_genes = len(predictor.artefact.genes)
    n = min(n_samples, 1_000 if n_genes < 1_000 else 36)
    x = zarr.open_group(table, mode="r")["X"][:n]
    frame = pd.DataFrame(x, [f"P{i}" for i in range(n)], predictor.artefact.genes.index)
    prepared = predictor.prepare(frame, unit="tpm", alignment="none")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        began, spent = time.perf_counter(), time.process_time()
        predictor.predict_prepared(prepared)
        wall, processor = time.perf_counter() - began, time.process_time() - spent
    torch.set_num_threads(threads)
    return wall / n, processor / n


def _stored_bytes(request: ChunkedRequest, row: Callable[..., Row]) -> list[Row]:
    """Say what a value takes on disk, as it was stored and rounded to 10 bits."""
    group = zarr.open_group(request.output, mode="r")
    rows: list[Row] = []
    for variable in ("z", "expression"):
        array = group[variable]
        part = array[: array.chunks[0], : array.chunks[1]]
        for bits in (23, 10):
            path = request.output.with_name(f"{variable}{bits}.zarr")
            copy = zarr.create_array(
                path, shape=part.shape, chunks=part.shape, dtype="f4", compressors=COMPRESSION
            )
            copy[:] = rounded(part, bits)
            stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            what = f"{variable} on disk, {bits} bits after the point"
            rows.append(row(what, stored / part.size, "bytes", 4.0, "float32 as it is"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--wide-samples", type=int, default=256, help="0: not that")
    parser.add_argument("--genes", type=int, default=N_GENES, help="of the wide model")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where there is space")
    given = parser.parse_args()
    print_rows(
        measure(
            n_samples=given.samples,
            n_wide=given.wide_samples,
            workers=given.workers,
            n_genes=given.genes,
            folder=given.folder,
        )
    )


if __name__ == "__main__":
    main()
