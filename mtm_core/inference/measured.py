"""A user's samples as they were measured: every gene of their table, on the user's own scale.

Alignment brings samples to the reference so that the model can read them. It changes each gene's
mean and spread, and with these every fold change; so nothing that is shown or compared as measured
goes through it.

Shapes: N samples, I ids of the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.genes.index import GeneMatch
from mtm_core.data.genes.names import symbols_of
from mtm_core.data.tables.value_summary import LARGEST_OF_ONE, GeneColumns
from mtm_core.data.units import UNIT_TABLE, Floats, Unit, UnitKind, check_totals, zero_levels


@dataclass(frozen=True)
class Measured:
    """Samples as measured.

    Attributes
    ----------
    log2
        (N, genes of the table) float64 by sample and gene id: a gene of the model goes by the
        model's id, any other by the table's.
    symbols
        By gene id; the id where no symbol is known.
    scale
        Scale of the numbers, in a few words: ``"log2(1 + CPM)"``.
    meaning
        The same in a sentence.
    """

    log2: pd.DataFrame
    symbols: pd.Series
    scale: str
    meaning: str


def as_measured(values: pd.DataFrame, unit: Unit, match: GeneMatch, symbols: pd.Series) -> Measured:
    """Return ``values`` (N, I) as log2 on their own scale, none of them aligned.

    Counts become log2(1 + CPM), each sample divided by its sum over all genes of the table. Other
    linear units become log2(1 + x). Logarithms stay as they are, brought to base 2. Rows of one
    gene are summed on the linear scale. Rows that are no gene's and a large part of all, such as
    totals, are left out.

    Parameters
    ----------
    values
        In ``unit``, as the table has them.
    match
        Match of its ids with the model's genes.
    symbols
        Symbols of the model's genes, by gene id.

    Raises
    ------
    ExpressionError
        If a sample of counts is all zeros.
    """
    kind, x = UNIT_TABLE[unit], values.to_numpy(dtype=np.float64)
    columns = GeneColumns.of([str(name) for name in values.columns], match.gene_of)
    linear = _linear(x, kind, columns)
    chosen = _may_be_genes(linear, columns)
    if unit == "counts":
        totals = pd.Series(linear[:, chosen].sum(axis=1), values.index)
        check_totals(totals)
        linear *= 1e6 / totals.to_numpy()[:, None]
    numbers = x * np.log2(kind.base) if kind.base is not None else np.log2(1 + linear)
    names = _names(values.columns, match)
    # Of 1,000 samples a choice of columns takes as long as the logarithms.
    chosen_numbers = np.asfortranarray(numbers) if chosen.all() else numbers[:, chosen]
    log2 = pd.DataFrame(chosen_numbers, values.index, names[chosen])
    if log2.columns.has_duplicates:
        log2 = _summed(log2, pd.DataFrame(linear[:, chosen], values.index, names[chosen]))
    known = symbols.astype(str).reindex(log2.columns)
    others = log2.columns[known.isna()]
    known[others] = symbols_of([str(gene) for gene in others])
    scale, meaning = _scale(kind, log2.shape[1])
    return Measured(log2, known.where(known != "", known.index), scale, meaning)


def linear_levels(values: pd.DataFrame, unit: Unit, match: GeneMatch) -> pd.DataFrame:
    """Return every gene of ``values`` (N, I) on a linear scale: logarithms undone, counts as given.

    Genes are chosen, named and summed as by :func:`as_measured`.
    """
    kind, x = UNIT_TABLE[unit], values.to_numpy(dtype=np.float64)
    columns = GeneColumns.of([str(name) for name in values.columns], match.gene_of)
    linear = np.maximum(_linear(x, kind, columns), 0)
    chosen = _may_be_genes(linear, columns) & ~columns.is_tally
    names = _names(values.columns, match)[chosen]
    table = pd.DataFrame(linear[:, chosen], values.index, names)
    if not names.has_duplicates:
        return table
    return table.T.groupby(level=0, sort=False).sum().T


def _linear(x: Floats, kind: UnitKind, columns: GeneColumns) -> Floats:
    """Undo logarithms; what cannot be one is 0."""
    if not kind.is_log:
        return np.array(x)
    floors = zero_levels(x[:, columns.is_gene]) if kind.added is None else None
    possible = np.where(x > kind.high, -np.inf, x)
    return np.maximum(kind.inverse(possible, floors), 0)


def _may_be_genes(linear: Floats, columns: GeneColumns) -> NDArray[np.bool_]:
    """Tell which columns (I,) are genes, or may be: all but what is a large part of a sample."""
    known = columns.is_known
    if known.all():
        return np.ones(len(known), dtype=bool)
    of_one = LARGEST_OF_ONE * linear[:, known].sum(axis=1)
    large = (linear >= of_one[:, None]) & (linear > 0)
    return np.asarray(known | ~large.any(axis=0))


def _scale(kind: UnitKind, n_genes: int) -> tuple[str, str]:
    if kind.unit == "counts":
        return "log2(1 + CPM)", (
            "log2(1 + CPM) of the table's own counts: each sample is divided by its sum over all"
            f" {n_genes:,} genes of the table. Not aligned."
        )
    if kind.base is not None:
        base = "" if kind.base == 2 else ", brought to base 2"
        return f"{kind.label}, as given{base}", (
            f"The table's own values, {kind.label}, as given{base}. Not aligned."
        )
    name = kind.label
    return f"log2(1 + {name})", f"log2(1 + {name}) of the table's own {name}. Not aligned."


def _names(ids: pd.Index, match: GeneMatch) -> pd.Index:
    """Name each id by the model's gene that it is, or as the table does."""
    names = np.array([str(gene) for gene in ids], dtype=object)
    known = match.gene_of >= 0
    names[known] = match.gene_ids.to_numpy()[match.gene_of[known]]
    return pd.Index(names, name="gene_id", dtype=object)


def _summed(log2: pd.DataFrame, linear: pd.DataFrame) -> pd.DataFrame:
    """Sum columns of one name on the linear scale, as the model reads them; others stay."""
    twice = log2.columns.duplicated(keep=False)
    sums = linear.loc[:, twice].T.groupby(level=0, sort=False).sum().T
    whole = pd.concat([log2.loc[:, ~twice], np.log2(1 + sums)], axis=1)
    return whole[log2.columns.unique()]
