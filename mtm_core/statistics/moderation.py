"""Moderated variances: empirical Bayes shrinkage of each gene's variance towards that of all genes.

Written from the formulas of Smyth 2004, Statistical Applications in Genetics and Molecular Biology
3(1):3, section 6.2: a gene's variance has the prior s0^2 d0 / chi^2(d0), and d0 and s0^2 are
estimated from the mean and the variance of log s^2. A prior with a trend replaces that mean by a
smooth curve over mean expression (Sartor et al. 2006, BMC Bioinformatics 7:538). Checked against
limma's printed results, and on variances drawn from a known prior.

Shapes: G genes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, polygamma

Array = NDArray[np.float64]

_NEWTON_STEPS = 50
_TREND_KNOTS = 4
"""Inner knots of the curve of the prior over mean expression."""
_TREND_GENES = 200
"""Fewest genes for which a curve is fitted."""
_NEGLIGIBLE = 1e-10
"""Variances below this share of the median are treated as rounding errors."""


@dataclass(frozen=True)
class VariancePrior:
    """Prior of the variance of a gene, estimated from all genes.

    Attributes
    ----------
    df
        Prior degrees of freedom, d0: 0 for no shrinkage, infinity for one variance for all genes.
    variance
        Prior variance s0^2 (G,).
    """

    df: float
    variance: Array


def inverse_trigamma(values: ArrayLike) -> Array:
    """Return x with ``trigamma(x) = values`` (above 0), by Newton's method (Smyth, appendix)."""
    y = np.asarray(values, dtype=np.float64)
    x = 0.5 + 1 / y
    for _ in range(_NEWTON_STEPS):
        trigamma = polygamma(1, x)
        step = trigamma * (1 - trigamma / y) / polygamma(2, x)
        x = x + step
        if np.max(-step / x, initial=0) < 1e-12:
            break
    return np.asarray(x)


def fit_prior(
    variance: ArrayLike, df: float, mean_expression: ArrayLike | None = None
) -> VariancePrior:
    """Estimate the prior of the genes' variances.

    Parameters
    ----------
    variance
        Residual variances (G,); genes with a variance of 0 are ignored.
    df
        Residual degrees of freedom of each.
    mean_expression
        Mean expression (G,), for a prior with a trend. Ignored if there are too few genes for a
        curve.

    Returns
    -------
    VariancePrior
        Without shrinkage if fewer than two genes vary.
    """
    s2 = np.asarray(variance, dtype=np.float64)
    varies = s2 > 0
    if varies.any():
        varies &= s2 > _NEGLIGIBLE * np.median(s2[varies])
    n = int(varies.sum())
    if n < 2 or df <= 0:
        return VariancePrior(0.0, np.ones_like(s2))
    half = df / 2
    logs = np.log(s2[varies]) - digamma(half) + np.log(half)
    centre, rank = np.full(len(s2), logs.mean()), 1
    if mean_expression is not None and n >= _TREND_GENES:
        splines = _natural_splines(np.asarray(mean_expression, dtype=np.float64), varies)
        solution = np.linalg.lstsq(splines[varies], logs, rcond=None)
        centre, rank = splines @ solution[0], int(solution[2])
    spread = ((logs - centre[varies]) ** 2).sum() / (n - rank) - float(polygamma(1, half))
    if spread <= 0:  # variances differ no more than by chance: pool them
        pooled = np.full(len(s2), s2[varies].mean())
        return VariancePrior(float("inf"), pooled if rank == 1 else np.exp(centre))
    d0 = 2 * float(inverse_trigamma(spread))
    return VariancePrior(d0, np.exp(centre + digamma(d0 / 2) - np.log(d0 / 2)))


def moderated_variance(variance: ArrayLike, df: float, prior: VariancePrior) -> Array:
    """Return the posterior variances (G,): means of variance and prior, weighted by their df."""
    s2 = np.asarray(variance, dtype=np.float64)
    if np.isinf(prior.df):
        return prior.variance.copy()
    if prior.df + df == 0:  # neither the gene nor the others have any
        return np.full_like(prior.variance, np.nan)
    return (prior.df * prior.variance + df * s2) / (prior.df + df)


def moderated_df(df: float, prior: VariancePrior, n_genes: int) -> float:
    """Return the degrees of freedom of a moderated variance, at most those of all genes pooled."""
    return min(df + prior.df, df * n_genes)


def _natural_splines(x: Array, varies: NDArray[np.bool_]) -> Array:
    """Return natural cubic splines (G, columns) of ``x``, with knots at its quantiles."""
    knots = np.unique(np.quantile(x[varies], np.linspace(0.02, 0.98, _TREND_KNOTS + 2)))
    span = knots[-1] - knots[0] if len(knots) > 1 else 0
    centred = x - x[varies].mean()
    if len(knots) < 3 or span <= 0:
        return np.column_stack([np.ones_like(x), centred])

    def cube(knot: float) -> Array:
        return np.asarray(np.maximum(x - knot, 0) ** 3 / span**2)

    # Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, equations 5.4, 5.5.
    ends = [(cube(k) - cube(knots[-1])) / (knots[-1] - k) for k in knots[:-1]]
    return np.column_stack([np.ones_like(x), centred, *(end - ends[-1] for end in ends[:-1])])
