"""Predict simulated people by a built model with ``mtm predict``, in each format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.planted_cohort import PlantedCohort
from benchmarks.process_tree import run_measured
from mtm_core.data.gtex import WHOLE_BLOOD

_LOAD = """
import sys, time
began = time.perf_counter()
from mtm_core.inference.predictor import Predictor
imported = time.perf_counter()
predictor = Predictor.load(sys.argv[1])
print(f"imported {imported - began:.2f} ready {time.perf_counter() - imported:.2f}", flush=True)
"""


def people(cohort: PlantedCohort, n: int, folder: Path) -> tuple[Path, Path]:
    """Draw the blood of ``n`` new people of the same truth: a table of TPM, and age and sex."""
    rng = np.random.default_rng((cohort.config.seed, 20, n))
    names = [f"person_{i:04d}" for i in range(1, n + 1)]
    donors = pd.DataFrame(
        {
            "male": rng.random(n) < 0.5,
            "age": rng.integers(20, 80, n),
            "hardy": 1,
            "MHT2D": False,
            "MHASTHMA": False,
        },
        index=pd.Index(names, name="donor"),
    )
    blood = cohort.tissues.index(WHOLE_BLOOD)
    samples = pd.DataFrame({"sample": names, "donor": range(n), "tissue": blood})
    drawn = PlantedCohort(cohort.config, cohort.genes, donors, samples, cohort.tissues)
    # Loadings are the truth's; people are others: their factors come from another stream.
    drawn.__dict__["factors"] = rng.standard_normal((n, cohort.config.n_shared), dtype=np.float32)
    modelled = cohort.roles.modelled
    columns = [
        np.exp2(np.maximum(drawn.values(number), 0)) - 1 for number in range(cohort.n_blocks)
    ]
    values = np.concatenate(columns, axis=1)[:, modelled]
    table = pd.DataFrame(values.T, index=cohort.genes["gene_id"][modelled], columns=names)
    folder.mkdir(parents=True, exist_ok=True)
    expression, metadata = folder / f"people_{n}.parquet", folder / f"people_{n}.csv"
    table.rename_axis("gene_id").to_parquet(expression)
    described = pd.DataFrame(
        {
            "sample": names,
            "age": donors["age"].to_numpy(),
            "sex": np.where(donors["male"], "M", "F"),
        }
    )
    described.to_csv(metadata, index=False)
    return expression, metadata


def measure_predictions(
    model: Path, cohort: PlantedCohort, folder: Path, *, numbers: tuple[int, ...] = (100, 1000)
) -> list[dict[str, Any]]:
    """Time loading, then predicting so many people to all tissues in each format."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "predict.log"
    load = run_measured((sys.executable, "-c", _LOAD, str(model)), log)
    rows = [_row("load the model: " + load.lines[-1][1], load.seconds, load.peak_bytes(), "")]
    for n in numbers:
        expression, metadata = people(cohort, n, folder)
        for ending in ("zarr", "parquet", "csv", "h5ad") if n <= 100 else ("zarr", "parquet"):
            output = folder / f"predicted_{n}.{ending}"
            command = (
                *(str(Path(sys.executable).with_name("mtm")), "predict", str(expression)),
                *("--model", str(model), "--metadata", str(metadata), "--targets", "all"),
                *("--unit", "tpm", "--output", str(output), "--overwrite"),
            )
            try:
                run = run_measured(command, log)
            except SystemExit as error:
                rows.append(_row(f"{n:,} people, .{ending}: failed", 0.0, 0, str(error)[-200:]))
                continue
            parts = [p for p in output.rglob("*") if p.is_file()] if output.is_dir() else [output]
            size = sum(part.stat().st_size for part in parts)
            for part in parts:
                part.unlink()
            rows.append(
                _row(
                    f"mtm predict, {n:,} people x all tissues, .{ending}",
                    run.seconds,
                    run.peak_bytes(),
                    f"{size / 1e9:.2f} GB",
                )
            )
    return rows


def _row(what: str, seconds: float, peak: int, size: str) -> dict[str, Any]:
    return {"what": what, "seconds": seconds, "peak_bytes": peak, "size": size}
