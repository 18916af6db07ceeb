"""Variances of many genes, each drawn towards what all of them show (empirical Bayes).

Written from the formulas of Smyth 2004, Statistical Applications in Genetics and Molecular Biology
3(1):3, section 6.2: a gene's variance is taken as drawn from s0^2 d0 / chi^2(d0), and d0 and s0^2
are found from the mean and the variance of log s^2. A prior that follows the level of expression
fits a smooth curve in place of that mean (Sartor et al. 2006, BMC Bioinformatics 7:538). Checked
against results that limma printed, and on variances drawn with a known prior.

Letters: G genes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, polygamma

Array = NDArray[np.float64]

_NEWTON_STEPS = 50
_TREND_KNOTS = 4
"""Inner knots of the curve of the prior over the level of expression."""
_TREND_GENES = 200
"""Genes below which no curve is fitted."""
_NEGLIGIBLE = 1e-10
"""Share of the median variance below which a variance is that of rounding."""


@dataclass(frozen=True)
class VariancePrior:
    """What all genes tell of the variance of one.

    Attributes
    ----------
    freedom
        Degrees of freedom d0 that it is worth: 0 tells nothing, infinity is one variance for all.
    variance
        s0^2, (G,).
    """

    freedom: float
    variance: Array


def inverse_trigamma(values: ArrayLike) -> Array:
    """Return x with ``trigamma(x) = values``, of values above 0, by Newton's steps (appendix)."""
    given = np.asarray(values, dtype=np.float64)
    x = 0.5 + 1 / given
    for _ in range(_NEWTON_STEPS):
        trigamma = polygamma(1, x)
        step = trigamma * (1 - trigamma / given) / polygamma(2, x)
        x = x + step
        if np.max(-step / x, initial=0) < 1e-12:
            break
    return np.asarray(x)


def fit_prior(variance: ArrayLike, freedom: float, level: ArrayLike | None = None) -> VariancePrior:
    """Find the prior of ``variance`` (G,), each with ``freedom`` degrees of freedom.

    Genes that do not vary count for nothing.

    Parameters
    ----------
    level
        Mean expression (G,): the prior then follows it, where there are genes enough for a curve.

    Returns
    -------
    VariancePrior
        With fewer than two genes that vary, one that tells nothing.
    """
    s2 = np.asarray(variance, dtype=np.float64)
    varies = s2 > 0
    if varies.any():
        varies &= s2 > _NEGLIGIBLE * np.median(s2[varies])
    n = int(varies.sum())
    if n < 2 or freedom <= 0:
        return VariancePrior(0.0, np.ones_like(s2))
    half = freedom / 2
    logs = np.log(s2[varies]) - digamma(half) + np.log(half)
    centre, rank = np.full(len(s2), logs.mean()), 1
    if level is not None and n >= _TREND_GENES:
        curve = _curve(np.asarray(level, dtype=np.float64), varies)
        found = np.linalg.lstsq(curve[varies], logs, rcond=None)
        centre, rank = curve @ found[0], int(found[2])
    spread = ((logs - centre[varies]) ** 2).sum() / (n - rank) - float(polygamma(1, half))
    if spread <= 0:  # variances differ by no more than chance: one for all, pooled
        pooled = np.full(len(s2), s2[varies].mean())
        return VariancePrior(float("inf"), pooled if rank == 1 else np.exp(centre))
    d0 = 2 * float(inverse_trigamma(spread))
    return VariancePrior(d0, np.exp(centre + digamma(d0 / 2) - np.log(d0 / 2)))


def moderated_variance(variance: ArrayLike, freedom: float, prior: VariancePrior) -> Array:
    """Return each gene's variance (G,) drawn towards the prior, by its degrees of freedom."""
    s2 = np.asarray(variance, dtype=np.float64)
    if np.isinf(prior.freedom):
        return prior.variance.copy()
    return (prior.freedom * prior.variance + freedom * s2) / (prior.freedom + freedom)


def moderated_freedom(freedom: float, prior: VariancePrior, n_genes: int) -> float:
    """Return degrees of freedom of a moderated variance: no more than all genes have together."""
    return min(freedom + prior.freedom, freedom * n_genes)


def _curve(level: Array, varies: NDArray[np.bool_]) -> Array:
    """Return natural cubic splines (G, columns) over ``level``, with knots at its quantiles."""
    knots = np.unique(np.quantile(level[varies], np.linspace(0.02, 0.98, _TREND_KNOTS + 2)))
    span = knots[-1] - knots[0] if len(knots) > 1 else 0
    x = level - level[varies].mean()
    if len(knots) < 3 or span <= 0:
        return np.column_stack([np.ones_like(x), x])

    def cube(knot: float) -> Array:
        return np.asarray(np.maximum(level - knot, 0) ** 3 / span**2)

    # Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, equations 5.4, 5.5.
    ends = [(cube(k) - cube(knots[-1])) / (knots[-1] - k) for k in knots[:-1]]
    return np.column_stack([np.ones_like(x), x, *(end - ends[-1] for end in ends[:-1])])
