"""Pearson correlation of whole matrices at once.

Computed in float64 on centred columns, unless stated otherwise. Checked against
``scipy.stats.pearsonr`` gene by gene.

Shapes: N samples, G genes, R weightings (resamples).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtr

from mtm_core.statistics.blocks import gene_blocks

Array = NDArray[np.float64]
Real = TypeVar("Real", np.float32, np.float64)

_CONSTANT = 1e-12
"""A column that varies by less than this share of its size is taken as constant."""
_LOST = 1e-3
"""A float32 variance below this share of the squared mean is too imprecise."""
_CLIPPED = 0.999999
"""Largest correlation for Fisher's z, which is infinite for 1."""


def columnwise_correlation(x: ArrayLike, y: ArrayLike) -> Array:
    """Return Pearson's rho of each column of ``x`` (N, G) with the same column of ``y`` (N, G).

    Returns
    -------
    numpy.ndarray
        rho (G,) in float64; NaN if either column is constant, or N < 2.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> x = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    >>> columnwise_correlation(x, -x).round(3).tolist()
    [-1.0, nan]
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
    """Return Pearson's rho (N,) of each row of ``x`` (N, G) with the same row of ``y`` (N, G)."""
    return columnwise_correlation(np.asarray(x).T, np.asarray(y).T)


def correlation_with(rows: ArrayLike, other: ArrayLike) -> Array:
    """Return Pearson's rho (R,) of each row of ``rows`` (R, G) with one vector ``other`` (G,).

    Equal to :func:`rowwise_correlation` with the vector repeated, but a single matrix product.
    """
    a, b = np.asarray(rows), _centred(np.asarray(other, dtype=np.float64)[:, None])[:, 0]
    rho, n = np.full(len(a), np.nan), len(b)
    if n < 2:
        return rho
    first = a[:, :1].astype(np.float64)  # taken off: a row of one value has sums of 0 exactly
    total, square, together = np.zeros((3, len(a)))
    for block in gene_blocks(n):
        part = a[:, block] - first
        total += part.sum(axis=1)
        square += np.einsum("rg,rg->r", part, part)
        together += part @ b[block]
    mean = total / n
    spread = np.sqrt(np.maximum(square - n * mean**2, 0))
    varies = spread > _CONSTANT * np.sqrt(n) * np.abs(mean + first[:, 0])
    np.divide(together, spread * np.linalg.norm(b), out=rho, where=varies & b.any())
    return np.asarray(np.clip(rho, -1, 1))


