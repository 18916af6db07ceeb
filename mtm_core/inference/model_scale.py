"""A table's values on the scale of a model: its genes, its unit, its normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.artefact import Artefact
from mtm_core.data.genes.index import GeneIndex, GeneMatch, collapse
from mtm_core.data.notes import Note
from mtm_core.data.tables.value_summary import GeneColumns
from mtm_core.data.units import UNIT_TABLE, check_magnitude, per_million, to_linear
from mtm_core.errors import ExpressionError
from mtm_core.inference.alignment import distance_before
from mtm_core.inference.genes_found import panel_normalise
from mtm_core.inference.unit_distance import SAMPLES_LOOKED_AT, describe_nearer
from mtm_core.inference.unit_reading import UnitReading
from mtm_core.methods.protocol import tissue_index


@dataclass(frozen=True)
class TableGenes:
    """Genes among a table's columns: the model's, and all that count in judging its unit."""

    match: GeneMatch
    columns: GeneColumns


@dataclass(frozen=True)
class ModelScale:
    """A model's genes, unit and normalisation, to which tables are brought."""

    artefact: Artefact

    @cached_property
    def genes(self) -> GeneIndex:
        """The model's genes."""
        return GeneIndex(self.artefact.genes, self.artefact.reference.mean)

    def match(self, ids: Sequence[str]) -> TableGenes:
        """Find the model's genes, and all that are genes, among the names of a table's columns."""
        match = self.genes.match(ids)
        return TableGenes(match, GeneColumns.of(ids, match.gene_of))

    def typical(self, source: str) -> NDArray[np.float32]:
        """Return the mean linear expression (G,) of the reference in ``source``."""
        code = tissue_index(self.artefact.method.tissues, source)
        mean: NDArray[np.float32] = self.artefact.reference.mean[code]
        return mean

    def normalised(
        self,
        values: pd.DataFrame,
        reading: UnitReading,
        source: str,
        genes: TableGenes,
        *,
        only: NDArray[np.bool_] | None = None,
        typical: NDArray[np.floating] | None = None,
    ) -> pd.DataFrame:
        """Bring ``values`` (samples, ids) to the model's genes and unit, each sample by itself.

        Only values of the model's genes must be such as the unit can have.

        Parameters
        ----------
        only
            (G,) genes that are read, where not all that are found are.
        typical
            (G,) what each gene makes up of a sample; the reference's mean by default.

        Returns
        -------
        pandas.DataFrame
            (N, G) linear expression, NaN where a gene is missing.

        Raises
        ------
        ExpressionError
            If a value of one of these genes cannot be in the unit.
        """
        kind, x = UNIT_TABLE[reading.unit], values.to_numpy(dtype=np.float64)
        floors = reading.floors(x[:, genes.columns.is_gene])
        known = genes.match.gene_of >= 0
        linear = to_linear(values.loc[:, known], reading.unit, floors)
        if self.artefact.normalisation == "none" and reading.to_million:
            possible = np.where(x > kind.high, -np.inf, x) if kind.is_log else x
            totals = genes.columns.totals(
                np.maximum(kind.inverse(possible, floors), 0), repeats=True
            )
            linear = per_million(linear, pd.Series(totals, values.index))
        of_known = replace(genes.match, gene_of=genes.match.gene_of[known])
        on_genes, found = collapse(linear, of_known)
        if only is not None:
            found = found & only
            on_genes.loc[:, ~found] = np.nan
        levels = self.typical(source) if typical is None else typical
        return panel_normalise(on_genes, found, levels, self.artefact.normalisation)

    def nearer_units(
        self,
        values: pd.DataFrame,
        reading: UnitReading,
        source: str,
        genes: TableGenes,
        *,
        distance: pd.Series | None = None,
    ) -> tuple[Note, ...]:
        """Say whether the first samples of ``values`` (samples, ids) lie nearer in another unit.

        See :mod:`mtm_core.inference.unit_distance`.

        Parameters
        ----------
        distance
            Distance of each sample as ``reading`` reads it, where it is known: of
            :class:`mtm_core.inference.alignment.Aligned`, before alignment.
        """
        first, method = values.iloc[:SAMPLES_LOOKED_AT], self.artefact.method
        code, found = tissue_index(method.tissues, source), genes.match.found

        def distance_of(other: UnitReading) -> float:
            if distance is not None and other is reading:
                return float(np.median(distance.iloc[:SAMPLES_LOOKED_AT]))
            linear = self.normalised(first, other, source, genes)
            return float(np.median(distance_before(linear, found, code, method.scaler)))

        return describe_nearer(distance_of, reading)


def checked_table(table: pd.DataFrame) -> pd.DataFrame:
    """Hold a table that did not come through the reader to what the reader promises.

    Raises
    ------
    ExpressionError
        If it is no DataFrame or is empty, a value is no finite number or beyond measure, a sample
        has no name or is duplicated, or a gene is duplicated with all its values.
    """
    if not isinstance(table, pd.DataFrame):
        raise ExpressionError(
            "expected a DataFrame, samples in rows and genes in columns; an object of the type"
            f" {type(table).__name__} came. Of an AnnData, give adata.to_df(). Read files with"
            " read_expression, and name the samples and genes of an array:"
            " pd.DataFrame(array, index=samples, columns=genes)."
        )
    if table.columns.nlevels > 1:
        raise ExpressionError(
            f"the names of the genes have {table.columns.nlevels} levels. Keep the level of gene"
            " ids, as table.droplevel does, with axis=1."
        )
    if table.index.nlevels > 1:
        raise ExpressionError(
            f"the names of the samples have {table.index.nlevels} levels. Keep the level of sample"
            " names, as table.droplevel does, or join the levels."
        )
    if table.index.hasnans:
        raise ExpressionError(
            f"{int(table.index.isna().sum())} of {len(table)} samples have no name (NaN in the"
            " index). Name them, or leave them out."
        )
    if any(kind.kind in "bc" for kind in table.dtypes):
        raise ExpressionError("expected numbers; some values are True and False, or complex.")
    if table.empty:
        raise ExpressionError(f"the table is empty: {len(table)} samples, {table.shape[1]} genes.")
    try:
        values = table.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ExpressionError(f"expected numbers, samples in rows: {error}") from error
    if not np.isfinite(values.to_numpy()).all():
        raise ExpressionError("expected finite numbers; the table has missing or infinite values.")
    check_magnitude(values)
    if values.index.has_duplicates:
        twice = values.index[values.index.duplicated()][0]
        raise ExpressionError(f"sample {twice!r} is duplicated; sample names must be unique.")
    _check_copies(values)
    return values


def _check_copies(values: pd.DataFrame) -> None:
    """Refuse genes that are there twice with all their values: summed, they would count twice."""
    copies = values.loc[:, values.columns.duplicated(keep=False)]
    seen = set[tuple[str, bytes]]()
    for name, column in zip(copies.columns, copies.to_numpy(np.float64).T, strict=True):
        if (key := (str(name), column.tobytes())) in seen and column.any():
            raise ExpressionError(
                f"gene {name!r} is duplicated, with the same values, as after joining tables twice."
                " Leave one out: table.loc[:, ~table.columns.duplicated()]."
            )
        seen.add(key)
