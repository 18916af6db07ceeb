"""Build a genome-wide model of files of GTEx's size whose truth is known, and say what it found.

The files are written (56,200 genes x 17,382 samples) unless they are there, served on this machine
as the official server serves them, and ``mtm build`` is run against that server in a process of its
own, looked at from outside. What it made is held against what was planted, and time and memory
against budgets. The report is a section of docs/genome.md, and JSON::

    python benchmarks/genome_wide.py --folder DIR --gene-symbols F --gene-types F
        --pattern SampleAttributes.txt SubjectPhenotypes.txt [--predict] [--docs docs/genome.md]
    python benchmarks/genome_wide.py --folder DIR --share .25 --genes 2000   # made-up genes

Gene tables are GENCODE v26's, as ``prepare.py`` takes them. The pattern is GTEx's own public files,
of which the donors' tissues, sex, age and death are taken; without it they are simulated.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy as np

from benchmarks import proof_checks
from benchmarks.official_files import OfficialFiles, plan, timed_files
from benchmarks.planted_cohort import Planted, PlantedCohort
from benchmarks.process_tree import Measured, Step, run_measured
from benchmarks.proof_predictions import measure_predictions
from benchmarks.proof_report import render, replace_section
from benchmarks.range_server import serving
from mtm_core.data.gtex.download import RELEASES, Release
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.studies.reference import ReferenceAssociations

METHOD = "factor-stack"
METHODS = "factor-stack,factor-stack-age-sex,ridge,age-sex,training-mean"


def main(arguments: list[str] | None = None) -> None:
    given = _options(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    planted = plan(
        Planted(seed=given.seed),
        gene_symbols=given.gene_symbols,
        gene_types=given.gene_types,
        pattern=tuple(given.pattern) if given.pattern else None,
        share=given.share,
        n_genes=given.genes,
    )
    files = timed_files(
        planted, given.files or given.folder / "files", given.processes, given.release
    )
    report: dict[str, Any] = {"what": _what(planted, files)}
    where = given.folder / "report.json"
    if given.checks_only:
        report |= json.loads(where.read_text())
    else:
        before = json.loads(where.read_text()).get("build") if given.resume else None
        report["build"] = build = _build(files, given, before)
        _save(report, where)
        if build.pop("failed"):
            raise SystemExit(
                f"the build failed: see {given.folder / 'build.log'}; --resume goes on."
            )
    if not report["build"].get("further"):
        report["build"]["further"] = [asdict(s) for s in _with_history(files, given.folder)]
        _save(report, where)
    report |= _checks(given, files)
    _save(report, where)
    if given.predict:
        model = given.folder / "model"
        report["predictions"] = measure_predictions(model, planted, given.folder / "predictions")
        _save(report, where)
    text = render(report)
    (given.folder / "report.md").write_text(text)
    print(text)
    if given.docs:
        replace_section(given.docs, text)


def _what(planted: PlantedCohort, files: OfficialFiles) -> dict[str, Any]:
    return {
        "genes": len(planted.genes),
        "modelled": int(planted.roles.modelled.sum()),
        "samples": len(planted.samples),
        "donors": len(planted.donors),
        "gigabytes": files.expression.stat().st_size / 1e9,
        "config": asdict(planted.config),
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {_memory_gib():.0f} GiB, {platform.machine()},"
        f" Python {platform.python_version()}",
    }


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _build(
    files: OfficialFiles, given: argparse.Namespace, before: dict[str, Any] | None
) -> dict[str, Any]:
    """Run the command, or its parts, and give time and peak memory of each step.

    Steps that a run before has done are those of ``before``.
    """
    log = given.folder / "build.log"
    if before is None:
        log.unlink(missing_ok=True)
    model = given.folder / "model"
    steps = [Step(**step) for step in before["steps"]] if before else []
    peak = before["peak_bytes"] if before else 0
    earlier = before["seconds"] if before else 0.0
    began, failed = time.monotonic(), False
    with serving(files.root) as url:
        if given.by_parts:
            commands = _parts(url, given.folder, model, given.release)
        else:
            commands = {"": _command(url, model, files, given)}
        for name, command in commands.items():
            print(" ".join(command), flush=True)
            run = run_measured(command, log, environment={"COLUMNS": "200"})
            peak = max(peak, run.peak_bytes())
            steps += [Step(name, run.seconds, run.peak_bytes())] if name else run.steps()
            _print_steps(run)
            if failed := run.returncode != 0:
                break
    size = sum(path.stat().st_size for path in model.glob("*.safetensors"))
    return {
        "commands": [" ".join(command) for command in commands.values()],
        "failed": failed,
        "seconds": earlier + time.monotonic() - began,
        "peak_bytes": peak,
        "steps": [asdict(step) for step in steps],
        "weights_bytes": size,
        "model_bytes": sum(p.stat().st_size for p in model.rglob("*") if p.is_file()),
    }


def _print_steps(run: Measured) -> None:
    if run.returncode:
        print("\n".join(line for _, line in run.lines[-15:]), flush=True)
    for step in run.steps():
        print(f"  {step.name}: {step.seconds:.1f} s, {step.peak_bytes / 1e9:.2f} GB", flush=True)


def _mtm() -> str:
    return str(Path(sys.executable).with_name("mtm"))


def _command(
    url: str, model: Path, files: OfficialFiles, given: argparse.Namespace
) -> tuple[str, ...]:
    """Return the command that a user types, with the options given after ``--``."""
    return (
        *(_mtm(), "build", "--release", files.release, "--mirror", url, "--output", str(model)),
        *given.rest,
    )


def _parts(url: str, folder: Path, model: Path, release: Release) -> dict[str, tuple[str, ...]]:
    """Return the commands that make the same model one by one."""
    gtex, cohort, evaluation = folder / "gtex", folder / "cohort.h5ad", folder / "evaluation"
    names = OfficialFiles(gtex, release)
    return {
        "Download": (
            *(_mtm(), "data", "download", "--release", release, "--base-url", url),
            *("--output", str(gtex)),
        ),
        "Prepare": (
            *(_mtm(), "data", "prepare", "--expression", str(gtex / names.expression.name)),
            *("--sample-attributes", str(gtex / names.sample_attributes.name)),
            *("--subject-phenotypes", str(gtex / names.subject_phenotypes.name)),
            *("--gene-table", str(gtex / names.gtf.name), "--gene-type", "protein_coding"),
            *("--output", str(cohort)),
        ),
        "Evaluate": (
            *(_mtm(), "evaluate", str(cohort), "--methods", METHODS),
            *("--output", str(evaluation)),
        ),
        "Fit": (
            *(_mtm(), "train", str(cohort), "--method", METHOD),
            *("--evaluation", str(evaluation), "--output", str(model)),
        ),
        "Associations": (
            *(_mtm(), "study", "reference", str(cohort)),
            *("--output", str(model / "associations")),
        ),
    }


def _with_history(files: OfficialFiles, folder: Path) -> list[Step]:
    """Associate the diseases, too, as one does who may have dbGaP's file."""
    cohort = next(
        (p for p in (folder / "cohort.h5ad", *folder.rglob("*.h5ad")) if p.exists()), None
    )
    if cohort is None:
        return []
    command = (
        *(_mtm(), "study", "reference", str(cohort), "--dbgap", str(files.dbgap)),
        *("--output", str(folder / "dbgap_associations"), "--overwrite"),
    )
    run = run_measured(command, folder / "build.log")
    if run.returncode:
        _print_steps(run)
        return []
    return [Step("associations with dbGaP's file, apart", run.seconds, run.peak_bytes())]


