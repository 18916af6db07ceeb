"""How far two analyses agree: gene sets, directions, sizes.

Sources: hypergeometric tail and binomial test from scipy; Fisher's z for intervals.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binomtest, hypergeom, pearsonr, spearmanr

from mtm_core.statistics.correlation import correlation_interval
from mtm_core.statistics.outcome import CONSTANT, EMPTY_SET, NO_SIGNS, TESTED, TOO_FEW

MINIMUM_SHARED = 4
"""Genes that two vectors need in common to be correlated: fewer have no interval."""


@dataclass(frozen=True)
class SetOverlap:
    """Two sets of genes out of one background.

    Attributes
    ----------
    n_background, n_first, n_second, n_shared
        Genes; both sets are cut to the background.
    expected
        Shared genes by chance.
    p
        Chance of ``n_shared`` or more: the upper tail of the hypergeometric distribution.
    jaccard
        Shared over the union.
    f1
        Of the first set as a prediction of the second: 2 shared / (n_first + n_second).
    outcome
        ``"tested"``, or ``"empty set"``: then p, Jaccard and F1 are NaN.
    """

    n_background: int
    n_first: int
    n_second: int
    n_shared: int
    expected: float
    p: float
    jaccard: float
    f1: float
    outcome: str


def set_overlap(
    first: Collection[str], second: Collection[str], background: Collection[str]
) -> SetOverlap:
    """Compare ``first``, a prediction, with ``second``, the reference."""
    every = set(background)
    a, b = every & set(first), every & set(second)
    n, n_shared = len(every), len(a & b)
    if not a or not b:
        nan = float("nan")
        return SetOverlap(n, len(a), len(b), 0, 0.0, nan, nan, nan, EMPTY_SET)
    return SetOverlap(
        n_background=n,
        n_first=len(a),
        n_second=len(b),
        n_shared=n_shared,
        expected=len(a) * len(b) / n,
        p=float(hypergeom.sf(n_shared - 1, n, len(b), len(a))),
        jaccard=n_shared / len(a | b),
        f1=2 * n_shared / (len(a) + len(b)),
        outcome=TESTED,
    )


@dataclass(frozen=True)
class SignConsistency:
    """How often two vectors have the same sign.

    Attributes
    ----------
    n
        Genes with a sign on both sides: neither missing nor 0.
    n_same
        Of these, with the same.
    share
        ``n_same / n``.
    p
        Two-sided binomial test against one half. Genes are not independent: read it with care.
    outcome
        ``"tested"``, or ``"no signs"``: then share and p are NaN.
    """

    n: int
    n_same: int
    share: float
    p: float
    outcome: str


def sign_consistency(first: ArrayLike, second: ArrayLike) -> SignConsistency:
    """Compare the signs of ``first`` (G,) and ``second`` (G,)."""
    product = np.sign(np.asarray(first, dtype=float)) * np.sign(np.asarray(second, dtype=float))
    n, n_same = int((np.abs(product) == 1).sum()), int((product == 1).sum())
    if not n:
        return SignConsistency(0, 0, float("nan"), float("nan"), NO_SIGNS)
    return SignConsistency(n, n_same, n_same / n, float(binomtest(n_same, n).pvalue), TESTED)


@dataclass(frozen=True)
class Concordance:
    """How far two vectors over genes go together.

    Attributes
    ----------
    n
        Genes known on both sides.
    pearson, pearson_low, pearson_high, pearson_p
        Pearson's rho, its 95 % interval by Fisher's z, two-sided p. Interval and p take genes as
        independent, which they are not: they are narrower than the truth.
    spearman, spearman_p
        Spearman's rho, two-sided p.
    outcome
        ``"tested"``, ``"too few samples"`` (below ``MINIMUM_SHARED`` genes) or ``"constant"``.
    """

    n: int
    pearson: float
    pearson_low: float
    pearson_high: float
    pearson_p: float
    spearman: float
    spearman_p: float
    outcome: str


def concordance(first: pd.Series, second: pd.Series) -> Concordance:
    """Correlate two series over the genes (index) that both know."""
    both = pd.concat([first, second], axis=1, join="inner").astype(float).dropna().to_numpy()
    nan = float("nan")
    if len(both) < MINIMUM_SHARED:
        return Concordance(len(both), nan, nan, nan, nan, nan, nan, TOO_FEW)
    if (np.ptp(both, axis=0) == 0).any():
        return Concordance(len(both), nan, nan, nan, nan, nan, nan, CONSTANT)
    pearson, spearman = pearsonr(both[:, 0], both[:, 1]), spearmanr(both[:, 0], both[:, 1])
    low, high = correlation_interval(pearson.statistic, len(both))
    return Concordance(
        n=len(both),
        pearson=float(pearson.statistic),
        pearson_low=float(low),
        pearson_high=float(high),
        pearson_p=float(pearson.pvalue),
        spearman=float(spearman.statistic),
        spearman_p=float(spearman.pvalue),
        outcome=TESTED,
    )
