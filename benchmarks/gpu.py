"""MTM at the paper's size on one GPU: speed, share of its peak, memory, and the CPU's loss curve.

One command of under 8 minutes, made for a machine that is lent for minutes. Each section has a
time of its own and is written when it is done, so that a run that is cut keeps what it has::

    python benchmarks/gpu.py --output DIR              # 19,291 genes, 49 tissues, on the GPU
    python benchmarks/gpu.py --output DIR --cpu --small   # the same code in seconds, no figures

What is timed is what ``mtm train`` runs: its resident pairs, its step with all six losses, its CUDA
graph. The cohort is simulated, with GTEx's donors and tissues: values cost the same time whatever
they say. A machine that has PyTorch, lightning-fabric and scikit-learn, but not the rest of
requirements.txt, needs beside them, at the versions of constraints.txt: anndata,
array-api-compat, cattrs, donfig, google-crc32c, legacy-api-wrap, natsort, numcodecs, platformdirs,
pooch, scverse-misc, zarr.

The script has not run on a GPU yet.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import anndata as ad
import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric

from benchmarks.arithmetic import flops_a_pair
from benchmarks.official_files import plan
from benchmarks.planted_cohort import Planted
from mtm_core.config import ModelConfig, RunConfig, preset
from mtm_core.data.cohort.cohort import filter_samples, finish_cohort, tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.data.cohort.splits import donor_folds, rows_of
from mtm_core.errors import MTMError
from mtm_core.training.hardware import Hardware, Precision
from mtm_core.training.resident import Batch, ResidentPairs
from mtm_core.training.run import Run
from mtm_core.training.trainer import train

PAPER_SECONDS = 7.97 * 3600
"""A fold of 5 on a Tesla V100S, PyTorch 1.10.2 (He et al. 2023, section 2.2)."""
EPOCHS, N_GENES = 200, 19_291
MATMUL: dict[str, str] = {"fp32": "highest", "tf32": "high", "bf16": "highest"}
AUTOCAST: dict[str, Precision] = {"fp32": "32-true", "tf32": "32-true", "bf16": "bf16-mixed"}
TOLERANCE = {"fp32": 0.005, "tf32": 0.02, "bf16": 0.05}
"""Largest difference of the total loss from the CPU's in any step, relative."""
_GEMM = 8192


class Report:
    """What was measured so far, as JSON and Markdown, written whenever a section is done."""

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder, self.ends = folder, time.monotonic() + 60 * minutes
        self.sections: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def left(self) -> float:
        """Seconds until the run should be over."""
        return self.ends - time.monotonic()

    def run(self, name: str, measure: Callable[[], Any], *, needs: float) -> None:
        """Run a section if ``needs`` seconds are left; an error of one does not end the others."""
        if self.left < needs:
            self.sections[name] = {"left_out": f"{self.left:.0f} s were left, {needs:.0f} needed"}
        else:
            began = time.monotonic()
            try:
                self.sections[name] = measure()
            except (RuntimeError, ValueError, LookupError, MTMError) as error:
                self.sections[name] = {"failed": f"{type(error).__name__}: {error}"[:500]}
            print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
        text = json.dumps(self.sections, indent=1)
        (self.folder / "gpu.json").write_text(text + "\n")
        (self.folder / "gpu.md").write_text(render(self.sections))


def cohort_of(n_genes: int, share: float, minimum_samples: int) -> ad.AnnData:
    """Simulate a cohort of GTEx's donors and tissues: low rank and noise, drawn in threads."""
    planned = plan(Planted(), share=share, n_genes=60)
    tissues = np.array(planned.tissues)[planned.samples["tissue"]]
    obs = pd.DataFrame(
        {"donor": planned.donors.index[planned.samples["donor"]], "tissue": tissues},
        index=pd.Index(planned.samples["sample"], name="sample"),
    )
    selected = filter_samples(obs, minimum_samples=minimum_samples, minimum_tissues=2)
    obs = obs[selected]
    obs["tissue"] = pd.Categorical(obs["tissue"])
    factors = planned.factors[planned.samples["donor"].to_numpy()[selected]]
    x = np.empty((len(obs), n_genes), dtype=np.float32)

    def fill(start: int) -> None:
        rng, part = np.random.default_rng((7, start)), x[:, start : start + 512]
        loadings = rng.standard_normal((factors.shape[1], part.shape[1]), dtype=np.float32)
        y = 5 + 0.1 * (factors @ loadings)
        y += 0.5 * rng.standard_normal(part.shape, dtype=np.float32)
        np.maximum(np.exp2(y, out=y) - 1, 0, out=part)

    with ThreadPoolExecutor() as pool:
        list(pool.map(fill, range(0, n_genes, 512)))
    genes = pd.DataFrame({"symbol": "", "entrez": ""}, index=[f"SIM{i}" for i in range(n_genes)])
    genes["gene_type"] = "protein_coding"
    return finish_cohort(
        ad.AnnData(X=x, obs=obs, var=genes), None, unit="TPM", normalisation="none"
    )


