"""Predict simulated people by a built model: ``mtm predict`` in each format, and in a program.

Run by itself, it is the program: it loads a model, reads a table, predicts and decodes, prints what
each step took, and holds new people's predictions against what was drawn of their other tissues.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy as np
import pandas as pd

from benchmarks.planted_cohort import BLOCK, DISEASE, NO_DISEASE, PlantedCohort
from benchmarks.process_tree import Measured, held_by_tree, run_measured
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.inference.predictor import Predictor
from mtm_core.statistics.correlation import columnwise_correlation

OBSERVED = ("Muscle - Skeletal", "Lung", "Brain - Cortex")
"""Tissues that are drawn of the people, too, to hold predictions against."""
READY = "ready"
"""What the program prints when the model is loaded."""
MOST_SECONDS = 60


def people(cohort: PlantedCohort, n: int, folder: Path) -> tuple[Path, Path]:
    """Draw ``n`` new people of the same truth: a table of blood TPM, and age and sex.

    Beside them, as ``observed_{n}.npz``, y of three other tissues.
    """
    rng = np.random.default_rng((cohort.config.seed, 20, n))
    names = [f"person_{i:04d}" for i in range(1, n + 1)]
    donors = pd.DataFrame(
        {"male": rng.random(n) < 0.5, "age": rng.integers(20, 80, n), "hardy": 1},
        index=pd.Index(names, name="donor"),
    ).assign(**{DISEASE: False, NO_DISEASE: False})
    tissues = [cohort.tissues.index(name) for name in (WHOLE_BLOOD, *OBSERVED)]
    samples = pd.DataFrame({"donor": np.tile(np.arange(n), 4), "tissue": np.repeat(tissues, n)})
    samples.insert(0, "sample", [f"{names[d]}-{t}" for d, t in samples.to_numpy()])
    drawn = PlantedCohort(cohort.config, cohort.genes, donors, samples, cohort.tissues)
    # Loadings are the truth's; people are others, so their factors come from another stream.
    drawn.__dict__["factors"] = rng.standard_normal((n, cohort.config.n_shared), dtype=np.float32)
    dosages = np.resize(cohort.dosages, (n, cohort.dosages.shape[1]))
    drawn.__dict__["dosages"] = rng.permuted(dosages, axis=0)
    modelled = cohort.roles.modelled
    y = np.concatenate(
        [
            np.maximum(drawn.values(number), 0)[:, modelled[number * BLOCK : (number + 1) * BLOCK]]
            for number in range(cohort.n_blocks)
        ],
        axis=1,
    )
    ids = cohort.genes["gene_id"][modelled].to_numpy(str)
    folder.mkdir(parents=True, exist_ok=True)
    expression, metadata = folder / f"people_{n}.parquet", folder / f"people_{n}.csv"
    table = pd.DataFrame(np.exp2(y[:n].T) - 1, index=pd.Index(ids, name="gene_id"), columns=names)
    table.to_parquet(expression)
    np.savez(folder / f"observed_{n}.npz", y=y[n:], gene_id=ids, tissues=OBSERVED)
    sex = np.where(donors["male"], "M", "F")
    described = pd.DataFrame({"sample": names, "age": donors["age"].to_numpy(), "sex": sex})
    described.to_csv(metadata, index=False)
    return expression, metadata


def measure_predictions(
    model: Path, cohort: PlantedCohort, folder: Path, *, numbers: tuple[int, ...] = (100, 1000)
) -> list[dict[str, Any]]:
    """Time the program, then ``mtm predict`` to all tissues in each format."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log, rows = folder / "predict.log", []
    mtm = str(Path(sys.executable).with_name("mtm"))
    rows.append(_row("mtm serve: its start to the first answer", *_serve(mtm, model)))
    for n in numbers:
        expression, metadata = people(cohort, n, folder)
        program = (sys.executable, __file__, str(model), str(expression))
        run = run_measured(program, log)
        run.check()
        ready = next(at for at, line in run.lines if line == READY)
        rows.append(_row(f"{n:,} people, in a program: its start to a ready model", ready, 0))
        for step in json.loads(run.lines[-1][1]):
            rows.append({"what": f"{n:,} people, in a program: {step['what']}", **step["took"]})
        rows.append(_row_of(f"{n:,} people, the program", run))
        for ending in ("zarr", "wide", "parquet", "csv", "h5ad") if n <= 100 else ("wide",):
            output = folder / (f"predicted_{n}" + ("" if ending == "wide" else f".{ending}"))
            form = ("--format", "wide", "--files", "parquet") if ending == "wide" else ()
            command = (
                *(mtm, "predict", str(expression), "--model", str(model), "--unit", "tpm"),
                *("--metadata", str(metadata), *form, "--output", str(output)),
            )
            what = f"mtm predict, {n:,} people x all tissues, {ending}"
            run = run_measured(command, log)
            if run.returncode:
                rows.append(_row(f"{what}: failed", 0.0, 0, run.lines[-1][1]))
                continue
            rows.append(_row_of(what, run, f"{_size(output) / 1e9:.2f} GB"))
            shutil.rmtree(output) if output.is_dir() else output.unlink()
    return rows


