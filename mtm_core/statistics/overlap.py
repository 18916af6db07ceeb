"""Agreement of two analyses: overlap of gene sets, signs and sizes of effects.

Hypergeometric and binomial tests are scipy's; intervals are by Fisher's z.
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
"""Fewest shared genes for a correlation, as fewer have no interval."""


@dataclass(frozen=True)
class SetOverlap:
    """Overlap of two gene sets within one background.

    Attributes
    ----------
    n_background, n_first, n_second, n_shared
        Numbers of genes in the background, in each set within it, and in both.
    expected
        Number of shared genes expected by chance.
    p
        Hypergeometric probability of ``n_shared`` genes or more.
    jaccard
        Size of the intersection over that of the union.
    f1
        F1 score of the first set as a prediction of the second.
    outcome
        ``"tested"``, or ``"empty set"``, for which p, Jaccard index and F1 are NaN.
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
    """Compare the set ``first``, a prediction, with ``second``, the reference."""
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
    """Agreement of the signs of two vectors over genes.

    Attributes
    ----------
    n
        Number of genes with a sign in both vectors (neither NaN nor 0).
    n_same
        Number of these with the same sign.
    share
        ``n_same / n``.
    p
        Two-sided binomial test against one half. It takes genes as independent, which they are
        not, so it is too small.
    outcome
        ``"tested"``, or ``"no signs"``, for which share and p are NaN.
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
    """Correlation of two vectors over genes.

    Attributes
    ----------
    n
        Number of genes known in both.
    pearson, pearson_low, pearson_high, pearson_p
        Pearson's rho, its 95 % interval by Fisher's z, and two-sided p. Both take genes as
        independent, which they are not, so the interval is too narrow and p too small.
    spearman, spearman_p
        Spearman's rho and its two-sided p.
    outcome
        ``"tested"``, ``"too few samples"`` (fewer than ``MINIMUM_SHARED`` genes) or ``"constant"``.
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
    """Correlate two series over the genes in the index of both."""
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
