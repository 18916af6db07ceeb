"""Values far from the others of their kind, by median and median absolute deviation.

Letters: N samples, K components. Checked against ``scipy.stats``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, median_abs_deviation

Array = NDArray[np.float64]

FAR = 3.5
"""Robust z-score beyond which a value is an outlier (Iglewicz and Hoaglin 1993)."""


def robust_z(values: ArrayLike) -> Array:
    """Return how many robust SD each of ``values`` (N,) is from their median.

    NaN where a value is missing, or where half of the values or more are one and the same.
    """
    given = np.asarray(values, dtype=np.float64)
    known = given[np.isfinite(given)]
    if not known.size:
        return np.full(given.shape, np.nan)
    spread = float(median_abs_deviation(known, scale="normal"))
    if spread == 0:
        return np.full(given.shape, np.nan)
    return np.asarray((given - np.median(known)) / spread)


def robust_distance(scores: ArrayLike) -> tuple[Array, Array]:
    """Return the distance (N,) of samples in uncorrelated ``scores`` (N, K), and its p.

    The root of the sum of squared robust z-scores; its square is chi-squared with K degrees of
    freedom where scores are normal. A component that half of the samples share counts nothing.
    """
    z = np.column_stack([robust_z(column) for column in np.asarray(scores, dtype=np.float64).T])
    counted = np.isfinite(z).all(axis=0)
    squared = (z[:, counted] ** 2).sum(axis=1)
    if not counted.any():
        return np.full(len(z), np.nan), np.full(len(z), np.nan)
    return np.sqrt(squared), np.asarray(chi2.sf(squared, counted.sum()))
