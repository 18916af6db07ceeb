"""Outliers by median and median absolute deviation.

Both are uncertain in few samples: of six normal values one lies beyond 3.5 robust SDs in every
sixth table. Thresholds and p-values are therefore those of simulated normal values in as many
samples, up to the number where the limiting distribution serves.

Shapes: N samples, K components. Checked against ``scipy.stats``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, median_abs_deviation, norm

Array = NDArray[np.float64]

OUTLIER_Z = 3.5
"""Robust z-score beyond which a value is an outlier (Iglewicz and Hoaglin 1993)."""
_TABLE_LEVEL = 0.05
"""Share of tables of normal values in which :func:`outlier_z` calls one an outlier, per side."""
_FEW, _MOST_SIMULATED = 30, 300
_DRAWS = 400_000


def outlier_z(n_samples: int) -> float:
    """Return the robust z-score beyond which one of ``n_samples`` values is an outlier.

    ``OUTLIER_Z``, or more in up to 30 samples: a table of normal values has one on a given side
    with a chance of 0.05, as a table of 30 has by ``OUTLIER_Z``.
    """
    if not 3 <= n_samples <= _FEW:
        return OUTLIER_Z
    return max(OUTLIER_Z, _simulated_z(n_samples))


def robust_z(values: ArrayLike) -> Array:
    """Return robust z-scores (N,): the distance from the median in robust SDs.

    NaN for a missing value, and for all if at least half of the values are equal.
    """
    x = np.asarray(values, dtype=np.float64)
    finite = x[np.isfinite(x)]
    if not finite.size:
        return np.full(x.shape, np.nan)
    sd = float(median_abs_deviation(finite, scale="normal"))
    if sd == 0:
        return np.full(x.shape, np.nan)
    return np.asarray((x - np.median(finite)) / sd)


def robust_distance(scores: ArrayLike) -> tuple[Array, Array]:
    """Return robust distances (N,) of samples from the centre, and their p-values.

    The distance is the root of the sum of squared robust z-scores. The p-value is that of normal
    scores: simulated in up to 300 samples, the chi-squared distribution of the squared distance
    with K degrees of freedom above. A simulated p-value is 1 / 400,000 at least, about.

    Parameters
    ----------
    scores
        Uncorrelated scores (N, K). A component in which at least half of the samples are equal is
        ignored.
    """
    z = np.column_stack([robust_z(column) for column in np.asarray(scores, dtype=np.float64).T])
    used = np.isfinite(z).all(axis=0)
    squared = (z[:, used] ** 2).sum(axis=1)
    if not used.any():
        return np.full(len(z), np.nan), np.full(len(z), np.nan)
    if len(z) > _MOST_SIMULATED:
        return np.sqrt(squared), np.asarray(chi2.sf(squared, used.sum()))
    null = _simulated_squares(len(z), int(used.sum()))
    n_above = len(null) - np.searchsorted(null, squared)
    return np.sqrt(squared), (1 + n_above) / (1 + len(null))


def _simulated(n_samples: int, n_components: int) -> Array:
    """Return robust z-scores (R, N, K) of normal values."""
    n_tables = -(-_DRAWS // n_samples)
    x = np.random.default_rng(0).normal(size=(n_tables, n_samples, n_components))
    x -= np.median(x, axis=1, keepdims=True)
    return np.asarray(x * norm.ppf(0.75) / np.median(np.abs(x), axis=1, keepdims=True))


@lru_cache(maxsize=64)
def _simulated_z(n_samples: int) -> float:
    return float(np.quantile(_simulated(n_samples, 1).max(axis=1), 1 - _TABLE_LEVEL))


@lru_cache(maxsize=4)
def _simulated_squares(n_samples: int, n_components: int) -> Array:
    """Return squared distances of normal scores, in ascending order."""
    squares = np.sort((_simulated(n_samples, n_components) ** 2).sum(axis=2), axis=None)
    squares.setflags(write=False)
    return np.asarray(squares)
