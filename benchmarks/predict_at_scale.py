"""Predict simulated blood samples part by part, kill a worker on the way, and say what it costs.

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

from mtm_core.artefact import QUANTILE_LEVELS, Artefact, Reference
from mtm_core.config import preset
from mtm_core.data.gtex import tissue_table
from mtm_core.data.scaling import TissueScaler
from mtm_core.inference.chunked import ChunkedRequest, predict_chunked
from mtm_core.inference.cluster import dask_client
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.mtm import FittedMTM
from mtm_core.model.mtm import MTM

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
    with TemporaryDirectory(dir=folder) as scratch:
        place = Path(scratch)
        rows = _measure_model(
            find_model(DEFAULT_MODEL).resolve(), n_samples, workers, place / "panel", kill=True
        )
        if n_wide:
            model = place / "wide_model"
            random_mtm(n_genes).save(model)
            rows += _measure_model(model, n_wide, workers, place / "wide", kill=False)
    return rows


def random_mtm(n_genes: int = N_GENES) -> Artefact:
    """Give an MTM of the paper's size with random weights, and a made-up reference."""
    rng = np.random.default_rng(0)
    tissues = tissue_table().drop(index=tissue_table().index[:5]).assign(n_samples=100)
    shape = (N_TISSUES, n_genes)
    mean = rng.normal(4, 2, shape).clip(0).astype(np.float32)
    scaler = TissueScaler(mean, np.full(shape, 0.8, dtype=np.float32), "log2")
    config = preset("paper", n_genes, N_TISSUES)
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


def _measure_model(
    model: Path, n_samples: int, workers: int, place: Path, *, kill: bool
) -> list[Row]:
    place.mkdir()
    predictor = Predictor.load(model)
    write_samples(predictor, n_samples, place / "blood.zarr")
    request = ChunkedRequest(place / "blood.zarr", place / "predicted.zarr", model, unit="tpm")
    times: dict[str, float] = {}
    killed: list[int] = []
    with dask_client(workers=workers) as client:

        def watch(what: str, done: int, total: int) -> None:
            times.setdefault(what, time.perf_counter())
            if kill and not killed and what == "Predicting" and done >= total // 2:
                killed.extend(client.run(os.getpid).values())
                os.kill(killed[0], signal.SIGKILL)

        began = time.perf_counter()
        result = predict_chunked(request, client, progress=watch)
        ended = time.perf_counter()
        peaks = client.run(_peak_bytes).values()
    got = xr.open_zarr(request.output)
    whole = int(np.isfinite(got["z"]).sum()) == got["z"].size
    in_memory = _in_memory_seconds(predictor, request.table, got, n_samples)
    _, n_tissues, n_genes = result.sizes
    name = f"{n_samples:,} samples x {n_tissues} tissues x {n_genes:,} genes"
    seconds = ended - times["Predicting"]
    here = psutil.Process().memory_info().rss / 1e9
    command = f"{COMMAND} --workers {workers}"
    rows: list[Row] = [
        {
            "what": f"{name}: predicted and stored, 1,000 samples",
            "value": 1000 * seconds / n_samples,
            "unit": "s",
            "peer": 1000 * in_memory / workers,
            "against": f"in memory on one thread, over {workers}",
            "ratio": seconds / n_samples / (in_memory / workers),
            "command": command,
        },
        {
            "what": f"{name}: looked through and aligned first, 1,000 samples",
            "value": 1000 * (times["Predicting"] - began) / n_samples,
            "unit": "s",
            "command": command,
        },
        {
            "what": f"{name}: most memory of a worker",
            "value": max(peaks) / 1e9,
            "unit": "GB",
            "peer": 16 * n_samples * n_tissues * n_genes / 1e9,
            "against": "the whole prediction in memory",
            "ratio": max(peaks) / (16 * n_samples * n_tissues * n_genes),
            "command": command,
        },
        {
            "what": f"{name}: memory of what directs them",
            "value": here,
            "unit": "GB",
            "command": command,
        },
    ]
    if kill:
        rows.append(
            {
                "what": f"{name}: one of {workers} workers killed; share of values that are there",
                "value": 1.0 if whole and killed else 0.0,
                "unit": "",
                "command": command,
            }
        )
    return rows + _stored_bytes(request, name, command)


def _peak_bytes() -> int:
    """Most memory that this process ever had (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return psutil.Process().memory_info().rss


def _in_memory_seconds(predictor: Predictor, table: Path, got: xr.Dataset, n_samples: int) -> float:
    """Time a sample in memory, on one thread, and hold the stored values to it."""
    n = min(n_samples, 1_000 if got.sizes["gene"] < 1_000 else 64)
    x = zarr.open_group(table, mode="r")["X"][:n]
    frame = pd.DataFrame(x, got["sample"].to_numpy()[:n], predictor.artefact.genes.index)
    prepared = predictor.prepare(frame, unit="tpm", alignment="none")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        began = time.perf_counter()
        predictor.predict_prepared(prepared)
        seconds = time.perf_counter() - began
    torch.set_num_threads(threads)
    return seconds / n


def _stored_bytes(request: ChunkedRequest, name: str, command: str) -> list[Row]:
    """Say what a value takes on disk, as it was stored and rounded to 10 bits."""
    from mtm_core.inference.prediction_store import _COMPRESSION, rounded

    group = zarr.open_group(request.output, mode="r")
    rows: list[Row] = []
    for variable in ("z", "expression"):
        array = group[variable]
        part = array[: array.chunks[0], : array.chunks[1]]
        for bits in (23, 10):
            path = request.output.with_name(f"{variable}{bits}.zarr")
            copy = zarr.create_array(
                path, shape=part.shape, chunks=part.shape, dtype="f4", compressors=_COMPRESSION
            )
            copy[:] = rounded(part, bits)
            stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            rows.append(
                {
                    "what": f"{name}: {variable} on disk, {bits} bits after the point",
                    "value": stored / part.size,
                    "unit": "bytes",
                    "peer": 4.0,
                    "against": "float32 as it is",
                    "ratio": stored / part.size / 4,
                    "command": command,
                }
            )
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