def _checks(given: argparse.Namespace, files: OfficialFiles) -> dict[str, Any]:
    """Hold what was made against what was planted."""
    began = time.monotonic()
    model, truth = given.folder / "model", PlantedCohort.load(files.truth)
    found = proof_checks.ceilings(files.truth, given.processes)
    tables = EvaluationTables.load(model / "evaluation")
    method = given.method or json.loads((model / "model.json").read_text())["method"]
    shown = method if method in tables.methods else tables.methods[0]
    accuracy = proof_checks.accuracy(tables, found, truth)
    result: dict[str, Any] = {
        "method": shown,
        "accuracy": accuracy.to_dict("index"),
        "coverage": proof_checks.coverage(tables, shown).to_dict("index"),
        "genes": proof_checks.genes_found(tables, shown, found, truth),
    }
    rows: list[dict[str, Any]] = []
    for folder in (model / "associations", given.folder / "dbgap_associations"):
        if folder.exists():
            associations = ReferenceAssociations.load(folder)
            skipped = {row["trait"] for row in rows}
            table = proof_checks.associations_found(associations, found, truth, skipped)
            rows += table.to_dict("records")
    result["associations"] = rows
    print(f"checks: {time.monotonic() - began:.0f} s", flush=True)
    return result


def _save(report: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(report, indent=1, default=_plain) + "\n")


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="of files, model and report")
    parser.add_argument("--files", type=Path, help="folder of the files, if another")
    parser.add_argument("--gene-symbols", type=Path)
    parser.add_argument("--gene-types", type=Path)
    parser.add_argument("--pattern", type=Path, nargs=2, metavar=("ATTRIBUTES", "PHENOTYPES"))
    parser.add_argument("--share", type=float, default=1.0, help="of GTEx's donors")
    parser.add_argument("--genes", type=int, default=0, help="rows of the file; 0: all 56,200")
    parser.add_argument("--release", choices=RELEASES, default="v8", help="names of the files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--by-parts", action="store_true", help="run the parts of mtm build")
    parser.add_argument("--resume", action="store_true", help="go on with a build that failed")
    parser.add_argument("--checks-only", action="store_true", help="of a model that is there")
    parser.add_argument("--method", help="to look at, if not the model's")
    parser.add_argument("--predict", action="store_true", help="predict 100 and 1,000 people, too")
    parser.add_argument("--docs", type=Path, help="Markdown file whose section to replace")
    parser.add_argument("rest", nargs="*", help="after --: further options of mtm build")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
