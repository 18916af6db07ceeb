"""Tables of an evaluation, in memory and on disk.

The table of genes has one row for each method, tissue and gene. For a wide model it remains on disk
and is read by method, tissue and gene (:meth:`EvaluationTables.genes_of`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mtm_core.accuracy_names import current_name
from mtm_core.data.files.what_is_it import what_is_missing
from mtm_core.errors import InputFileError
from mtm_core.evaluation.accuracy import Accuracy, summarise_tissues
from mtm_core.evaluation.bootstrap import ResampledRho
from mtm_core.evaluation.combinations import (
    COMBINATION_KEYS,
    SOURCES,
    CombinationRows,
    CombinationScores,
    sources_in_words,
)
from mtm_core.evaluation.comparison import compare_methods
from mtm_core.evaluation.composition_table import FILE as COMPOSITION_FILE
from mtm_core.evaluation.composition_table import FROM as COMPOSITION_FROM
from mtm_core.evaluation.composition_table import with_composition_rows
from mtm_core.grouped_table import GroupedTable, Names, as_grouped, open_grouped, whole
from mtm_core.grouped_writing import save_grouped
from mtm_core.inference.together import BETWEEN
from mtm_core.safe_output import OwnFolder

_INTERVAL = ["gene_rho_by_fold_low", "gene_rho_by_fold_high"]
_OPTIONAL = ("comparisons", "comparisons_by_tissue", "strata")
_SETTINGS = "settings.json"
GENE_KEYS = ("method", "tissue")
"""Columns by which the table of genes is grouped."""
EVALUATION = "an evaluation"
"""Kind of folder in the mark of an evaluation's folder."""
_CSV = ("tissues", "summary", *_OPTIONAL)
_COMBINATIONS = ("combinations.parquet", "combinations.csv", "combination_intervals.csv")
TABLES = (
    *("genes.parquet", COMPOSITION_FILE, *(f"{name}.csv" for name in _CSV)),
    *(*_COMBINATIONS, _SETTINGS),
)
"""Files that :meth:`EvaluationTables.save` writes."""


