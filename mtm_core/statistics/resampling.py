"""Bootstrap resamples, as counts of how often each member is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
_ROUNDING = 1e-6


def resampled_counts(group: ArrayLike, n_resamples: int, seed: int) -> Array:
    """Draw bootstrap resamples, stratified by group.

    Parameters
    ----------
    group
        Group (N,) of each member.
    n_resamples
        Number of resamples, R.
    seed
        Seed; the same seed and groups give the same resamples.

    Returns
    -------
    numpy.ndarray
        Counts (R, N) as float64; those of a group sum to its size in each resample.
    """
    members = np.asarray(group)
    rng = np.random.default_rng(seed)
    counts = np.zeros((n_resamples, len(members)))
    for name in np.unique(members):
        own = np.flatnonzero(members == name)
        counts[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), n_resamples)
    return counts


def percentile_interval(statistic: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the central percentile interval of a bootstrapped statistic (R,).

    Resamples in which it is NaN are ignored; if all are, both ends are NaN.
    """
    values = _known(statistic)
    if not len(values):
        return np.nan, np.nan
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def shuffled_p(drawn: ArrayLike, observed: float) -> float:
    """Return the share of shuffles (S,) that are as high as ``observed``, itself among them.

    A shuffle that changes nothing is as high, although its sum may be rounded otherwise.
    """
    values = _known(drawn)
    return float((1 + (values >= observed - _ROUNDING).sum()) / (1 + len(values)))


def bootstrap_p(difference: ArrayLike) -> float:
    """Return the two-sided bootstrap p-value of a difference (R,) from 0.

    It is twice the share of resamples on the rarer side of 0, and at least 2 / (R + 1), because the
    sample itself counts as one resample (Davison and Hinkley 1997, section 4.2). Resamples in which
    the difference is NaN are ignored; if all are, the result is NaN.
    """
    values = _known(difference)
    if not len(values):
        return np.nan
    rarer = min((values <= 0).sum(), (values >= 0).sum())
    return float(min(1.0, 2 * (1 + rarer) / (1 + len(values))))


def _known(statistic: ArrayLike) -> Array:
    values = np.asarray(statistic, dtype=np.float64)
    return values[~np.isnan(values)]
