"""The comparisons of :mod:`mtm_core.evaluation.comparison`, seen from one of the methods.

An evaluation keeps each pair of methods once, in the order they were run.
"""

from __future__ import annotations

import pandas as pd

_MIRRORED = (
    ("gene_wins", "gene_losses"),
    ("gene_wins_fdr", "gene_losses_fdr"),
    ("sample_wins", "sample_losses"),
    ("sample_wins_fdr", "sample_losses_fdr"),
    ("share_found_by_other", "share_of_other_found"),
    ("difference_low", "difference_high"),
    ("n_predictable", "n_predictable_other"),
)
"""Columns that change places when the two methods do."""
_NEGATED = (
    "difference",
    "difference_low",
    "difference_high",
    "gene_difference",
    "sample_difference",
)
_COMPLEMENTED = ("gene_superiority", "sample_superiority")


def standings(comparisons: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the comparison of ``method`` with each other one.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``other``: the columns of :func:`mtm_core.evaluation.comparison.compare_methods`
        but for the fold change, which turning a pair round does not give (a tissue drops out where
        the other method has no predictable gene); see
        :func:`mtm_core.evaluation.overlaps.predictable_by_tissue`. No rows where the comparison was
        not made.
    """
    if comparisons.empty:
        return comparisons
    rows = _seen_from(comparisons, method).set_index("other")
    return rows.drop(columns=["method", *rows.filter(regex="fold_change").columns])


def standings_by_tissue(comparisons_by_tissue: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the same for every tissue: one row an ``other`` and ``tissue``."""
    if comparisons_by_tissue.empty:
        return comparisons_by_tissue
    rows = _seen_from(comparisons_by_tissue, method)
    return rows.drop(columns=["method", *rows.filter(regex="fold_change").columns])


def strata_of_methods(strata: pd.DataFrame, figure: str) -> pd.DataFrame:
    """Get one figure of each method (rows) in each group of donors (columns), as they were run."""
    by_method = strata.set_index(["method", "stratum"])[figure].unstack("stratum")
    return by_method.loc[strata["method"].unique(), strata["stratum"].unique()]


def _seen_from(pairs: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the rows that ``method`` is in, turned where it is the other of the two."""
    first = pairs[pairs["method"] == method]
    second = pairs[pairs["other"] == method]
    swap = {"method": "other", "other": "method"}
    for a, b in _MIRRORED:
        swap |= {a: b, b: a}
    turned = second.rename(columns=swap)
    for name in _NEGATED:
        if name in turned:
            turned[name] = -turned[name]
    for name in _COMPLEMENTED:
        if name in turned:
            turned[name] = 1 - turned[name]
    # Those run before it first, as they were run.
    return pd.concat([turned[pairs.columns], first], ignore_index=True)