@dataclass(frozen=True)
class EvaluationTables:
    """Accuracy of several methods on the same folds.

    Attributes
    ----------
    gene_rows, tissues
        Tables of :class:`mtm_core.evaluation.accuracy.Accuracy`, with a column ``method``. The
        table of genes may be on disk.
    settings
        Settings of the run: cohort hash, folds, seed, source, settings of MTM.
    intervals
        By method: ``gene_rho_by_fold_low`` and ``gene_rho_by_fold_high``, the donor bootstrap's
        95 % interval of the mean over tissues.
    comparisons, comparisons_by_tissue
        Result of :func:`mtm_core.evaluation.comparison.compare_methods`.
    strata
        Result of :func:`mtm_core.evaluation.accuracy.accuracy_in_strata`, with columns ``method``
        and ``stratum``.
    combination_rows, combinations
        Genes and tissues of :class:`mtm_core.evaluation.combinations.CombinationScores`, with a
        column ``method``.
    combination_intervals
        Intervals of the combinations, in evaluations since 0.2.0.

    All but the first three are empty if they were not computed.
    """

    gene_rows: pd.DataFrame | GroupedTable
    tissues: pd.DataFrame
    settings: dict[str, Any]
    intervals: pd.DataFrame = field(default_factory=pd.DataFrame)
    comparisons: pd.DataFrame = field(default_factory=pd.DataFrame)
    comparisons_by_tissue: pd.DataFrame = field(default_factory=pd.DataFrame)
    strata: pd.DataFrame = field(default_factory=pd.DataFrame)
    combination_rows: pd.DataFrame | GroupedTable = field(default_factory=pd.DataFrame)
    combinations: pd.DataFrame = field(default_factory=pd.DataFrame)
    combination_intervals: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def genes(self) -> pd.DataFrame:
        """Table of all genes; for a wide model, millions of rows that are read each time."""
        return whole(self.gene_rows)

    @property
    def methods(self) -> list[str]:
        """Names of the methods, in the order in which they were run."""
        return [str(name) for name in self.tissues["method"].unique()]

    def is_from(self, sources: str | Sequence[str]) -> bool:
        """Tell whether donors were predicted from ``sources``, one tissue or several together."""
        first, *further = [sources] if isinstance(sources, str) else sources
        own = self.settings.get("further_sources") or []
        return bool(self.settings.get("source") == first and set(own) == set(further))

    def combinations_of(self, method: str) -> list[tuple[str, ...]]:
        """List the combinations of tissues that ``method`` was evaluated from, the source first."""
        if self.combinations.empty:
            return []
        own = self.combinations.loc[self.combinations["method"] == method, SOURCES]
        return [tuple(str(names).split(BETWEEN)) for names in own.unique()]

    def from_sources(self, sources: str | Sequence[str], method: str) -> EvaluationTables | None:
        """Return the evaluation of predictions from ``sources``, or ``None``.

        Parameters
        ----------
        sources
            One tissue, or several together in any order.
        method
            Name of the method.

        Returns
        -------
        EvaluationTables
            This evaluation if it is of these tissues; else that of the combination, which has
            fewer figures and methods.
        """
        if self.is_from(sources):
            return self
        wanted = {sources} if isinstance(sources, str) else set(sources)
        for found in self.combinations_of(method):
            if set(found) == wanted:
                return self._of_combination(found)
        return None

    def _of_combination(self, sources: Sequence[str]) -> EvaluationTables:
        name = sources_in_words(sources)
        own = self.combinations[self.combinations[SOURCES] == name]
        return EvaluationTables(
            CombinationRows.of(self.combination_rows, name),
            own.drop(columns=SOURCES).dropna(axis=1, how="all").reset_index(drop=True),
            self.settings | {"further_sources": list(sources[1:]), "complete": True},
            self._intervals_of(name),
        )

    def _intervals_of(self, combination: str) -> pd.DataFrame:
        """Return the intervals of a combination by method, as :attr:`intervals`."""
        if self.combination_intervals.empty:
            return pd.DataFrame()
        own = self.combination_intervals
        return own[own[SOURCES] == combination].drop(columns=SOURCES).set_index("method")

    @property
    def gene_ids(self) -> pd.Index:
        """Ids of the genes, in the cohort's order."""
        return self._by_group.genes

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return len(self.gene_ids)

    @property
    def gene_columns(self) -> tuple[str, ...]:
        """Names of the columns of the table of genes."""
        return self._by_group.columns

    def genes_of(
        self,
        method: Names,
        tissue: Names | None = None,
        *,
        genes: Names | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Read part of the table of genes.

        Parameters
        ----------
        method, tissue, genes
            One or more of each; ``None`` for all.
        columns
            Columns to read besides ``method``, ``tissue`` and ``gene_id``; those that an older
            evaluation lacks are left out. ``None`` for all.
        """
        where = {"method": method} | ({} if tissue is None else {"tissue": tissue})
        if columns is not None:
            keys = ("tissue", "gene_id", "method")
            columns = [*keys, *(name for name in columns if name not in keys)]
        return self._by_group.read(where, columns=columns, genes=genes)

    @cached_property
    def _by_group(self) -> GroupedTable:
        return as_grouped(self.gene_rows, GENE_KEYS)

    @classmethod
    def of(
        cls,
        accuracies: Mapping[str, Accuracy],
        settings: dict[str, Any],
        *,
        resampled: Mapping[str, ResampledRho] | None = None,
        strata: Mapping[str, pd.DataFrame] | None = None,
        combinations: CombinationScores | None = None,
    ) -> EvaluationTables:
        """Join the accuracies of several methods, and compare the methods.

        Parameters
        ----------
        accuracies
            Accuracy by name of the method.
        settings
            Settings of the run.
        resampled
            By method: result of :func:`mtm_core.evaluation.bootstrap.resample_donors`.
        strata
            By method: result of :func:`mtm_core.evaluation.accuracy.accuracy_in_strata`.
        combinations
            Of the methods that predict from several tissues.
        """
        intervals = {
            name: dict(zip(_INTERVAL, part.interval(), strict=True))
            for name, part in (resampled or {}).items()
        }
        comparisons, by_tissue = compare_methods(accuracies, resampled)
        return cls(
            pd.concat([a.genes.assign(method=name) for name, a in accuracies.items()]),
            pd.concat(
                [a.tissues.reset_index().assign(method=name) for name, a in accuracies.items()]
            ),
            settings,
            pd.DataFrame.from_dict(intervals, orient="index"),
            comparisons,
            by_tissue,
            pd.concat(strata, names=["method"]).reset_index() if strata else pd.DataFrame(),
            **({} if combinations is None else _fields_of(combinations)),
        )

    def summary(self) -> pd.DataFrame:
        """Summarise the methods, one row for each, in the order in which they were run.

        Returns
        -------
        pandas.DataFrame
            ``{figure}_mean`` over the tissues, ``coverage_{level}`` over all held-out values, and
            the interval of ``gene_rho_by_fold_mean`` if it was computed.
        """
        return self._summary.copy()

    @cached_property
    def _summary(self) -> pd.DataFrame:
        by_method = self.tissues.set_index("tissue").groupby("method", sort=False)
        rows = {name: summarise_tissues(part.drop(columns="method")) for name, part in by_method}
        summary = pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
        return summary.join(self.intervals)

    def spread(self) -> pd.DataFrame:
        """Return SD and range of each figure over the tissues, one row for each method."""
        figures = self.tissues.drop(columns=["tissue", "n"])
        spread = figures.groupby("method", sort=False).agg(["std", "min", "max"])
        spread.columns = [
            f"{figure}_{'sd' if statistic == 'std' else statistic}"
            for figure, statistic in spread.columns
        ]
        return spread

    def of_method(self, method: str) -> dict[str, Any]:
        """Return the accuracy of one method as JSON values, to be stored with a model.

        Returns
        -------
        dict
            ``summary``, ``tissues`` (one object for each tissue) and ``settings``. Missing figures
            are left out.
        """
        tissues = self.tissues[self.tissues["method"] == method].drop(columns="method")
        return {
            "summary": self.summary().loc[method].dropna().to_dict(),
            "tissues": [
                {name: value for name, value in row.items() if not pd.isna(value)}
                for row in tissues.to_dict("records")
            ],
            "settings": self.settings,
        }

    def save(self, folder: Path) -> None:
        """Write the tables into ``folder``.

        ``genes.parquet``, ``tissues.csv``, ``settings.json`` and ``summary.csv`` (with SD and range
        over tissues); ``comparisons.csv``, ``comparisons_by_tissue.csv``, ``strata.csv``,
        ``combinations.csv``, ``combinations.parquet`` and ``combination_intervals.csv`` if they
        were computed. Tables of an
        earlier evaluation are replaced, other files never.

        Raises
        ------
        OutputError
            If there are other files of these names, or they cannot be written.
        """
        own = OwnFolder.among(folder, EVALUATION)
        before = [*(f"{name}.csv" for name in _OPTIONAL), *_COMBINATIONS]
        with own.adding(last=_SETTINGS, instead_of=before) as place:
            save_grouped(self.gene_rows, place / "genes.parquet", GENE_KEYS)
            self.tissues.to_csv(place / "tissues.csv", index=False, float_format="%.6g")
            self.summary().join(self.spread()).to_csv(place / "summary.csv", float_format="%.6g")
            for name in _OPTIONAL:
                if len(table := getattr(self, name)):
                    table.to_csv(place / f"{name}.csv", index=False, float_format="%.6g")
            if len(self.combinations):
                save_grouped(self.combination_rows, place / _COMBINATIONS[0], COMBINATION_KEYS)
                for name, table in zip(
                    _COMBINATIONS[1:], (self.combinations, self.combination_intervals), strict=True
                ):
                    if len(table):
                        table.to_csv(place / name, index=False, float_format="%.6g")
            (place / _SETTINGS).write_text(json.dumps(self.settings, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> EvaluationTables:
        """Read what :meth:`save` wrote, by this version or one with fewer tables or other names.

        Raises
        ------
        InputFileError
            If the folder does not hold an evaluation.
        """
        try:
            summary = pd.read_csv(folder / "summary.csv", index_col="method")
            combined = _combinations_in(folder)
            settings = json.loads((folder / _SETTINGS).read_text())
            genes = open_grouped(folder / "genes.parquet", GENE_KEYS, current_name)
            tissues = _read_figures(folder / "tissues.csv")
            if COMPOSITION_FROM in settings:  # saved again, the figures are among those of genes
                genes, tissues = with_composition_rows(genes, tissues, folder)
            return cls(
                genes,
                tissues,
                settings,
                summary[[name for name in _INTERVAL if name in summary]],
                **{
                    name: _read_figures(path)
                    for name in _OPTIONAL
                    if (path := folder / f"{name}.csv").exists()
                },
                **combined,
            )
        except (OSError, ValueError) as error:
            raise InputFileError(
                f"{folder} holds no evaluation: {what_is_missing(error)}. Make one with 'mtm"
                " evaluate'."
            ) from error


def _fields_of(combinations: CombinationScores) -> dict[str, pd.DataFrame]:
    return {
        "combination_rows": combinations.genes,
        "combinations": combinations.tissues,
        "combination_intervals": combinations.intervals,
    }


def _combinations_in(folder: Path) -> dict[str, Any]:
    """Read genes, tissues and intervals of combinations, as far as they were saved."""
    rows, tissues, intervals = (folder / name for name in _COMBINATIONS)
    if not tissues.exists():
        return {}
    found: dict[str, Any] = {
        "combination_rows": open_grouped(rows, COMBINATION_KEYS, current_name),
        "combinations": _read_figures(tissues),
    }
    if intervals.exists():
        found["combination_intervals"] = pd.read_csv(intervals)
    return found


def _read_figures(path: Path) -> pd.DataFrame:
    return pd.read_csv(path).rename(columns=current_name)
