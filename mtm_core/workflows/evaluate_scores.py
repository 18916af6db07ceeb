"""Scores of an evaluation's methods, each stored as it is computed and taken again where it is."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import anndata as ad
import pandas as pd
import xarray as xr

from mtm_core.data.cohort.splits import DonorFolds
from mtm_core.evaluation.accuracy import accuracy, accuracy_in_strata
from mtm_core.evaluation.bootstrap import resample_donors
from mtm_core.evaluation.combinations import CombinationScores, score_combination
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.evaluation.score_store import MethodScores, score_folder
from mtm_core.evaluation.technical import accuracy_without_laboratory
from mtm_core.methods.cached import CachedMethod, identity
from mtm_core.methods.protocol import Method
from mtm_core.methods.registry import reads_phenotypes
from mtm_core.workflows.evaluate_folder import fits_folder, together_folder
from mtm_core.workflows.evaluate_options import EvaluateOptions, chosen_folds
from mtm_core.workflows.progress import Advance


class EvaluationScores:
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
