"""Pearson correlation of whole matrices at once, in float64, in two passes.

Checked against ``scipy.stats.pearsonr`` gene by gene.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtr

from mtm_core.statistics.blocks import gene_blocks

Array = NDArray[np.float64]

_CONSTANT = 1e-12
"""A spread below this share of a column's size is rounding, not variation."""
_CLIPPED = 0.999999
"""Fisher's z of 1 is infinite; no correlation counts as more than this."""


def columnwise_correlation(x: ArrayLike, y: ArrayLike) -> Array:
    """Give Pearson's rho of each column of ``x`` (N, G) with the same column of ``y`` (N, G).

    Returns
    -------
    numpy.ndarray
        (G,) float64 in [-1, 1]; NaN where either column does not vary, or N < 2.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    a, b = np.asarray(x), np.asarray(y)
    if a.shape != b.shape:
        raise ValueError(f"expected two arrays of one shape, got {a.shape} and {b.shape}")
    if a.ndim != 2:
        return _correlation_of_columns(a, b)
    rho = np.empty(a.shape[1])
    for block in gene_blocks(a.shape[1]):
        rho[block] = _correlation_of_columns(a[:, block], b[:, block])
    return rho


def _correlation_of_columns(x: NDArray[np.floating], y: NDArray[np.floating]) -> Array:
    a, b = x.astype(np.float64), y.astype(np.float64)
    if len(a) < 2:
        return np.full(a.shape[1:], np.nan)
    a_centred, b_centred = _centred(a), _centred(b)
    a_norm, b_norm = np.sqrt((a_centred**2).sum(axis=0)), np.sqrt((b_centred**2).sum(axis=0))
    product = (a_centred * b_centred).sum(axis=0)
    rho = np.full(product.shape, np.nan)
    np.divide(product, a_norm * b_norm, out=rho, where=(a_norm > 0) & (b_norm > 0))
    return np.clip(rho, -1, 1)


def rowwise_correlation(x: ArrayLike, y: ArrayLike) -> Array:
    """Give Pearson's rho of each row of ``x`` (N, G) with the same row of ``y``: (N,)."""
    return columnwise_correlation(np.asarray(x).T, np.asarray(y).T)


def weighted_correlation(
    weights: ArrayLike, x: ArrayLike, y: ArrayLike, *, constant_x: float = np.nan
) -> Array:
    """Give Pearson's rho of columns of ``x`` and ``y`` under each of R weightings of the rows.

    With the multiplicities of bootstrap resamples as weights this is the correlation of the rows
    gathered, from five matrix products in place of R gathers.

    Parameters
    ----------
    weights
        (R, N), 0 or more.
    x, y
        (N, G).
    constant_x
        What rho is where ``x`` does not vary among the rows with a weight, and ``y`` does.

    Returns
    -------
    numpy.ndarray
        (R, G) float64 in [-1, 1]; NaN where ``y`` does not vary.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    w, a, b = np.asarray(weights, dtype=np.float64), np.asarray(x), np.asarray(y)
    if a.shape != b.shape or w.shape[1:] != a.shape[:1]:
        raise ValueError(
            f"expected (R, N) weights of two (N, G) arrays, got {w.shape}, {a.shape} and {b.shape}"
        )
    total = w.sum(axis=1, keepdims=True)
    w = np.divide(w, total, out=np.zeros_like(w), where=total > 0)
    rho = np.empty((len(w), a.shape[1]))
    for block in gene_blocks(a.shape[1]):
        rho[:, block] = _weighted_correlation(w, a[:, block], b[:, block], constant_x)
    return rho


def _weighted_correlation(
    w: Array, x: NDArray[np.floating], y: NDArray[np.floating], constant_x: float
) -> Array:
    """Give :func:`weighted_correlation` under weights that sum to 1."""
    # Centred, or sums of squares far from 0 would lose their digits.
    a, b = _centred(x.astype(np.float64)), _centred(y.astype(np.float64))
    a_square, b_square = a * a, b * b
    # In place: of many resamples, these passes take as long as the products.
    a_mean, b_mean, rho = w @ a, w @ b, w @ (a * b)
    rho -= a_mean * b_mean
    a_variance, b_variance = w @ a_square, w @ b_square
    a_variance -= np.square(a_mean, out=a_mean)
    b_variance -= np.square(b_mean, out=b_mean)
    a_varies = a_variance > _CONSTANT * a_square.max(axis=0, initial=0)
    b_varies = b_variance > _CONSTANT * b_square.max(axis=0, initial=0)
    scale = np.multiply(a_variance, b_variance, out=a_variance)
    if not (a_varies.all() and b_varies.all()):
        scale[~(a_varies & b_varies)] = np.nan
    rho /= np.sqrt(scale, out=scale)
    np.clip(rho, -1, 1, out=rho)
    rho[b_varies & ~a_varies] = constant_x
    return rho


def correlation_p(rho: ArrayLike, n: int) -> Array:
    """Give the p-value of Pearson's rho of ``n`` pairs, one-sided: above 0 (Student's t, n - 2).

    NaN where rho is, or ``n`` is below 3.
    """
    r = np.asarray(rho, dtype=np.float64)
    if n < 3:
        return np.full(r.shape, np.nan)
    with np.errstate(divide="ignore"):  # rho of 1 or -1: t is infinite, p 0 or 1
        t = r * np.sqrt((n - 2) / ((1 - r) * (1 + r)))
    return np.asarray(stdtr(n - 2, -t), dtype=np.float64)


def correlation_interval(rho: ArrayLike, n: int, level: float = 0.95) -> tuple[Array, Array]:
    """Give the confidence interval (low, high) of Pearson's rho of ``n`` pairs, by Fisher's z.

    NaN where rho is, or ``n`` is below 4.
    """
    z = np.arctanh(np.clip(np.asarray(rho, dtype=np.float64), -_CLIPPED, _CLIPPED))
    half = ndtri((1 + level) / 2) / np.sqrt(n - 3) if n > 3 else np.nan
    return np.tanh(z - half), np.tanh(z + half)


def fisher_mean(rho: ArrayLike, axis: int = 0) -> Array:
    """Average correlations over ``axis`` by Fisher's z, leaving NaN out; NaN where all are."""
    z = np.clip(np.asarray(rho, dtype=np.float64), -_CLIPPED, _CLIPPED)
    np.arctanh(z, out=z)
    missing = np.isnan(z)
    n = np.asarray(z.shape[axis] - missing.sum(axis=axis))
    z[missing] = 0
    mean = np.full(n.shape, np.nan)
    np.divide(z.sum(axis=axis), n, out=mean, where=n > 0)
    return np.asarray(np.tanh(mean))


def _centred(values: Array) -> Array:
    """Take each column's mean off (N, G); a column that only rounding moves becomes 0 exactly."""
    centred = values - values.mean(axis=0)
    size = np.abs(values).max(axis=0, initial=0)
    spread = np.sqrt((centred**2).sum(axis=0))
    constant = spread <= _CONSTANT * np.sqrt(len(values)) * size
    return np.asarray(np.where(constant, 0, centred))
