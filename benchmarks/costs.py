"""Cost against genes, samples and tissues: a training step, and a prediction.

python benchmarks/costs.py [--threads 2]

MTM at the paper's widths. A step is of 256 pairs and all six losses; a prediction of 200 samples to
48 tissues over 5,000 genes, unless it is that number which varies.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measuring import Row, print_rows
from predict_at_scale import random_mtm
from training import N_TISSUES, Samples, ours

from mtm_core.config import LossConfig, preset
from mtm_core.inference.predictor import Predictor

GENES = (59, 500, 2000, 5000, 10000, 19291)
SAMPLES = (1, 10, 50, 200, 500)
TISSUES = (1, 6, 12, 24, 48)
_SAMPLES, _GENES = 200, 5000
COMMAND = "python benchmarks/costs.py"


def measure(*, threads: int = 2) -> list[Row]:
    """Time both over each range."""
    torch.set_num_threads(threads)
    rows = [_row("training step", "genes", n_genes, best_of(step(n_genes), 2)) for n_genes in GENES]
    for n_genes in GENES:
        predict = prediction(random_mtm(n_genes), _SAMPLES, N_TISSUES - 1)
        rows.append(_row("prediction", "genes", n_genes, best_of(predict, 2)))
    model = random_mtm(_GENES)
    for n_samples in SAMPLES:
        predict = prediction(model, n_samples, N_TISSUES - 1)
        rows.append(_row("prediction", "samples", n_samples, best_of(predict, 2)))
    for n_tissues in TISSUES:
        predict = prediction(model, _SAMPLES, n_tissues)
        rows.append(_row("prediction", "tissues", n_tissues, best_of(predict, 2)))
    return rows


def step(n_genes: int) -> Callable[[], object]:
    """Return a call that takes a training step."""
    config = preset("paper", n_genes, N_TISSUES)
    config = replace(config, scaling=preset("acmg59", 1, 2).scaling)
    return ours(config, Samples.draw(400, n_genes), "cpu", "32-true", LossConfig())


def prediction(model: object, n_samples: int, n_tissues: int) -> Callable[[], object]:
    """Return a call that predicts ``n_tissues`` of ``n_samples``."""
    predictor = Predictor(model)  # type: ignore[arg-type]
    genes = predictor.artefact.genes.index
    values = np.random.default_rng(0).lognormal(3, 1, (n_samples, len(genes))).astype(np.float32)
    table = pd.DataFrame(values, columns=genes, index=[f"sample {i}" for i in range(n_samples)])
    prepared = predictor.prepare(table, unit="tpm")
    targets = [t for t in predictor.tissues if t != prepared.source][:n_tissues]
    return lambda: predictor.predict_prepared(prepared, targets)


def best_of(call: Callable[[], object], n: int) -> float:
    """Call once to warm up, then ``n`` times: the least of the seconds."""
    taken = []
    for _ in range(n + 1):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


def _row(what: str, against: str, number: int, seconds: float) -> Row:
    return {
        "what": f"{what}, {number:,} {against}",
        "value": seconds,
        "unit": "s",
        "of": what,
        "varies": against,
        "number": number,
        "command": COMMAND,
    }


def draw(rows: list[Row], path: Path) -> None:
    """Draw seconds against each number, on logarithmic axes, as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    panels = (
        ("training step", "genes"),
        ("prediction", "genes"),
        ("prediction", "samples"),
        ("prediction", "tissues"),
    )
    figure, axes = plt.subplots(1, len(panels), figsize=(12, 3.2), layout="constrained")
    for axis, (what, varies) in zip(axes, panels, strict=True):
        own = [row for row in rows if row["of"] == what and row["varies"] == varies]
        axis.loglog([row["number"] for row in own], [row["value"] for row in own], "o-")
        axis.set(title=what, xlabel=varies, ylabel="seconds")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_formatter(StrMethodFormatter("{x:,g}"))
            scale.set_minor_locator(NullLocator())
        axis.grid(visible=True, which="major", alpha=0.3)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    print_rows(measure(threads=parser.parse_args().threads))


if __name__ == "__main__":
    main()
