"""A user's own cohort: measured source and predicted tissues side by side.

The measured source is what the user measured: every gene of their table, on their own scale, never
aligned (:mod:`mtm_core.inference.measured`). Predictions are functions of it. A difference between
groups in a predicted tissue is what the difference in blood would go with in the reference's
donors: the number of samples is that of the blood samples, and no test on predictions adds to what
blood knows.

Shapes: N samples, T tissues, G genes.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from mtm_core.inference.decoder import INTERVAL, INTERVAL_LEVEL
from mtm_core.inference.measured import Measured, as_measured
from mtm_core.inference.one_sex import may_have
from mtm_core.inference.prepared import Prepared
from mtm_core.studies.sample_sex import known_sex

MEASURED: str = "measured"
PREDICTED: str = "predicted"
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
        Tissues that are looked at: the source first, where it is one of them.
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
