"""Which predictable genes (pGenes) methods share, and how many each has (paper, Fig. 2 c-e)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mtm_core.evaluation.accuracy import with_predictable
from mtm_core.evaluation.comparison import fold_changes, predictable_sets


def shared_sets(
    genes: pd.DataFrame, methods: Sequence[str], tissue: str | None = None
) -> pd.DataFrame:
    """Count the predictable genes of each combination of ``methods`` and of no other of them.

    Parameters
    ----------
    genes
        Of an evaluation: one row a method, tissue and gene.
    methods
        Those to combine; others do not count.
    tissue
        One tissue, or ``None`` for all: then a gene counts once in each tissue.

    Returns
    -------
    pandas.DataFrame
        A bool column a method, in the order given, and ``n``; the most first. No rows where no
        method has a predictable gene.
    """
    chosen = genes["method"].isin(methods)
    if tissue is not None:
        chosen &= genes["tissue"] == tissue
    sets = predictable_sets(with_predictable(genes[chosen]))
    lacking = {name: False for name in methods if name not in sets}
    return sets.assign(**lacking)[[*methods, "n"]]


def set_sizes(sets: pd.DataFrame) -> pd.Series:
    """Give the predictable genes of each method, from :func:`shared_sets`."""
    members = sets.drop(columns="n")
    return members.mul(sets["n"], axis=0).sum().astype(int).rename("n_predictable")


def predictable_by_tissue(tissues: pd.DataFrame, first: str, other: str) -> pd.DataFrame:
    """Set the numbers of predictable genes of two methods side by side.

    Returns
    -------
    pandas.DataFrame
        Indexed by tissue, of those that both methods have: ``n``, ``n_predictable``,
        ``n_predictable_other`` and their ``fold_change``, NaN where the other has none.
    """
    ours, theirs = (
        tissues[tissues["method"] == name].set_index("tissue") for name in (first, other)
    )
    table = ours[["n"]].join(fold_changes(ours, theirs))
    return table.dropna(subset=["n_predictable", "n_predictable_other"])
