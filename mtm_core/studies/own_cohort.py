"""A user's own cohort: measured source and predicted tissues side by side.

The measured source is what the user measured: every gene of their table, on their own scale, never
aligned (:mod:`mtm_core.inference.measured`). Predictions are functions of it. A difference between
groups in a predicted tissue is what the difference in blood would go with in the reference's
donors: the number of samples is that of the blood samples, and no test on predictions adds to what
blood knows.

Shapes: N samples, T tissues, G genes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import norm

from mtm_core.artefact import Artefact
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.errors import SelectionError
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.inference.decoder import INTERVAL, INTERVAL_LEVEL, Index, TissueProgress
from mtm_core.inference.measured import Measured, as_measured
from mtm_core.inference.on_demand import on_demand
from mtm_core.inference.one_sex import may_have
from mtm_core.inference.prepared import Prepared
from mtm_core.methods.protocol import Floats, tissue_index
from mtm_core.statistics.association import trait_association
from mtm_core.statistics.differential import differential_expression
from mtm_core.studies.resampled_effects import linear_of, log2_ratio
from mtm_core.studies.sample_labels import check_groups
from mtm_core.studies.sample_sex import known_sex

MEASURED: str = "measured"
PREDICTED: str = "predicted"
HIGHER, LOWER = "higher in cases", "lower in cases"
UNCHANGED, UNPREDICTABLE, UNTESTED = "not changed", "not predictable", "not tested"
KEYS = ("tissue", "origin", "gene_id", "gene")
"""First columns of every table here: one row a gene in a tissue."""
_COMMON = ("samples", "predicted_genes", "predicted_symbols")


@dataclass(frozen=True)
class OwnCohort:
    """The samples in every tissue, as log2 expression.

    Attributes
    ----------
    source
        Measured tissue.
    measured
        Every gene of the user's table.
    predicted
        (N, T, G) linear expression of the model's genes, with ``symbol`` by gene.
    unit
        Unit of ``predicted``.
    tissues
        Those that are looked at: the source first, where it is one of them.
    interval
        ``lower`` and ``upper`` ends of each predicted value, as ``predicted``; ``None`` if the
        model has none.
    n_donors
        Reference donors of each tissue that the model was learnt from, where that is known.
    sex
        Sex of each sample, ``"female"`` or ``"male"``, NaN where not known: comparisons leave out
        people of the other sex in a predicted tissue that only one has. ``None``: nobody is.
    """

    source: str
    measured: Measured
    predicted: xr.DataArray
    unit: str
    tissues: tuple[str, ...]
    interval: xr.Dataset | None = None
    n_donors: pd.Series | None = None
    sex: pd.Series | None = None

    @classmethod
    def of(
        cls,
        prediction: xr.Dataset,
        prepared: Prepared,
        artefact: Artefact,
        table: ExpressionTable | pd.DataFrame,
        *,
        sex: pd.Series | None = None,
        both_sexes: bool = False,
    ) -> OwnCohort:
        """Put ``table``, as it was measured, beside its ``prediction``.

        Parameters
        ----------
        prediction, prepared, artefact, table
            The prediction, the samples as they were prepared for it, its model, and their table.
        sex
            ``"female"`` or ``"male"`` by sample, as :meth:`SampleMetadata.phenotypes` has it. Of
            samples that it does not name, XIST and the genes of the Y chromosome tell the sex.
        both_sexes
            Compare people of both sexes in tissues that only one has, too.

        Raises
        ------
        ExpressionError
            As :func:`mtm_core.inference.measured.as_measured`.
        """
        values = table.values if isinstance(table, ExpressionTable) else table
        predicted = prediction["expression"].transpose("sample", "tissue", "gene")
        measured = as_measured(values, prepared.unit, prepared.match, artefact.genes["symbol"])
        return cls(
            prepared.source,
            measured,
            predicted,
            str(prediction.attrs["unit"]),
            (prepared.source, *predicted["tissue"].to_numpy().astype(str).tolist()),
            prediction[list(INTERVAL)] if set(INTERVAL) <= set(prediction) else None,
            artefact.tissues["n_samples"],
            None if both_sexes else known_sex(measured.log2.set_axis(list(prepared.samples)), sex),
        )

    @cached_property
    def samples(self) -> pd.Index:
        """Names of the samples."""
        return pd.Index(self.predicted["sample"].to_numpy().astype(str), name="sample")

    @property
    def predicted_tissues(self) -> tuple[str, ...]:
        """The predicted tissues."""
        return tuple(tissue for tissue in self.tissues if tissue != self.source)

    def cut(self, tissues: Sequence[str]) -> OwnCohort:
        """Look at ``tissues`` alone.

        Raises
        ------
        SelectionError
            If one is not there.
        """
        unknown = [tissue for tissue in tissues if tissue not in self.tissues]
        if unknown:
            raise SelectionError.unknown("tissue", unknown, self.tissues)
        return self._with(tissues=tuple(tissues))

    def with_sex(self, sex: pd.Series | None) -> OwnCohort:
        """Return the same samples, of whom another ``sex`` is known; ``None`` leaves nobody out."""
        return self._with(sex=sex)

    def _with(self, **changes: Any) -> OwnCohort:  # noqa: ANN401 - of any field
        own = replace(self, **changes)
        # What they have in common is made once, not for each of them: names of 19,291 genes.
        vars(own).update({name: getattr(self, name) for name in _COMMON})
        return own

    def may_have(self, tissue: str) -> NDArray[np.bool_]:
        """Tell which samples (N,) are compared in ``tissue``.

        All of a tissue that was measured; of one that was predicted, those who may have it
        (:func:`mtm_core.inference.one_sex.may_have`).
        """
        if self.sex is None or tissue == self.source:
            return np.ones(len(self.samples), dtype=bool)
        return may_have(tissue, self.sex.reindex(self.samples))

    def origin(self, tissue: str) -> str:
        """Say whether ``tissue`` was measured or predicted."""
        return MEASURED if tissue == self.source else PREDICTED

    def scale(self, tissue: str) -> str:
        """Say what the numbers of ``tissue`` are."""
        return self.measured.scale if tissue == self.source else f"log2(1 + {self.unit})"

    def genes(self, tissue: str) -> pd.Index:
        """Return the ids of the genes of ``tissue``: all of the table's, or the model's."""
        if tissue == self.source:
            return self.measured.log2.columns
        return self.predicted_genes

    @cached_property
    def predicted_genes(self) -> pd.Index:
        """Ids of the genes of every predicted tissue."""
        return pd.Index(self.predicted["gene"].to_numpy().astype(str), name="gene_id")

    @cached_property
    def predicted_symbols(self) -> list[str]:
        """Their symbols."""
        return [str(symbol) for symbol in self.predicted["symbol"].to_numpy()]

    def symbols(self, tissue: str) -> list[str]:
        """Return their symbols."""
        if tissue == self.source:
            return [str(symbol) for symbol in self.measured.symbols]
        return self.predicted_symbols

    def log2(self, tissue: str) -> NDArray[np.floating]:
        """Return log2 expression (N, genes of ``tissue``), on the scale of that tissue."""
        if tissue == self.source:
            values: NDArray[np.floating] = self.measured.log2.to_numpy()
            return values
        linear = self.predicted.sel(tissue=tissue).transpose("sample", "gene").to_numpy()
        return np.asarray(np.log2(1 + linear))

    def error(self, tissue: str) -> NDArray[np.floating] | None:
        """Return the standard error (N, G) of each predicted value of log2 expression.

        What half the width of the calibrated interval is worth of a normal distribution; the wider
        half, where 0 cuts the other short. ``None`` of a tissue that was measured, or without
        intervals.
        """
        if tissue == self.source or self.interval is None:
            return None
        own = self.interval.sel(tissue=tissue).transpose("sample", "gene")
        middle = self.log2(tissue)
        halves = (np.log2(1 + own[name].to_numpy()) - middle for name in INTERVAL)
        half = np.max([np.abs(part) for part in halves], axis=0)
        return np.asarray(half / norm.ppf(0.5 + INTERVAL_LEVEL / 200), dtype=middle.dtype)

    def gene(self, gene: str) -> pd.DataFrame:
        """Return log2 expression (N, tissues) of one gene.

        NaN in a tissue that lacks it, and for people of the other sex (:meth:`may_have`).
        """
        columns: dict[str, NDArray[np.float64]] = {}
        for tissue in self.tissues:
            at = self.genes(tissue).get_indexer([gene])[0]
            columns[tissue] = np.full(len(self.samples), np.nan)
            if at >= 0 and tissue == self.source:
                columns[tissue] = self.measured.log2.iloc[:, at].to_numpy()
            elif at >= 0:
                linear = self.predicted.sel(tissue=tissue, gene=gene).to_numpy()
                columns[tissue] = np.log2(1 + linear.astype(np.float64))
                columns[tissue][~self.may_have(tissue)] = np.nan
        return pd.DataFrame(columns, index=self.samples).rename_axis(columns="tissue")


def on_reference_scale(
    prediction: xr.Dataset, prepared: Prepared, artefact: Artefact
) -> xr.DataArray:
    """Put the source as the model has read it before the predicted tissues.

    On the model's genes, in its unit, after alignment: to be placed among the reference's donors,
    and for nothing else. What was measured is in :class:`OwnCohort`.

    Returns
    -------
    xarray.DataArray
        (N, T, G) linear expression, computed when it is read; coordinates ``origin`` (tissue:
        ``"measured"`` or ``"predicted"``) and ``symbol`` (gene).
    """
    predicted = prediction["expression"].transpose("sample", "tissue", "gene")
    reader = _MeasuredThenPredicted(prepared, artefact, predicted)
    tissues = [prepared.source, *predicted["tissue"].to_numpy().astype(str)]
    n_samples, _, n_genes = predicted.shape
    return xr.DataArray(
        on_demand(reader, (n_samples, len(tissues), n_genes)),
        coords={
            "sample": prediction["sample"].to_numpy().astype(str),
            "tissue": tissues,
            "gene": prediction["gene"].to_numpy().astype(str),
            "origin": ("tissue", [MEASURED] + [PREDICTED] * (len(tissues) - 1)),
            "symbol": ("gene", prediction["symbol"].to_numpy().astype(str)),
        },
        attrs={"unit": prediction.attrs["unit"]},
    )


@dataclass(frozen=True)
class _MeasuredThenPredicted:
    """Linear expression of the source as the model has read it, then of the predicted tissues."""

    prepared: Prepared
    artefact: Artefact
    predicted: xr.DataArray
    decoder: None = None

    def read(self, tissue: int, samples: Index, genes: Index, out: Floats) -> None:
        if tissue:
            cut = self.predicted.isel(sample=samples, tissue=tissue - 1, gene=genes)
            out[:] = cut.to_numpy()
            return
        method = self.artefact.method
        own = method.scaler.of_genes(tissue_index(method.tissues, self.prepared.source), genes)
        own.inverse(self.prepared.aligned.z[samples][:, genes], 0, out=out)


def compare_groups(
    cohort: OwnCohort,
    groups: pd.Series,
    *,
    case: str,
    control: str,
    on_progress: TissueProgress | None = None,
) -> pd.DataFrame:
    """Compare two groups in every gene of every tissue.

    Parameters
    ----------
    cohort
        The samples.
    groups
        Group of each sample, NaN where not known.
    on_progress
        Called with each tissue.

    Returns
    -------
    pandas.DataFrame
        ``KEYS``, then the columns of
        :func:`mtm_core.statistics.differential.differential_expression` of log2 values: means, and
        the difference of means as fold change, on the ``scale`` of the tissue. FDR within a tissue,
        over all its genes. People of the other sex are left out of a tissue that only one sex
        has, and are in neither ``n_case`` nor ``n_control``. ``log2_ratio`` is that of the groups'
        means of linear expression, as the reference's effects are: to be set beside these.

    Raises
    ------
    SelectionError
        If the groups are one, or one has no sample.
    """
    known = groups.reindex(cohort.samples)
    check_groups(known, case, control)
    is_case, is_control = (known == case).to_numpy(), (known == control).to_numpy()

    def compare(
        values: NDArray[np.floating], genes: Sequence[str], takes_part: NDArray[np.bool_]
    ) -> pd.DataFrame:
        a, b = values[is_case & takes_part], values[is_control & takes_part]
        ratio = np.full(len(genes), np.nan)
        if len(a) and len(b):
            ratio = log2_ratio(linear_of(a).mean(axis=0), linear_of(b).mean(axis=0))
        return differential_expression(a, b, genes, scale="log2").assign(log2_ratio=ratio)

    return _by_tissue(cohort, compare, on_progress)


def correlate_trait(
    cohort: OwnCohort,
    trait: pd.Series,
    covariates: pd.DataFrame | None = None,
    *,
    on_progress: TissueProgress | None = None,
) -> pd.DataFrame:
    """Correlate log2 expression of every gene of every tissue with a trait.

    Parameters
    ----------
    cohort
        The samples.
    trait
        A number for each sample, NaN where not known:
        :func:`mtm_core.studies.sample_labels.trait_numbers`.
    covariates
        Result of :func:`mtm_core.studies.sample_labels.covariate_numbers`; regressed out of both
        sides.
    on_progress
        Called with each tissue.

    Returns
    -------
    pandas.DataFrame
        ``KEYS``, then the columns of
        :func:`mtm_core.statistics.association.trait_association`; FDR within a tissue, over all
        its genes. People of the other sex are left out of a tissue that only one sex has: see
        ``n``.
    """
    samples = cohort.samples
    numbers = trait.reindex(samples).to_numpy(dtype=np.float64)
    others = None if covariates is None else covariates.reindex(samples).to_numpy(dtype=np.float64)

    def correlate(
        values: NDArray[np.floating], genes: Sequence[str], takes_part: NDArray[np.bool_]
    ) -> pd.DataFrame:
        own = np.where(takes_part, numbers, np.nan)
        return trait_association(values, own, genes, covariates=others)

    return _by_tissue(cohort, correlate, on_progress)


def with_accuracy(table: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    """Put the held-out accuracy of each gene in its tissue beside it.

    Parameters
    ----------
    table
        With ``KEYS``.
    held_out
        ``rho_by_fold`` and ``rho_pooled`` by (``tissue``, ``gene_id``); empty if the model was
        not evaluated.

    Returns
    -------
    pandas.DataFrame
        With ``rho_by_fold``, ``rho_pooled`` and ``predictable``: ``"measured"``, ``"yes"`` above
        the paper's pooled rho of 0.3, ``"no"``, or ``"not evaluated"``.
    """
    places = _places_of(table, held_out.index)
    found = places >= 0
    rho = {}
    for name in ("rho_by_fold", "rho_pooled"):
        rho[name] = np.full(len(table), np.nan)
        rho[name][found] = held_out[name].to_numpy(dtype=np.float64)[places[found]]
    predictable = np.select(
        [
            (table["origin"] == MEASURED).to_numpy(),
            rho["rho_pooled"] > PREDICTABLE_RHO,
            found,
        ],
        ["measured", "yes", "no"],
        "not evaluated",
    )
    return table.assign(**rho, predictable=predictable)


def _places_of(table: pd.DataFrame, known: pd.MultiIndex) -> NDArray[np.intp]:
    """Return the row of ``known``, by tissue and gene, that each row of ``table`` is; -1: none.

    Of one tissue genes alone are looked up: pairs of names take ten times as long.
    """
    tissues = table["tissue"].unique()
    if len(tissues) == len(known.levels[0]) == 1 and tissues[0] == known.levels[0][0]:
        genes = known.get_level_values(1)
        if np.array_equal(genes.to_numpy(), table["gene_id"].to_numpy()):
            return np.arange(len(table))
        return np.asarray(genes.get_indexer(table["gene_id"]))
    return np.asarray(known.get_indexer(pd.MultiIndex.from_frame(table[["tissue", "gene_id"]])))


def kind_of_change(table: pd.DataFrame, *, fold_change: float, fdr: float) -> pd.Series:
    """Say of each gene of :func:`with_accuracy` whether it changed.

    Parameters
    ----------
    fold_change
        Least absolute log2 fold change.
    fdr
        Greatest FDR.

    Returns
    -------
    pandas.Series
        ``HIGHER``, ``LOWER``, ``UNCHANGED``, ``UNPREDICTABLE`` whatever its numbers, or
        ``UNTESTED``.
    """
    change = table["log2_fold_change"]
    passes = (change.abs() >= fold_change) & (table["fdr"] <= fdr)
    kinds = np.select(
        [
            table["fdr"].isna(),
            table["predictable"] == "no",
            passes & (change > 0),
            passes & (change < 0),
        ],
        [UNTESTED, UNPREDICTABLE, HIGHER, LOWER],
        UNCHANGED,
    )
    return pd.Series(kinds, index=table.index)


def reference_percentile(values: NDArray[np.floating], quantiles: pd.Series) -> NDArray[np.float64]:
    """Place ``values`` (N,) within a reference distribution: percent of it below, about.

    Linear between the quantiles; at its ends nothing finer is known than the outermost level. A
    value that several quantiles share is put at their middle.

    Parameters
    ----------
    quantiles
        By level in (0, 1), rising, on the scale of ``values``.
    """
    points, place_of = np.unique(quantiles.to_numpy(dtype=np.float64), return_inverse=True)
    levels = quantiles.index.to_numpy(dtype=np.float64)
    mean = np.bincount(place_of, weights=levels) / np.bincount(place_of)
    place = np.interp(np.asarray(values, dtype=np.float64), points, mean)
    return np.asarray(100 * place)


def _by_tissue(
    cohort: OwnCohort,
    analyse: Callable[[NDArray[np.floating], Sequence[str], NDArray[np.bool_]], pd.DataFrame],
    on_progress: TissueProgress | None,
) -> pd.DataFrame:
    """Apply ``analyse`` to (samples, genes) of each tissue and put the tables below each other.

    It is also given which samples take part in that tissue.
    """
    tables = []
    for i, tissue in enumerate(cohort.tissues):
        if on_progress is not None:
            on_progress(i, len(cohort.tissues))
        takes_part = cohort.may_have(tissue)
        table = analyse(
            cohort.log2(tissue), cohort.genes(tissue).tolist(), takes_part
        ).reset_index()
        table.insert(0, "tissue", tissue)
        table.insert(1, "origin", cohort.origin(tissue))
        table.insert(3, "gene", cohort.symbols(tissue))
        tables.append(table.assign(scale=cohort.scale(tissue)))
    return pd.concat(tables, ignore_index=True)
