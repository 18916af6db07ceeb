"""Comparisons of one method with each other one.

An evaluation stores each pair of methods once (:mod:`mtm_core.evaluation.comparison`), in the order
in which they were run. Here pairs are reversed where necessary.
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
"""Columns that are exchanged when a pair is reversed."""
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
        Indexed by ``other``: the columns of :func:`mtm_core.evaluation.comparison.compare_methods`,
        but for the fold change, which cannot be reversed, as tissues in which the other method has
        no predictable gene are left out
        (:func:`mtm_core.evaluation.overlaps.predictable_by_tissue` computes it). Empty if there is
        no comparison.
    """
    if comparisons.empty:
        return comparisons
    rows = _oriented_to(comparisons, method).set_index("other")
    return rows.drop(columns=["method", *rows.filter(regex="fold_change").columns])


def standings_by_tissue(comparisons_by_tissue: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the comparison in every tissue, one row for each ``other`` and ``tissue``."""
    if comparisons_by_tissue.empty:
        return comparisons_by_tissue
    rows = _oriented_to(comparisons_by_tissue, method)
    return rows.drop(columns=["method", *rows.filter(regex="fold_change").columns])


def strata_of_methods(strata: pd.DataFrame, figure: str) -> pd.DataFrame:
    """Return one figure by method (rows) and stratum (columns), in the order of the run."""
    by_method = strata.set_index(["method", "stratum"])[figure].unstack("stratum")
    return by_method.loc[strata["method"].unique(), strata["stratum"].unique()]


def _oriented_to(pairs: pd.DataFrame, method: str) -> pd.DataFrame:
    """Return the pairs with ``method``, reversed if it is the second of the two."""
    first = pairs[pairs["method"] == method]
    second = pairs[pairs["other"] == method]
    swap = {"method": "other", "other": "method"}
    for a, b in _MIRRORED:
        swap |= {a: b, b: a}
    reversed_pairs = second.rename(columns=swap)
    for name in _NEGATED:
        if name in reversed_pairs:
            reversed_pairs[name] = -reversed_pairs[name]
    for name in _COMPLEMENTED:
        if name in reversed_pairs:
            reversed_pairs[name] = 1 - reversed_pairs[name]
    # Methods that were run earlier come first.
    return pd.concat([reversed_pairs[pairs.columns], first], ignore_index=True)