def _serve(mtm: str, model: Path) -> tuple[float, int]:
    """Start the endpoint; return seconds until it answers, and what it then holds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (mtm, "serve", "--model", str(model), "--port", str(port))
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            while time.monotonic() - began < MOST_SECONDS:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
                    return time.monotonic() - began, held_by_tree(server.pid)
                except urllib.error.URLError:
                    time.sleep(0.02)
            raise SystemExit(f"mtm serve did not answer in {MOST_SECONDS} s")
        finally:
            server.terminate()


def _size(path: Path) -> int:
    parts = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return sum(part.stat().st_size for part in parts)


def _row(what: str, seconds: float, peak: int, size: str = "") -> dict[str, Any]:
    return {"what": what, "seconds": seconds, "peak_bytes": peak, "size": size}


def _row_of(what: str, run: Measured, size: str = "") -> dict[str, Any]:
    row = _row(what, run.seconds, run.peak_bytes(), size)
    return {**row, "processor_seconds": run.processor_seconds}


def program(model: Path, expression: Path) -> None:
    """Predict people to all tissues: codes first, then each tissue when it is looked at."""
    steps: list[dict[str, Any]] = []
    began, worked = time.perf_counter(), time.process_time()

    def took(what: str) -> None:
        nonlocal began, worked
        seconds, processor = time.perf_counter() - began, time.process_time() - worked
        row = {"seconds": seconds, "processor_seconds": processor, "peak_bytes": 0, "size": ""}
        steps.append({"what": what, "took": row})
        began, worked = time.perf_counter(), time.process_time()

    predictor = Predictor.load(model)
    took("load the model")
    print(READY, flush=True)
    table = pd.read_parquet(expression)
    prepared = predictor.prepare(table.T, unit="tpm")
    took("prepare the table")
    prediction = predictor.predict_prepared(prepared, at_once=0)
    took("predict all tissues (codes)")
    prediction["expression"].isel(tissue=0).to_numpy()
    took("decode one tissue")
    for t in range(1, prediction.sizes["tissue"]):
        prediction["expression"].isel(tissue=t).to_numpy()
    took("decode all others, one by one")
    print(json.dumps([*steps, *_against_drawn(prediction, expression)]))


def _against_drawn(prediction: Any, expression: Path) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return the mean rho over genes of new people, of the tissues that were drawn."""
    n = prediction.sizes["sample"]
    found = []
    with np.load(expression.with_name(f"observed_{n}.npz")) as drawn:
        place = {gene: i for i, gene in enumerate(drawn["gene_id"])}
        at = [place[str(gene)] for gene in prediction["gene"].to_numpy()]
        for i, tissue in enumerate(drawn["tissues"]):
            if tissue not in prediction["tissue"].to_numpy():
                continue
            z = prediction["z"].sel(tissue=str(tissue)).to_numpy()
            rho = columnwise_correlation(z, drawn["y"][i * n : (i + 1) * n, at])
            said = f"mean rho over genes {np.nan_to_num(rho).mean():.3f}"
            took = {"seconds": 0.0, "peak_bytes": 0, "size": said}
            found.append({"what": f"against what was drawn, {tissue}", "took": took})
    return found


if __name__ == "__main__":
    program(Path(sys.argv[1]), Path(sys.argv[2]))
