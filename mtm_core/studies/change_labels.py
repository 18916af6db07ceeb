"""Labels of genes by how they changed between two groups."""

from __future__ import annotations

import numpy as np
import pandas as pd

HIGHER, LOWER = "higher in cases", "lower in cases"
UNCHANGED, UNPREDICTABLE, UNTESTED = "not changed", "not predictable", "not tested"
_KINDS = sorted([HIGHER, LOWER, UNCHANGED, UNPREDICTABLE, UNTESTED])


def kind_of_change(table: pd.DataFrame, *, fold_change: float, fdr: float) -> pd.Series:
    """Say of each gene of :func:`mtm_core.studies.gene_accuracy.with_accuracy` whether it changed.

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
    return category_of_change(table, fold_change=fold_change, fdr=fdr).astype(object)


def category_of_change(table: pd.DataFrame, *, fold_change: float, fdr: float) -> pd.Series:
    """Return :func:`kind_of_change` as categories, which are compared and sorted sooner."""
    change = table["log2_fold_change"]
    passes = (change.abs() >= fold_change) & (table["fdr"] <= fdr)
    codes = np.select(
        [
            table["fdr"].isna(),
            table["predictable"] == "no",
            passes & (change > 0),
            passes & (change < 0),
        ],
        [_KINDS.index(kind) for kind in (UNTESTED, UNPREDICTABLE, HIGHER, LOWER)],
        _KINDS.index(UNCHANGED),
    )
    return pd.Series(pd.Categorical.from_codes(codes, _KINDS), index=table.index)
