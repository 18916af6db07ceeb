"""Resampling with replacement, as multiplicities: how often each member is in each resample."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def resampled_counts(group: ArrayLike, n_resamples: int, seed: int) -> Array:
    """Draw each group's members with replacement, as many as it has.

    Parameters
    ----------
    group
        (N,) group of each member.
    n_resamples
        R.
    seed
        The same seed and groups give the same resamples.

    Returns
    -------
    numpy.ndarray
        (R, N) whole numbers as float64; the members of a group sum to its size.
    """
    members = np.asarray(group)
    rng = np.random.default_rng(seed)
    counts = np.zeros((n_resamples, len(members)))
    for name in np.unique(members):
        own = np.flatnonzero(members == name)
        counts[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), n_resamples)
    return counts


def percentile_interval(statistic: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the central interval of the resampled ``statistic`` (R,).

    Resamples where it is NaN do not count; NaN where it always is.
    """
    values = _known(statistic)
    if not len(values):
        return np.nan, np.nan
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_p(difference: ArrayLike) -> float:
    """Return twice the share of resampled differences (R,) on the rarer side of 0, at most 1.

    Not below 2 / (R + 1): the sample itself counts as one resample (Davison and Hinkley 1997,
    section 4.2). Resamples where it is NaN do not count; NaN where it always is.
    """
    values = _known(difference)
    if not len(values):
        return np.nan
    rarer = min((values <= 0).sum(), (values >= 0).sum())
    return float(min(1.0, 2 * (1 + rarer) / (1 + len(values))))


def _known(statistic: ArrayLike) -> Array:
    values = np.asarray(statistic, dtype=np.float64)
    return values[~np.isnan(values)]
