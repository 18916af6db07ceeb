"""Outliers by median and median absolute deviation.

Shapes: N samples, K components. Checked against ``scipy.stats``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, median_abs_deviation

Array = NDArray[np.float64]

OUTLIER_Z = 3.5
"""Robust z-score beyond which a value is an outlier (Iglewicz and Hoaglin 1993)."""


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

    The distance is the root of the sum of squared robust z-scores. Its square has a chi-squared
    distribution with K degrees of freedom if the scores are normal.

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
    return np.sqrt(squared), np.asarray(chi2.sf(squared, used.sum()))
