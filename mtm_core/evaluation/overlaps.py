"""Overlap of the predictable genes (pGenes) of several methods (He et al. 2023, Fig. 2 c-e)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.evaluation.accuracy import PREDICTABLE_RHO, with_predictable
from mtm_core.evaluation.comparison import fold_changes, predictable_sets
from mtm_core.evaluation.results import GENE_KEYS
from mtm_core.grouped_table import GroupedTable, Names, TableOnDisk, as_grouped


def shared_sets(
    genes: pd.DataFrame | GroupedTable, methods: Sequence[str], tissue: str | None = None
) -> pd.DataFrame:
    """Count the genes that exactly each combination of methods predicts.

    Parameters
    ----------
    genes
        Genes of an evaluation, one row for each method, tissue and gene
        (:attr:`mtm_core.evaluation.results.EvaluationTables.gene_rows`).
    methods
        Methods to combine; others do not count.
    tissue
        One tissue, or ``None`` for all, in which a gene counts once for each tissue.

    Returns
    -------
    pandas.DataFrame
        A bool column for each method, in the order given, and ``n``, descending. Empty if no
        method has a predictable gene.
    """
    table = as_grouped(genes, GENE_KEYS)
    where: dict[str, Names] = {"method": methods} | ({} if tissue is None else {"tissue": tissue})
    sets = (
        _aligned_sets(table, methods, tissue)
        if isinstance(table, TableOnDisk) and table.same_genes
        else predictable_sets(with_predictable(table.read(where)))
    )
    lacking = {name: False for name in methods if name not in sets}
    return sets.assign(**lacking)[[*methods, "n"]]


def _aligned_sets(table: TableOnDisk, methods: Sequence[str], tissue: str | None) -> pd.DataFrame:
    """Count as :func:`predictable_sets` does, for tables with the same genes in every tissue."""
    where: dict[str, Names] = {} if tissue is None else {"tissue": tissue}
    by_rule = "is_predictable" in table.columns
    codes: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
    for place, method in enumerate(methods):
        column = "is_predictable" if by_rule else "rho_pooled"
        values = table.matrix(where | {"method": method}, column)
        is_predictable = values.astype(bool) if by_rule else values.astype(float) > PREDICTABLE_RHO
        codes = codes + (is_predictable.astype(np.int64) << place)
    counts = np.bincount(np.ravel(codes), minlength=2 ** len(methods))
    found = np.flatnonzero(counts[1:]) + 1
    sets = pd.DataFrame({name: (found >> i & 1) > 0 for i, name in enumerate(methods)})
    return sets.assign(n=counts[found]).sort_values("n", ascending=False, kind="stable")


def set_sizes(sets: pd.DataFrame) -> pd.Series:
    """Return the number of predictable genes of each method, given :func:`shared_sets`."""
    members = sets.drop(columns="n")
    return members.mul(sets["n"], axis=0).sum().astype(int).rename("n_predictable")


def predictable_by_tissue(tissues: pd.DataFrame, first: str, other: str) -> pd.DataFrame:
    """Compare the numbers of predictable genes of two methods.

    Returns
    -------
    pandas.DataFrame
        Indexed by the tissues that both methods have: ``n``, ``n_predictable``,
        ``n_predictable_other`` and their ``fold_change``, NaN if the other has none.
    """
    ours, theirs = (
        tissues[tissues["method"] == name].set_index("tissue") for name in (first, other)
    )
    table = ours[["n"]].join(fold_changes(ours, theirs))
    return table.dropna(subset=["n_predictable", "n_predictable_other"])
