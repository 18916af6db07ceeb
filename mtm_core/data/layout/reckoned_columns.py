"""Columns that are reckoned from others: sums, means, counts of samples, in whatever unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import rankdata

_MOST_WEIGHED = 400
_LIMITS = (0, 0.1, 0.5, 1, 4, 5, 9, 10)
"""Thresholds from which programs count a gene as detected in a sample."""
_SMOOTH = 0.2
"""A mean misses the profile of the samples by less than a fifth of what a sample does; the real
samples that missed it least missed it by 0.35 of that."""

Floats = NDArray[np.float64]


def standard_ranks(values: Floats) -> Floats:
    """Return ranks in each column, centred, of length 1; missing ones in the middle."""
    ranks = rankdata(values, axis=0, nan_policy="omit")
    ranks = ranks - np.nanmean(ranks, axis=0)
    ranks[np.isnan(ranks)] = 0
    length = np.sqrt((ranks**2).sum(axis=0))
    length[length == 0] = 1
    result: Floats = (ranks / length).astype(np.float32)
    return result


def may_be_sums(x: Floats) -> NDArray[np.bool_]:
    """Tell columns of which little is left when all others, with any weights, are taken away."""
    n_rows, n_columns = x.shape
    if n_rows < 3 * n_columns or n_columns > _MOST_WEIGHED:
        return np.zeros(n_columns, dtype=np.bool_)
    scaled = x * _row_scale(x)[:, None]
    scaled = scaled / np.maximum(np.linalg.norm(scaled, axis=0), 1e-300)
    together = scaled.T @ scaled + 1e-12 * np.eye(n_columns)
    left: Floats = 1 / np.diag(np.linalg.inv(together))
    return left < 1e-3


def _row_scale(x: Floats) -> Floats:
    """Return what brings rows of low and high expression to one size."""
    size = np.abs(x).mean(axis=1)
    scale: Floats = 1 / np.maximum(size, max(size.mean() * 1e-3, 1e-12))
    return scale


def reckoned(x: Floats, others: Floats, *, weigh: bool) -> str:
    """Say how ``x`` (rows,) is reckoned from ``others`` (rows, columns), '' if it is not."""
    if (others == x[:, None]).all(axis=0).any():
        return ""  # the same sample under two names
    decimals = next((d for d in range(7) if np.allclose(np.round(x, d), x, rtol=0, atol=1e-9)), 7)
    rounding = 0.51 * 10.0**-decimals if decimals < 7 else 0.0
    simple = {
        "sum": others.sum(axis=1),
        "mean": others.mean(axis=1),
        "median": np.median(others, axis=1),
        "highest value": others.max(axis=1),
        "lowest value": others.min(axis=1),
        "SD": others.std(axis=1, ddof=1),
        "variance": others.var(axis=1, ddof=1),
    }
    for limit in _LIMITS:
        above = (others > limit).sum(axis=1)
        simple[f"number above {limit}"] = above
        simple[f"share above {limit}"] = above / others.shape[1]
        simple[f"percentage above {limit}"] = 100 * above / others.shape[1]
    for what, expected in simple.items():
        if _same(x, expected, rounding) and expected.any():
            return f"it is the {what} of the other columns in every row"
    if not weigh or len(others) < 3 * others.shape[1]:
        return ""
    scale = _row_scale(others)
    rows = np.linspace(0, len(x) - 1, min(len(x), 1500)).astype(int)
    weights, _ = nnls(others[rows] * scale[rows, None], x[rows] * scale[rows])
    if not _same(x, others @ weights, rounding):
        return ""
    n_used = int((weights > weights.max() * 1e-3).sum())
    if n_used == 1:
        return "it is a multiple of another column in every row"
    return f"it is a sum of {n_used} other columns, each with a weight, in every row"


def _same(x: Floats, expected: Floats, rounding: float) -> bool:
    near = np.abs(x - expected) <= rounding * 1.02 + 2e-3 * np.abs(expected)
    return bool(near.mean() > 0.99)


def are_smooth(x: Floats) -> NDArray[np.bool_]:
    """Tell means, in whatever unit, from samples: they miss the others' mean profile by less."""
    ranks = standard_ranks(x).astype(np.float64)
    others = ranks.sum(axis=1, keepdims=True) - ranks
    missed = 1 - (others * ranks).sum(axis=0) / np.maximum(np.linalg.norm(others, axis=0), 1e-300)
    smooth: NDArray[np.bool_] = missed < _SMOOTH * np.median(missed)
    return smooth
