"""Inference at genome width: all tissues of many blood samples against the bare matrix products.

python benchmarks/inference.py [--samples 1000] [--genes 19291] [--threads 2]

The model is MTM at the paper's widths with random weights: it predicts nothing, at the cost of one
that does. The floor is the products of the encoder once and of the generator once a
tissue, and nothing else. Both are taken after one go to warm up, for memory that the machine never
used before is slow at first, and by turns.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from measuring import Row, print_rows
from predict_at_scale import N_TISSUES, random_mtm

from mtm_core.config import ModelConfig
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.protocol import target_predictor

COMMAND = "python benchmarks/inference.py"
_LOAD = """
import sys, time
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
began = time.perf_counter()
Predictor.load(sys.argv[1])
print(time.perf_counter() - began)
"""


def bare_products(config: ModelConfig, n_samples: int) -> Callable[[], None]:
    """Return a call that multiplies what a prediction must."""
    encoder = (config.n_genes, *config.encoder_widths, config.n_latent)
    generator = (config.n_latent, *config.generator_widths, config.n_genes)
    once, a_tissue = (
        [(torch.randn(n_samples, a), torch.randn(b, a)) for a, b in pairwise(widths)]
        for widths in (encoder, generator)
    )

    def multiply() -> None:
        with torch.inference_mode():
            for x, w in once + a_tissue * (N_TISSUES - 1):
                torch.mm(x, w.T)

    return multiply


def by_turns(calls: list[Callable[[], object]], n: int) -> list[float]:
    """Time each call ``n`` times after one to warm up: medians, in s."""
    taken: list[list[float]] = [[] for _ in calls]
    for round_ in range(n + 1):
        for call, times in zip(calls, taken, strict=True):
            gc.collect()
            began = time.perf_counter()
            call()
            if round_:
                times.append(time.perf_counter() - began)
    return [median(times) for times in taken]


def seconds_to_load(folder: Path, n: int = 3) -> float:
    """Load in processes of their own, imports not counted: median."""
    command = [sys.executable, "-c", _LOAD, str(folder)]
    return median(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(n)
    )


def measure(n_samples: int, n_genes: int, threads: int, repeats: int) -> list[Row]:
    """Measure loading in both formats of weights, and prediction of all tissues."""
    torch.set_num_threads(threads)
    rows: list[Row] = []
    artefact = random_mtm(n_genes)
    with tempfile.TemporaryDirectory() as folder:
        for weights in ("fp32", "bf16"):
            path = Path(folder) / weights
            artefact.save(path, weights=weights)  # type: ignore[arg-type]
            size = (path / "model.safetensors").stat().st_size / 1e6
            seconds = seconds_to_load(path)
            what = f"load a model of {n_genes:,} genes"
            rows += [
                {"what": f"{what}, {weights}", "value": seconds, "unit": "s", "command": COMMAND},
                {"what": f"{what}, {weights}", "value": size, "unit": "MB", "command": COMMAND},
            ]
    predictor = Predictor(artefact)
    values = np.random.default_rng(1).lognormal(3, 1, (n_samples, n_genes)).astype(np.float32)
    table = pd.DataFrame(
        values, columns=artefact.genes.index, index=[f"sample {i}" for i in range(n_samples)]
    )
    prepared = predictor.prepare(table, unit="tpm")
    del table, values
    method = artefact.method
    assert isinstance(method, FittedMTM)
    *taken, floor = by_turns(
        [
            lambda: one_by_one(predictor, prepared),
            lambda: predictor.predict_prepared(prepared),
            bare_products(method.config.model, n_samples),
        ],
        repeats,
    )
    gigabytes = 2 * 4 * n_samples * (N_TISSUES - 1) * n_genes / 1e9
    what = f"predict {N_TISSUES - 1} tissues x {n_genes:,} genes of {n_samples:,} samples"
    how_held = ("each tissue let go when it is made", f"all {gigabytes:.1f} GB held in memory")
    for how, seconds in zip(how_held, taken, strict=True):
        rows.append(
            {
                "what": f"{what}, {how}",
                "value": seconds,
                "unit": "s",
                "against": "the bare matrix products",
                "floor": floor,
                "ratio": seconds / floor,
                "command": COMMAND,
            }
        )
    return rows


def one_by_one(predictor: Predictor, prepared: Prepared) -> None:
    """Predict z-scores and expression of each tissue, and keep none."""
    method = predictor.artefact.method
    predict = target_predictor(method, {prepared.source: prepared.aligned.z})
    expression = np.empty_like(prepared.aligned.z)
    for target in predictor.targets_of(prepared.source):
        tissue = predictor.tissues.index(target)
        method.scaler.inverse(predict(target).mean, tissue, out=expression)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--genes", type=int, default=19291)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print_rows(measure(options.samples, options.genes, options.threads, options.repeats))


if __name__ == "__main__":
    main()
