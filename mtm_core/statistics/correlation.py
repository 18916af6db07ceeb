"""Pearson correlation of whole matrices at once, in float64, in two passes.

Checked against ``scipy.stats.pearsonr`` gene by gene.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_CONSTANT = 1e-12
"""A spread below this share of a column's size is rounding, not variation."""


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
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"expected two arrays of one shape, got {a.shape} and {b.shape}")
    if len(a) < 2:
        return np.full(a.shape[1:], np.nan)
    a_centred, b_centred = a - a.mean(axis=0), b - b.mean(axis=0)
    a_norm, b_norm = np.sqrt((a_centred**2).sum(axis=0)), np.sqrt((b_centred**2).sum(axis=0))
    varies = (a_norm > _CONSTANT * np.sqrt(len(a)) * np.abs(a).max(axis=0)) & (
        b_norm > _CONSTANT * np.sqrt(len(b)) * np.abs(b).max(axis=0)
    )
    product = (a_centred * b_centred).sum(axis=0)
    rho = np.full(product.shape, np.nan)
    np.divide(product, a_norm * b_norm, out=rho, where=varies)
    return np.clip(rho, -1, 1)


def rowwise_correlation(x: ArrayLike, y: ArrayLike) -> Array:
    """Give Pearson's rho of each row of ``x`` (N, G) with the same row of ``y``: (N,)."""
    return columnwise_correlation(np.asarray(x).T, np.asarray(y).T)


def fisher_mean(rho: ArrayLike, axis: int = 0) -> Array:
    """Average correlations over ``axis`` by Fisher's z, leaving NaN out; NaN where all are."""
    values = np.asarray(rho, dtype=np.float64)
    z = np.arctanh(np.clip(values, -0.999999, 0.999999))
    there = ~np.isnan(z)
    n = there.sum(axis=axis)
    total = np.where(there, z, 0).sum(axis=axis)
    mean = np.full(total.shape, np.nan)
    np.divide(total, n, out=mean, where=n > 0)
    return np.asarray(np.tanh(mean))
