"""Cross-validate methods on one cohort and score them: tables, intervals, comparisons.

At any width: of a fold's predictions a tissue is in memory at a time.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anndata as ad
import pandas as pd
import xarray as xr
from joblib import parallel_config

from mtm_core.config import RunConfig, to_json
from mtm_core.data.cohort.cohort import read_cohort, tissue_names
from mtm_core.data.cohort.splits import DonorFolds, donor_folds
from mtm_core.data.gtex.annotations import read_technical_attributes
from mtm_core.errors import SelectionError
from mtm_core.evaluation.accuracy import accuracy, accuracy_in_strata
from mtm_core.evaluation.bootstrap import MOST_GENES, resample_donors
from mtm_core.evaluation.combinations import (
    CombinationScores,
    find_combinations,
    score_combination,
)
from mtm_core.evaluation.composition import estimated_composition, read_composition
from mtm_core.evaluation.confounding import known_confounders
from mtm_core.evaluation.cross_validation import cross_validate, write_netcdf
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.evaluation.score_store import MethodScores, score_folder
from mtm_core.evaluation.technical import accuracy_without_laboratory
from mtm_core.methods.cached import CachedMethod, identity
from mtm_core.methods.protocol import Method, tissue_index
from mtm_core.methods.registry import make_method, reads_phenotypes, takes_several
from mtm_core.model_folder import seal_around
from mtm_core.training.trainer import TrainingProgress
from mtm_core.workflows.evaluate_folder import claim_folder, fits_folder, together_folder
from mtm_core.workflows.evaluate_options import EvaluateOptions, check_evaluation, chosen_folds
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
    scores = _Scores(options, data, laboratory, cells, what)
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


class _Scores:
    """Scores of each method, stored as they are computed, so that none is scored twice."""

    def __init__(
        self,
        options: EvaluateOptions,
        data: ad.AnnData,
        laboratory: pd.DataFrame | None,
        composition: pd.DataFrame | None,
        what: Mapping[str, object],
    ) -> None:
        self._options, self._data, self._laboratory = options, data, laboratory
        self._composition = composition
        self._by_method: dict[str, MethodScores] = {}
        self._by_combination: dict[str, list[CombinationScores]] = {}
        self._what = what
        # The cohort's own SHA-256 is of its values alone.
        tables = {
            "donors": data.uns["donors"],
            "genes": data.var,
            "technical": laboratory,
            "composition": composition,
        }
        self._of = dict(what) | {
            "folds_run": chosen_folds(options),
            "resamples": options.resamples,
            **{name: None if table is None else _sha256(table) for name, table in tables.items()},
        }

    def add(self, method: Method, predictions: xr.Dataset) -> None:
        """Score a method, or take the scores that are stored."""
        of = self._of | {"method": identity(method)}
        place = score_folder(self._options.output / "scores", method.name, of)
        scores = MethodScores.load(place)
        if scores is None:
            scores = self._score(predictions)
            scores.save(place)
        self._by_method[method.name] = scores

    def add_combinations(
        self,
        method: Method,
        name: str,
        alone: xr.Dataset,
        dealt: DonorFolds,
        combinations: Sequence[tuple[str, ...]],
        tell: Advance,
    ) -> None:
        """Predict from each combination of tissues, and score it, unless that is stored."""
        options = self._options
        fits = (
            method
            if isinstance(method, CachedMethod)
            else CachedMethod(method, fits_folder(options))
        )
        own = self._by_combination.setdefault(method.name, [])
        for done, sources in enumerate(combinations):
            tell(done)
            of = self._of | {"method": identity(method), "sources": list(sources)}
            place = score_folder(options.output / "scores", f"{method.name}-combination", of)
            scores = CombinationScores.load(place)
            if scores is None:
                predictions = cross_validate(
                    fits,
                    self._data,
                    dealt,
                    source=sources[0],
                    further_sources=sources[1:],
                    complete=True,
                    with_phenotypes=reads_phenotypes(name),
                    folder=together_folder(options),
                    settings=self._what,
                    only=chosen_folds(options),
                )
                donors = self._data.uns["donors"]
                scores = score_combination(
                    predictions,
                    alone,
                    sources,
                    donors,
                    n_resamples=options.resamples,
                    seed=options.seed,
                )
                scores.save(place)
                shutil.rmtree(
                    together_folder(options)
                )  # of a wide cohort gigabytes, no longer needed
            own.append(scores)

    def _score(self, predictions: xr.Dataset) -> MethodScores:
        options, phenotypes = self._options, self._data.uns["donors"]
        parts = accuracy_in_strata(predictions, phenotypes, self._data.var, seed=options.seed)
        if self._laboratory is not None:
            without = accuracy_without_laboratory(
                predictions, phenotypes, self._data.obs, self._laboratory
            )
            parts = pd.concat([parts, without])
        return MethodScores(
            accuracy(predictions, phenotypes, composition=self._composition),
            resample_donors(predictions, n_resamples=options.resamples, seed=options.seed),
            parts,
        )

    def tables(self, settings: dict[str, Any]) -> EvaluationTables:
        """Join and compare the methods."""
        known = self._by_method
        return EvaluationTables.of(
            {name: scores.accuracy for name, scores in known.items()},
            settings,
            resampled={name: scores.resampled for name, scores in known.items()},
            strata={name: scores.strata for name, scores in known.items()},
            combinations=CombinationScores.joined(self._by_combination),
        )


def _sha256(table: pd.DataFrame) -> str:
    return hashlib.sha256(table.to_csv().encode()).hexdigest()