class Setting:
    """The cohort and configuration of a run, and what training needs of them on each device."""

    def __init__(self, *, small: bool) -> None:
        n_genes, share = (64, 0.05) if small else (N_GENES, 1.0)
        self.cohort = cohort_of(n_genes, share, 10 if small else 51)
        n_tissues = len(tissue_names(self.cohort))
        self.config = preset("paper", n_genes, n_tissues)
        if small:
            model = ModelConfig(
                n_genes,
                n_tissues,
                encoder_widths=(32,),
                n_latent=16,
                generator_widths=(32,),
                discriminator_widths=(32,),
                mapping_widths=(16,),
            )
            training = replace(self.config.training, batch_size=128, validation_fraction=0.4)
            self.config = replace(self.config, model=model, training=training)
        folds = donor_folds(self.cohort.obs)
        self.donors = folds.training(0)
        self.rows = rows_of(self.cohort.obs["donor"], self.donors)
        self.scaler = TissueScaler.fit(
            np.asarray(self.cohort.X[self.rows]),
            tissue_codes(self.cohort)[self.rows],
            n_tissues,
            self.config.scaling,
        )

    def beside_paper(self, fold_seconds: float) -> dict[str, float]:
        """Return the time of a fold of 200 epochs beside the paper's; nothing at another width."""
        if self.config.model.n_genes != N_GENES:
            return {}
        return {
            "fold_of_200_epochs_s": fold_seconds,
            "paper_s": PAPER_SECONDS,
            "times_faster_than_paper": PAPER_SECONDS / fold_seconds,
        }

    def pairs(self, device: torch.device, n_rows: int | None = None) -> ResidentPairs:
        """Put the training samples, or the first of them, on ``device``."""
        return ResidentPairs(
            self.cohort,
            self.rows[:n_rows],
            self.scaler,
            self.config.training,
            n_noise=self.config.model.n_noise,
            device=device,
        )

    def run(
        self, accelerator: str, kind: str, *, graph: bool, config: RunConfig | None = None
    ) -> Run:
        """Make networks and optimisers, the same for the same seed on every device."""
        torch.set_float32_matmul_precision(MATMUL[kind])
        fabric = Fabric(accelerator=accelerator, devices=1, precision=AUTOCAST[kind])
        return Run(config or self.config, self.scaler, {}, fabric, cuda_graph=graph)


def finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def gemm_rates(device: str, size: int) -> dict[str, float]:
    """Return the rate of a square product in each precision, the best of five: operations/s."""
    rates = {}
    for kind, precision in MATMUL.items():
        if device == "cpu" and kind == "tf32":
            continue
        torch.set_float32_matmul_precision(precision)
        dtype = torch.bfloat16 if kind == "bf16" else torch.float32
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        times = []
        for _ in range(6):
            finish(device)
            began = time.perf_counter()
            torch.mm(a, b)
            finish(device)
            times.append(time.perf_counter() - began)
        rates[kind] = 2 * size**3 / min(times[1:])
    return rates


def speed(setting: Setting, device: str, seconds: float, rates: dict[str, float]) -> list[Any]:
    """Time steps in each precision, with and without the graph."""
    where, rows = torch.device(device), []
    data = setting.pairs(where)
    size, n_steps = data.batch_size, data.steps_per_epoch
    for kind in rates:
        for graph in (False, True) if device == "cuda" else (False,):
            if device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            run = setting.run(device, kind, graph=graph)
            _, weights = run.begin_epoch()
            batches = _endless(data)
            for _ in range(8):  # kernels are chosen, the graph is captured
                run.step(next(batches), weights)
            finish(device)
            began, n = time.perf_counter(), 0
            while time.perf_counter() - began < seconds or n < 2:
                for _ in range(10 if device == "cuda" else 1):
                    run.step(next(batches), weights)
                    n += 1
                finish(device)
            taken = (time.perf_counter() - began) / n
            held = torch.cuda.max_memory_allocated() if device == "cuda" else 0
            arithmetic = flops_a_pair(setting.config.model) * size / taken
            rows.append(
                {
                    "precision": kind,
                    "graph": graph,
                    "ms_a_step": 1e3 * taken,
                    "pairs_a_second": size / taken,
                    "tflops": arithmetic / 1e12,
                    "share_of_peak": arithmetic / rates[kind],
                    "gpu_gb": held / 1e9,
                }
                | setting.beside_paper(taken * n_steps * EPOCHS)
            )
            del run
    return rows


def _endless(data: ResidentPairs) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from data.batches(epoch)
        epoch += 1