def weighted_correlation(
    weights: ArrayLike, x: ArrayLike, y: ArrayLike, *, constant_x: float = np.nan
) -> NDArray[np.floating]:
    """Return Pearson's rho of columns of ``x`` and ``y`` under each of R weightings of the rows.

    With the counts of bootstrap resamples as weights, this is the correlation in each resample,
    from five matrix products. Two float32 arrays are multiplied in float32, which is twice as fast,
    but for columns in which that would be too imprecise.

    Parameters
    ----------
    weights
        Weights (R, N), not negative.
    x, y
        (N, G).
    constant_x
        Value of rho where ``x`` is constant among the weighted rows but ``y`` is not.

    Returns
    -------
    numpy.ndarray
        rho (R, G): for two float32 arrays float32, correct to at least three digits, else float64.
        NaN where ``y`` is constant.

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
    is_single = a.dtype == b.dtype == np.float32
    w_single = w.astype(np.float32)
    rho = np.empty((len(w), a.shape[1]), dtype=np.float32 if is_single else np.float64)
    for block in gene_blocks(a.shape[1]):
        # Centred, as sums of squares far from 0 would be imprecise.
        x_centred, y_centred = (_centred(v[:, block].astype(np.float64)) for v in (a, b))
        double = np.ones(x_centred.shape[1], dtype=bool)
        if is_single:
            rho[:, block], double = _single_correlation(w_single, x_centred, y_centred)
        if double.any():
            rho[:, block][:, double] = _double_correlation(
                w, x_centred[:, double], y_centred[:, double], constant_x
            )
    return rho


def weighted_correlation_with(
    weights: ArrayLike, x: ArrayLike, other: ArrayLike
) -> NDArray[np.floating]:
    """Return Pearson's rho (R, G) of columns of ``x`` with one vector, under R weightings.

    Equal to :func:`weighted_correlation` with the vector repeated, but from three matrix products
    in place of five, in float32 if ``x`` is and if that is precise enough.

    Parameters
    ----------
    weights
        Weights (R, N), not negative.
    x
        (N, G).
    other
        The vector (N,).
    """
    w, a = np.asarray(weights, dtype=np.float64), np.asarray(x)
    total = w.sum(axis=1, keepdims=True)
    w = np.divide(w, total, out=np.zeros_like(w), where=total > 0)
    y = _centred(np.asarray(other, dtype=np.float64)[:, None])
    y /= np.abs(y).max(initial=0) or 1
    y_mean, y_square = w @ y, w @ (y * y)
    y_variance = y_square - y_mean**2
    y_spread = np.sqrt(np.where(y_variance > _CONSTANT, y_variance, np.nan))
    is_single = a.dtype == np.float32 and bool((y_variance > _LOST * y_mean**2).all())
    rho = np.empty((len(w), a.shape[1]), dtype=np.float32 if a.dtype == np.float32 else np.float64)
    w_single, *y_single = (v.astype(np.float32) for v in (w, y, y_mean, y_spread))
    for block in gene_blocks(a.shape[1]):
        centred = _centred(a[:, block].astype(np.float64))
        double = np.ones(centred.shape[1], dtype=bool)
        if is_single:
            rho[:, block], mean_square, variance = _with_one(
                w_single, _to_single(centred), *y_single
            )
            double = np.asarray((variance <= _LOST * mean_square).any(axis=0))
        if double.any():
            left = centred[:, double]
            part, _, variance = _with_one(w, left, y, y_mean, y_spread)
            part[variance <= _CONSTANT * np.square(left).max(axis=0, initial=0)] = np.nan
            rho[:, block][:, double] = part
    return rho


def _with_one(
    w: NDArray[Real],
    a: NDArray[Real],
    y: NDArray[Real],
    y_mean: NDArray[Real],
    y_spread: NDArray[Real],
) -> tuple[NDArray[Real], NDArray[Real], NDArray[Real]]:
    """Correlate centred columns with a centred vector (N, 1), given its moments (R, 1).

    Returns
    -------
    tuple
        rho (R, G), and the squared mean and the variance of each column.
    """
    mean, rho = w @ a, w @ (a * y)
    rho -= mean * y_mean
    square = np.square(mean, out=mean)
    variance = w @ (a * a)
    variance -= square
    with np.errstate(invalid="ignore", divide="ignore"):  # constant columns are handled later
        rho /= np.sqrt(variance)
    rho /= y_spread
    np.clip(rho, -1, 1, out=rho)
    return rho, square, variance


def _single_correlation(
    w: NDArray[np.float32], x: Array, y: Array
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Correlate centred columns in float32, under weights that sum to 1.

    Returns
    -------
    tuple
        rho (R, G), and for which columns (G,) it is too imprecise: those that hardly vary in some
        resample, so that mean and SD differ too much in size.
    """
    a, b = _to_single(x), _to_single(y)
    rho, (a_variance, a_square), (b_variance, b_square) = _weighted_moments(w, a, b)
    lost = ((a_variance <= _LOST * a_square) | (b_variance <= _LOST * b_square)).any(axis=0)
    scale = np.multiply(a_variance, b_variance, out=a_variance)
    scale[:, lost] = 1
    rho /= np.sqrt(scale, out=scale)
    np.clip(rho, -1, 1, out=rho)
    return rho, np.asarray(lost)


