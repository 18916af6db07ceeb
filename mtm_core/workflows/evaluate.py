"""Cross-validate methods on one cohort and score them: tables, intervals, comparisons.

At any width: of a fold's predictions a tissue is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anndata as ad
import xarray as xr
from joblib import parallel_config

from mtm_core.config import RunConfig, to_json
from mtm_core.data.cohort.cohort import read_cohort, tissue_names
from mtm_core.data.cohort.splits import DonorFolds, donor_folds
from mtm_core.data.gtex.annotations import read_technical_attributes
from mtm_core.errors import SelectionError
from mtm_core.evaluation.bootstrap import MOST_GENES
from mtm_core.evaluation.combinations import find_combinations
from mtm_core.evaluation.composition import estimated_composition, read_composition
from mtm_core.evaluation.confounding import known_confounders
from mtm_core.evaluation.cross_validation import cross_validate, write_netcdf
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.methods.protocol import Method, tissue_index
from mtm_core.methods.registry import make_method, reads_phenotypes, takes_several
from mtm_core.model_folder import seal_around
from mtm_core.training.trainer import TrainingProgress
from mtm_core.workflows.evaluate_folder import claim_folder, fits_folder
from mtm_core.workflows.evaluate_options import EvaluateOptions, check_evaluation, chosen_folds
from mtm_core.workflows.evaluate_scores import EvaluationScores
from mtm_core.workflows.evaluate_steps import (
    COMPARING,
    combining,
    evaluation_steps,
    predicting,
    scoring,
)
from mtm_core.workflows.progress import Advance, OnProgress, Steps
from mtm_core.workflows.run_settings import run_config


@dataclass(frozen=True)
class Evaluated:
    """Result of an evaluation.

    Attributes
    ----------
    tables
        Tables in the folder.
    knows_chromosomes
        Whether genes were also scored without those on X and Y.
    knows_composition
        Whether genes were also scored without the composition of the donors' blood.
    """

    tables: EvaluationTables
    knows_chromosomes: bool
    knows_composition: bool = False


def evaluate_methods(
    options: EvaluateOptions,
    on_progress: OnProgress | None = None,
    on_training: Callable[[TrainingProgress], None] | None = None,
) -> Evaluated:
    """Predict every donor by methods that never saw them, score it, and write the tables.

    Raises
    ------
    SelectionError
        If an option does not fit the cohort.
    InputFileError, OutputError
        If a file cannot be read, or the folder not be written to.

    Examples
    --------
    >>> from mtm_core import EvaluateOptions, evaluate_methods
    >>> options = EvaluateOptions(
    ...     "cohort.h5ad", output="evaluation", methods=["ridge", "training-mean"], folds=2
    ... )
    >>> tables = evaluate_methods(options).tables
    >>> tables.methods
    ['ridge', 'training-mean']
    """
    check_evaluation(options)
    output = options.output
    laboratory = None
    if options.technical is not None:
        laboratory = read_technical_attributes(options.technical)
    data = read_cohort(options.cohort)
    config = _config(options, data)
    dealt = donor_folds(
        data.obs, n_folds=options.folds, seed=options.seed, balance_tissue=options.source
    )
    what = {
        "cohort_sha256": str(data.uns["mtm"]["sha256"]),
        "folds": options.folds,
        "seed": options.seed,
        "source": options.source,
        "further_sources": list(options.further_sources),
        "mtm": to_json(config),
    }
    own = claim_folder(options, what)
    with own.writing("folds.json") as place:
        dealt.save(place)
    together = find_combinations(
        options.combinations,
        data,
        options.source,
        [dealt.held_out(fold) for fold in chosen_folds(options)],
    )
    steps = Steps(evaluation_steps(options.methods, options.combinations), on_progress)
    cells = (
        estimated_composition(data, options.source)
        if options.composition is None
        else read_composition(options.composition, data, options.source)
    )
    scores = EvaluationScores(options, data, laboratory, cells, what)
    with parallel_config(n_jobs=options.jobs):
        for name in options.methods:
            method = make_method(
                name,
                source=options.source,
                config=config,
                hardware=options.hardware,
                # A bar belongs to one process.
                on_progress=on_training if options.jobs == 1 else None,
                cache=fits_folder(options),
            )
            with steps.running(
                predicting(name), total=len(chosen_folds(options)), unit="folds"
            ) as tell:
                predictions = _predict(method, name, data, dealt, options, what, tell)
            with steps.running(scoring(name)):
                if options.save_predictions:
                    with own.writing(f"{method.name}.nc") as place:
                        write_netcdf(predictions, place)
                scores.add(method, predictions)
            if options.combinations and takes_several(name):
                with steps.running(
                    combining(name), total=len(together), unit="combinations"
                ) as tell:
                    scores.add_combinations(method, name, predictions, dealt, together, tell)
    phenotypes = data.uns["donors"]
    about = {
        "folds_run": chosen_folds(options),
        "resamples": options.resamples,
        "adjusted_for": list(known_confounders(phenotypes)),
    }
    if cells is not None:
        given = options.composition
        about["composition"] = "estimated" if given is None else given.name
    if together:
        about["combinations"] = [list(sources) for sources in together]
    if data.n_vars > MOST_GENES:
        about["resampled_genes"] = MOST_GENES
    with steps.running(COMPARING):
        tables = scores.tables(what | about)
        tables.save(output)
        seal_around(output)
    return Evaluated(tables, "chromosome" in data.var, cells is not None)


def _config(options: EvaluateOptions, data: ad.AnnData) -> RunConfig:
    """Return the settings of MTM, and hold the tissues that were named to those of the cohort."""
    for tissue in (options.source, *options.further_sources):
        tissue_index(tissue_names(data), tissue)  # a misspelt tissue is to cost no training
    if options.source in options.further_sources:
        raise SelectionError(f"--further-sources: {options.source!r} is the source itself.")
    config = run_config(options.preset, options.settings, data.n_vars, len(tissue_names(data)))
    tissue_index(tissue_names(data), config.training.validation_source)
    return config


def _predict(
    method: Method,
    name: str,
    data: ad.AnnData,
    dealt: DonorFolds,
    options: EvaluateOptions,
    what: Mapping[str, object],
    tell: Advance,
) -> xr.Dataset:
    return cross_validate(
        method,
        data,
        dealt,
        source=options.source,
        folder=options.output / "folds",
        with_phenotypes=reads_phenotypes(name),
        further_sources=options.further_sources,
        settings=what,
        only=chosen_folds(options),
        on_fold=tell if options.jobs == 1 else None,
    )
