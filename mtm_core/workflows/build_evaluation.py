"""Evaluate the methods of a build on one set of folds."""

from __future__ import annotations

from pathlib import Path

import anndata as ad

from mtm_core.config import RunConfig, to_json
from mtm_core.data.splits import donor_folds
from mtm_core.evaluation.accuracy import accuracy, accuracy_in_strata
from mtm_core.evaluation.bootstrap import resample_donors
from mtm_core.evaluation.confounding import known_confounders
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.evaluation.results import EVALUATION, EvaluationTables
from mtm_core.methods.registry import is_told_phenotypes, make_method
from mtm_core.safe_output import OwnFolder
from mtm_core.workflows.build_options import BuildOptions
from mtm_core.workflows.progress import Steps

COMPARE = "Compare the methods"


def evaluation_steps(methods: tuple[str, ...]) -> tuple[str, ...]:
    """Name the steps of evaluating ``methods``."""
    return (*(f"Evaluate {name}" for name in methods), *([COMPARE] if methods else []))


def evaluate_build(
    cohort: ad.AnnData,
    options: BuildOptions,
    methods: tuple[str, ...],
    config: RunConfig,
    output: Path,
    steps: Steps,
) -> None:
    """Evaluate ``methods`` on ``cohort`` and write the tables into ``output``.

    Folds that are done are kept there, and so are fits.
    """
    own = OwnFolder.claim(output, EVALUATION)
    own.own("folds/", "fits/")
    dealt = donor_folds(
        cohort.obs, n_folds=options.folds, seed=options.seed, balance_tissue=options.source
    )
    with own.writing("folds.json") as place:
        dealt.save(place)
    phenotypes = cohort.uns["donors"]
    what = {
        "cohort_sha256": str(cohort.uns["mtm"]["sha256"]),
        "folds": options.folds,
        "seed": options.seed,
        "source": options.source,
        "further_sources": [],
        "mtm": to_json(config),
    }
    accuracies, resampled, strata = {}, {}, {}
    for name in methods:
        method = make_method(name, source=options.source, config=config, keep=output / "fits")
        with steps.running(f"Evaluate {name}", total=options.folds, unit="folds") as advance:
            for fold in range(options.folds):
                predictions = cross_validate(
                    method,
                    cohort,
                    dealt,
                    source=options.source,
                    folder=output / "folds",
                    with_phenotypes=is_told_phenotypes(name),
                    settings=what,
                    only=[fold] if fold < options.folds - 1 else None,
                )
                advance(fold + 1)
            advance(options.folds, detail="scoring")
            accuracies[name] = accuracy(predictions, phenotypes)
            resampled[name] = resample_donors(
                predictions, n_resamples=options.resamples, seed=options.seed
            )
            strata[name] = accuracy_in_strata(
                predictions, phenotypes, cohort.var, seed=options.seed
            )
            advance(options.folds, detail="")
    with steps.running(COMPARE):
        adjusted = {"adjusted_for": list(known_confounders(phenotypes))}
        run = {"folds_run": list(range(options.folds)), "resamples": options.resamples}
        tables = EvaluationTables.of(
            accuracies, what | run | adjusted, resampled=resampled, strata=strata
        )
        tables.save(output)