def curves(setting: Setting, device: str, n_steps: int, seconds: float) -> dict[str, Any]:
    """Take the same steps on the CPU and on ``device``: same weights, batches and draws.

    Dropout is off, for its masks are drawn by each device in its own way.
    """
    config = replace(setting.config, model=replace(setting.config.model, dropout=0.0))
    data = setting.pairs(torch.device("cpu"), 400)
    found: dict[str, list[float]] = {}
    ends = time.monotonic() + seconds
    kinds = [("cpu", "fp32", False)]
    if device == "cuda":
        kinds += [("cuda", kind, graph) for kind in MATMUL for graph in (False, True)]
    else:
        kinds += [("cpu", "bf16", False)]
    for where, kind, graph in kinds:
        run = setting.run(where, kind, graph=graph, config=config)
        _, weights = run.begin_epoch()
        losses: list[float] = []
        for batch, _ in zip(_endless(data), range(n_steps), strict=False):
            moved = Batch(*(part.to(where) for part in batch))
            losses.append(float(run.step(moved, weights)["total"]))
            if where == "cpu" and kind == "fp32" and time.monotonic() > ends:
                n_steps = len(losses)
                break
        found["cpu" if not found else f"{kind}{', graph' if graph else ''}"] = losses
    reference = np.array(found["cpu"])
    checks = {}
    for name, losses in found.items():
        difference = np.abs(np.array(losses) / reference[: len(losses)] - 1)
        allowed = TOLERANCE["fp32" if name == "cpu" else name.split(",")[0]]
        checks[name] = {
            "largest_difference": float(difference.max()),
            "allowed": allowed,
            "holds": bool(difference.max() <= allowed),
        }
    return {"n_steps": len(reference), "losses": found, "checks": checks}


def epoch(setting: Setting, device: str) -> dict[str, Any]:
    """Train one whole epoch by ``train``, with its watched donors: what a fold is made of."""
    torch.set_float32_matmul_precision("highest")
    cuda = device == "cuda"
    hardware = Hardware("cuda" if cuda else "cpu", precision="bf16-mixed", cuda_graph=cuda)
    training = replace(setting.config.training, epochs=2)
    began = time.perf_counter()
    result = train(
        setting.cohort,
        setting.donors,
        replace(setting.config, training=training),
        hardware=hardware,
    )
    taken = time.perf_counter() - began
    by_epoch = [float(value) for value in result.history["seconds"]]
    fold = taken - sum(by_epoch) + by_epoch[-1] * EPOCHS
    return {
        "setting": "bf16-mixed, CUDA graph" if cuda else "bf16-mixed",
        "before_the_first_epoch_s": taken - sum(by_epoch),
        "epoch_s": by_epoch[-1],
        "gpu_gb": torch.cuda.max_memory_allocated() / 1e9 if cuda else 0,
    } | setting.beside_paper(fold)


def machine(device: str, rates: dict[str, float]) -> dict[str, Any]:
    """Name the machine and its rates."""
    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": "the CPU: no figure here is of a GPU",
        "square_product_tflops": {kind: rate / 1e12 for kind, rate in rates.items()},
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found["device"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return found


def render(sections: dict[str, Any]) -> str:
    """Return the page."""
    lines = ["# MTM at the paper's size on one GPU", ""]
    for name, found in sections.items():
        lines += [f"## {name}", ""]
        if isinstance(found, list) and found:
            lines += ["| " + " | ".join(found[0]) + " |", "|---" * len(found[0]) + "|"]
            lines += ["| " + " | ".join(map(_number, row.values())) + " |" for row in found]
        elif name == "loss curves" and "checks" in found:
            lines += [
                "| run | largest difference from the CPU's | allowed | holds |",
                "|---" * 4 + "|",
            ]
            lines += [
                f"| {run} | " + " | ".join(map(_number, check.values())) + " |"
                for run, check in found["checks"].items()
            ]
        elif isinstance(found, dict):
            lines += [f"- {key}: {_number(value)}" for key, value in found.items()]
        lines.append("")
    return "\n".join(lines)


def _number(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of gpu.json and gpu.md")
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("--steps", type=int, default=40, help="of the loss curves")
    parser.add_argument("--cpu", action="store_true", help="run on the CPU")
    parser.add_argument("--small", action="store_true", help="64 genes, to try the script")
    given = parser.parse_args(arguments)
    device = "cpu" if given.cpu else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here; --cpu --small tries the script on the CPU")
    report = Report(given.output, given.minutes)
    rates = gemm_rates(device, 256 if given.small else _GEMM)
    report.run("machine", lambda: machine(device, rates), needs=0)
    began = time.monotonic()
    setting = Setting(small=given.small)
    print(
        f"cohort of {setting.cohort.n_obs:,} samples: {time.monotonic() - began:.1f} s", flush=True
    )
    box = 0.05 if given.small else 12.0
    needs = 0.0 if given.small else 1.0
    report.run("speed", lambda: speed(setting, device, box, rates), needs=needs * 120)
    report.run("epoch as trained", lambda: epoch(setting, device), needs=needs * 60)
    n = min(given.steps, 4) if given.small else given.steps
    report.run(
        "loss curves",
        lambda: curves(setting, device, n, min(90, report.left / 2)),
        needs=needs * 60,
    )


if __name__ == "__main__":
    main()