def _double_correlation(w: Array, a: Array, b: Array, constant_x: float) -> Array:
    """Return :func:`weighted_correlation` of centred columns under weights that sum to 1."""
    rho, (a_variance, _), (b_variance, _) = _weighted_moments(w, a, b)
    a_varies = a_variance > _CONSTANT * np.square(a).max(axis=0, initial=0)
    b_varies = b_variance > _CONSTANT * np.square(b).max(axis=0, initial=0)
    scale = np.multiply(a_variance, b_variance, out=a_variance)
    scale[~(a_varies & b_varies)] = np.nan
    rho /= np.sqrt(scale, out=scale)
    np.clip(rho, -1, 1, out=rho)
    rho[b_varies & ~a_varies] = constant_x
    return rho


def _weighted_moments(
    w: NDArray[Real], a: NDArray[Real], b: NDArray[Real]
) -> tuple[NDArray[Real], tuple[NDArray[Real], NDArray[Real]], tuple[NDArray[Real], NDArray[Real]]]:
    """Return covariances (R, G), and for each of the two arrays its variances and squared means.

    Computed in place, because with many resamples each pass takes as long as a product.
    """
    a_mean, b_mean, covariance = w @ a, w @ b, w @ (a * b)
    covariance -= a_mean * b_mean
    a_square, b_square = np.square(a_mean, out=a_mean), np.square(b_mean, out=b_mean)
    a_variance, b_variance = w @ (a * a), w @ (b * b)
    a_variance -= a_square
    b_variance -= b_square
    return covariance, (a_variance, a_square), (b_variance, b_square)


def _to_single(values: Array) -> NDArray[np.float32]:
    """Scale each column to [-1, 1] and convert to float32, so that squares do not overflow."""
    size = np.abs(values).max(axis=0, initial=0)
    scaled: Array = np.divide(values, size, out=np.zeros_like(values), where=size > 0)
    return scaled.astype(np.float32)


def correlation_p(rho: ArrayLike, n: int) -> Array:
    """Return one-sided p-values of Pearson's rho above 0, by Student's t with n - 2 df.

    Parameters
    ----------
    rho
        Correlations, of any shape.
    n
        Number of pairs. Below 3, p is NaN, as it is where rho is.
    """
    r = np.asarray(rho, dtype=np.float64)
    if n < 3:
        return np.full(r.shape, np.nan)
    with np.errstate(divide="ignore"):  # rho of 1 or -1: t is infinite, p 0 or 1
        t = r * np.sqrt((n - 2) / ((1 - r) * (1 + r)))
    return np.asarray(stdtr(n - 2, -t), dtype=np.float64)


def correlation_interval(rho: ArrayLike, n: int, level: float = 0.95) -> tuple[Array, Array]:
    """Return the confidence interval (low, high) of Pearson's rho, by Fisher's z.

    Parameters
    ----------
    rho
        Correlations, of any shape.
    n
        Number of pairs. Below 4, the interval is NaN, as it is where rho is.
    level
        Confidence level.
    """
    z = np.arctanh(np.clip(np.asarray(rho, dtype=np.float64), -_CLIPPED, _CLIPPED))
    half = ndtri((1 + level) / 2) / np.sqrt(n - 3) if n > 3 else np.nan
    return np.tanh(z - half), np.tanh(z + half)


def fisher_mean(rho: ArrayLike, axis: int = 0) -> Array:
    """Average correlations over ``axis`` by Fisher's z, ignoring NaN."""
    z = np.clip(np.asarray(rho), -_CLIPPED, _CLIPPED)
    np.arctanh(z, out=z)
    missing = np.isnan(z)
    n = np.asarray(z.shape[axis] - missing.sum(axis=axis))
    z[missing] = 0
    mean = np.full(n.shape, np.nan, dtype=z.dtype)
    np.divide(z.sum(axis=axis), n, out=mean, where=n > 0, casting="same_kind")
    return np.tanh(mean, dtype=np.float64)


def _centred(values: Array) -> Array:
    """Subtract each column's mean (N, G); a column constant up to rounding becomes exactly 0."""
    centred = values - values.mean(axis=0)
    size = np.abs(values).max(axis=0, initial=0)
    spread = np.sqrt((centred**2).sum(axis=0))
    constant = spread <= _CONSTANT * np.sqrt(len(values)) * size
    return np.asarray(np.where(constant, 0, centred))
