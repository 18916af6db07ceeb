"""What ``mtm predict`` and ``mtm compare`` take at genome width, in every format that they write.

    python benchmarks/predicting_formats.py --model FOLDER [--samples 100] [--only wide,zarr,...]

The samples are made up: blood around the model's reference, half of them cases whose first hundred
genes are doubled. Every command runs in a process of its own; beside its wall and CPU time are
the most memory that it held and the size that it wrote.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mtm_core.inference.predictor import Predictor

SOURCE = "Whole Blood"
FORMATS = {
    "load": [],
    "zarr": ["--output", "p.zarr"],
    "parquet": ["--output", "p.parquet"],
    "h5ad": ["--output", "p.h5ad"],
    "wide": ["--format", "wide", "--output", "wide"],
    "wide tsv.gz": ["--format", "wide", "--files", "tsv.gz", "--output", "wide_gz"],
    "wide parquet": ["--format", "wide", "--files", "parquet", "--output", "wide_parquet"],
    "parts": ["--format", "parts", "--files", "parquet", "--output", "parts"],
    "csv": ["--output", "p.csv"],
    "compare": [],
}


@dataclass(frozen=True)
class Cost:
    """Cost of one command."""

    wall: float
    cpu: float
    peak_gigabytes: float


def write_samples(model: Path, n_samples: int, folder: Path) -> None:
    """Write ``blood.parquet`` and ``people.csv``."""
    predictor, rng = Predictor.load(model), np.random.default_rng(1)
    mean = predictor.typical(SOURCE)
    values = np.log2(1 + mean) + rng.normal(0, 0.6, (n_samples, len(mean)))
    is_case = np.arange(n_samples) % 2 == 1
    values[is_case, :100] += 1
    tpm = np.maximum(np.exp2(values) - 1, 0).astype(np.float32)
    samples = [f"P{i:05d}" for i in range(n_samples)]
    genes = predictor.artefact.genes.index.to_list()
    pd.DataFrame(
        tpm.T, index=pd.Index(genes, name="gene_id"), columns=samples
    ).reset_index().to_parquet(folder / "blood.parquet", index=False)
    people = pd.DataFrame({"sample": samples, "group": np.where(is_case, "case", "control")})
    people["age"] = rng.integers(25, 75, n_samples)
    people["sex"] = rng.choice(["male", "female"], n_samples)
    people.to_csv(folder / "people.csv", index=False)


def run(words: list[str], folder: Path) -> Cost:
    """Run a command in ``folder``."""
    began = time.perf_counter()
    process = subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{words}: {said}")
    print(said.strip().splitlines()[-1] if said.strip() else "", file=sys.stderr)
    wall = time.perf_counter() - began
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all below a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--only", default=",".join(FORMATS))
    options = parser.parse_args()
    mtm, model = str(Path(sys.executable).with_name("mtm")), str(options.model.resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_samples(options.model, options.samples, folder)
        print(f"{'':<14}{'wall':>9}{'CPU':>9}{'peak':>9}{'written':>10}")
        for what in options.only.split(","):
            output = folder / (FORMATS[what] or ["compared"])[-1]
            words = [mtm, "predict", "blood.parquet", "--unit", "tpm", "--model", model]
            words += [*FORMATS[what], "--metadata", "people.csv"]
            if what == "load":
                code = "import sys; from mtm_core.inference.predictor import Predictor\n"
                code += "p = Predictor.load(sys.argv[1]); p.genes"
                words = [sys.executable, "-c", code, model]
            elif what == "compare":
                words = [mtm, "compare", "blood.parquet", "--metadata", "people.csv"]
                words += ["--groups", "group=case,control", "--traits", "age", "--unit", "tpm"]
                words += ["--format", "parquet", "--model", model, "--output", "compared"]
            cost = run(words, folder)
            written = size_of(output) if output.exists() else 0
            print(
                f"{what:<14}{cost.wall:>8.1f}s{cost.cpu:>8.1f}s{cost.peak_gigabytes:>7.2f}GB"
                f"{written / 1e9:>8.2f}GB",
                flush=True,
            )
            if output.exists():
                shutil.rmtree(output) if output.is_dir() else output.unlink()


if __name__ == "__main__":
    main()
