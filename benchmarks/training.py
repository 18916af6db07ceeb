"""Training speed: pairs a second, share of the machine's GEMM rate, against plain PyTorch.

python benchmarks/training.py [--genes 59,19291] [--device cpu] [--threads 2]

Both train MTM with the paper's six losses on the same simulated samples of 49 tissues, batch by
batch in turn, so that what else the machine does weighs on both alike; medians are shown. The GEMM
rate is that of the best of three square products in float32. The bundled setting is what
``mtm train --preset acmg59`` runs: the individual loss alone, no plain peer.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from statistics import median

import numpy as np
import torch
from arithmetic import flops_a_pair
from lightning_fabric import Fabric
from measuring import Row, print_rows
from plain_training import PairDataset, PlainMTM, PlainTraining, Sizes

from mtm_core.config import LossConfig, RunConfig, preset
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.model.mtm import MTM
from mtm_core.training.hardware import Precision
from mtm_core.training.optimisers import optimisers_of
from mtm_core.training.resident import Batch
from mtm_core.training.step import training_step

N_TISSUES = 49
SAMPLES_A_DONOR = 20
COMMAND = "python benchmarks/training.py"


@dataclass(frozen=True)
class Samples:
    """Simulated z-scores (N, G) with their tissues (N,) and donors."""

    z: torch.Tensor
    tissue: torch.Tensor
    donor: list[int]

    @classmethod
    def draw(cls, n_samples: int, n_genes: int) -> Samples:
        """Draw them; values carry no signal, which costs the same time."""
        generator = torch.Generator().manual_seed(0)
        return cls(
            torch.randn(n_samples, n_genes, generator=generator),
            torch.randint(N_TISSUES, (n_samples,), generator=generator),
            [i // SAMPLES_A_DONOR for i in range(n_samples)],
        )


def scaler_of(n_genes: int) -> TissueScaler:
    shape = (N_TISSUES, n_genes)
    return TissueScaler(np.full(shape, 5, np.float32), np.ones(shape, np.float32), "log2")


def ours(
    config: RunConfig, samples: Samples, device: str, precision: Precision, losses: LossConfig
) -> Callable[[], None]:
    """Return a call that takes one training step as the trainer does."""
    fabric = Fabric(accelerator=device, devices=1, precision=precision)
    scaler = scaler_of(config.model.n_genes)
    model = MTM(config.model, scaler).to(fabric.device).train()
    optimisers = optimisers_of(model, config.training)
    z, tissue = samples.z.to(fabric.device), samples.tissue.to(fabric.device)
    pairs = torch.tensor(PairDataset(samples.z, samples.z, tissue, samples.donor).pairs)
    pairs, size = pairs.to(fabric.device), config.training.batch_size

    def take() -> None:
        chosen = torch.randint(len(pairs), (size,), device=fabric.device)
        source, target = pairs[chosen].unbind(dim=1)
        batch = Batch(
            z[source],
            tissue[source],
            z[target],
            tissue[target],
            torch.randn(size, config.model.n_noise, device=fabric.device),
            torch.randint(N_TISSUES, (size,), device=fabric.device),
        )
        training_step(
            model,
            batch,
            losses,
            optimisers,
            autocast=fabric.autocast,
            backward=fabric.backward,
            average=lambda _: None,
        )

    return take


def plain(config: RunConfig, samples: Samples, device: str) -> Callable[[], None]:
    """Return a call that takes one step of the plain peer."""
    scaler = scaler_of(config.model.n_genes)
    sizes = Sizes(**{f.name: getattr(config.model, f.name) for f in fields(Sizes)})
    mean, sd = torch.from_numpy(scaler.mean).to(device), torch.from_numpy(scaler.sd).to(device)
    training = PlainTraining(PlainMTM(sizes, mean, sd).to(device).train())
    data = PairDataset(torch.relu(samples.z + 5), samples.z, samples.tissue, samples.donor)
    size = config.training.batch_size

    def endless() -> Iterator[list[torch.Tensor]]:
        while True:
            yield from training.loader(data, size)

    batches = endless()

    def take() -> None:
        batch = [part.to(device) for part in next(batches)]
        noise = torch.randn(size, config.model.n_noise, device=device)
        training.step(batch, noise, torch.randint(N_TISSUES, (size,), device=device))

    return take


def seconds(calls: list[Callable[[], None]], n: int, device: str) -> list[float]:
    """Time each call ``n`` times, in turn: medians, after one call each to warm up."""
    taken: list[list[float]] = [[] for _ in calls]
    for round_ in range(n + 1):
        for call, times in zip(calls, taken, strict=True):
            finish(device)
            began = time.perf_counter()
            call()
            finish(device)
            if round_:
                times.append(time.perf_counter() - began)
    return [median(times) for times in taken]


def finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def gemm_flops(device: str, size: int = 2048) -> float:
    """Return float32 operations a second of a square product, the best of three."""
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    times = []
    for _ in range(4):
        finish(device)
        began = time.perf_counter()
        torch.mm(a, b)
        finish(device)
        times.append(time.perf_counter() - began)
    return 2 * size**3 / min(times[1:])


def measure(genes: list[int], device: str, threads: int, n_steps: int) -> list[Row]:
    """Time both at each number of genes, and the bundled setting at 59."""
    torch.set_num_threads(threads)
    rows: list[Row] = []
    for n_genes in genes:
        samples = Samples.draw(2000 if n_genes < 1000 else 400, n_genes)
        wide = replace(
            preset("paper", n_genes, N_TISSUES), scaling=preset("acmg59", 1, 2).scaling
        )  # on log2: the same products, and no power of two to overflow on noise
        n = n_steps if n_genes < 1000 else max(2, n_steps // 5)
        settings = {"the paper's widths": wide}
        if n_genes < 1000:
            small = preset("acmg59", n_genes, N_TISSUES)
            model = replace(small.model, encoder_input="log2")
            settings["the bundled model's widths"] = replace(small, model=model)
        for name, config in settings.items():
            size = config.training.batch_size
            rate = gemm_flops(device)
            calls = [
                ours(config, samples, device, "32-true", LossConfig()),
                ours(config, samples, device, "bf16-mixed", LossConfig()),
                plain(config, samples, device),
            ]
            fp32, bf16, peer = (size / s for s in seconds(calls, n, device))
            del calls
            what = f"training, {n_genes:,} genes, {name}"
            for precision, ours_ in (("fp32", fp32), ("bf16", bf16)):
                rows.append(
                    {
                        "what": f"{what}, {precision}",
                        "value": ours_,
                        "unit": "pairs/s",
                        "against": "plain PyTorch, fp32",
                        "peer": peer,
                        "ratio": ours_ / peer,
                        "command": COMMAND,
                    }
                )
            arithmetic = flops_a_pair(config.model)
            rows += [
                {
                    "what": f"{what}, arithmetic of fp32",
                    "value": fp32 * arithmetic / 1e9,
                    "unit": "GFLOP/s",
                    "against": "a square product",
                    "floor": rate / 1e9,
                    "ratio": fp32 * arithmetic / rate,
                    "command": COMMAND,
                },
                {
                    "what": f"{what}, if it were nothing but products at that rate",
                    "value": rate / arithmetic,
                    "unit": "pairs/s",
                    "against": "plain PyTorch, fp32",
                    "peer": peer,
                    "ratio": rate / arithmetic / peer,
                    "command": COMMAND,
                },
            ]
        if n_genes < 1000:
            (taken,) = seconds([ours(config, samples, device, "32-true", config.loss)], n, device)
            rows.append(
                {
                    "what": f"training, {n_genes:,} genes, as bundled (individual loss), fp32",
                    "value": size / taken,
                    "unit": "pairs/s",
                    "command": COMMAND,
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--genes", default="59,19291")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=15)
    options = parser.parse_args()
    genes = [int(part) for part in options.genes.split(",")]
    print_rows(measure(genes, options.device, options.threads, options.steps))


if __name__ == "__main__":
    main()
