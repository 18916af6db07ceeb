"""Time the evaluation and GTEx's associations at full width: 49 tissues x 19,291 genes.

On a simulated cohort of 944 donors with the donors' pattern of GTEx, ages, sexes and Hardy classes.
Methods that cost nothing to fit stand for those that do: what is measured is what follows the fit.
``--only 0`` runs one fold; the time of five is five times that but for the tables.

python benchmarks/evaluation_at_width.py COHORT.h5ad --output FOLDER [--only 0] [--methods ...]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from factor_width import CONFIG

from mtm_core.data.cohort.cohort import write_cohort
from mtm_core.data.cohort.simulate import simulate_cohort
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.studies.reference import ReferenceAssociations
from mtm_core.workflows.associations import AssociationOptions, associate
from mtm_core.workflows.evaluate import evaluate_methods
from mtm_core.workflows.evaluate_options import EvaluateOptions
from mtm_core.workflows.progress import StepProgress, memory_in_use

T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohort", type=Path, help="made where it is not there")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--genes", type=int, default=CONFIG.n_genes)
    parser.add_argument("--methods", default="age-sex-hardy,training-mean")
    parser.add_argument("--only", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--part", choices=["evaluation", "associations", "reads", "all"], default="all"
    )
    given = parser.parse_args()
    if not given.cohort.exists():
        config = replace(CONFIG, n_genes=given.genes, n_own_genes=min(300, given.genes // 10))
        write_cohort(simulate_cohort(config), given.cohort)
    evaluation, associations = given.output / "evaluation", given.output / "associations"
    if given.part in ("evaluation", "all"):
        options = EvaluateOptions(
            given.cohort,
            evaluation,
            methods=tuple(given.methods.split(",")),
            only=None if given.only is None else (given.only,),
            jobs=given.jobs,
        )
        evaluate_methods(options, _Lines().show)
    if given.part in ("associations", "all"):
        associate(AssociationOptions(given.cohort, associations, overwrite=True), _Lines().show)
    if given.part in ("reads", "all"):
        _reads(evaluation, associations)


class _Lines:
    """A line for each step that is done."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._cpu = time.process_time()

    def show(self, steps: Sequence[StepProgress]) -> None:
        for step in steps:
            if step.state == "done" and step.name not in self._said:
                self._said.add(step.name)
                peak = step.peak_bytes / 1e9
                now = time.process_time()
                cpu, self._cpu = now - self._cpu, now
                line = f"{step.name}: {step.seconds:.1f} s, {cpu:.1f} s of processors"
                print(f"{line}, peak {peak:.1f} GB", flush=True)


def _reads(evaluation: Path, associations: Path) -> None:
    """Time what a page reads."""
    before = memory_in_use()
    tables = _timed("load the evaluation", lambda: EvaluationTables.load(evaluation))
    method, tissues = tables.methods[0], list(tables.tissues["tissue"].unique())
    gene = str(tables.gene_ids[len(tables.gene_ids) // 2])
    _timed("one tissue, every figure", lambda: tables.genes_of(method, tissues[3]))
    _timed("one gene in every tissue", lambda: tables.genes_of(method, genes=gene))
    _timed("one figure of every gene", lambda: tables.genes_of(method, columns=["rho_by_fold"]))
    known = _timed("load the associations", lambda: ReferenceAssociations.load(associations))
    trait = next(iter(known.traits))
    _timed("one trait in one tissue", lambda: known.select(trait, tissues[3]))
    _timed("quantiles of one gene in one tissue", lambda: known.distribution_of(gene, tissues[3]))
    print(f"memory of all that: {(memory_in_use() - before) / 1e6:.0f} MB")
    for path in sorted([*evaluation.glob("*.*"), *associations.glob("*.*")]):
        print(f"{path.parent.name}/{path.name}: {path.stat().st_size / 1e6:.1f} MB")


def _timed(what: str, run: Callable[[], T]) -> T:
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - began)
    print(f"{what}: first {seconds[0]:.3f} s, then {np.median(seconds[1:]):.3f} s")
    return result


if __name__ == "__main__":
    main()
