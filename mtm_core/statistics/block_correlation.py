"""Correlation of samples within a block (a person, a pair), for each gene and for all genes.

A random intercept by block is fitted by restricted maximum likelihood for every gene at once. The
model is ``y = X b + u[block] + e``, and the correlation is ``var(u) / (var(u) + var(e))``.
Residuals are rotated to a basis in which their covariance is diagonal whatever the correlation, so
that a gene's log-likelihood is a sum. The consensus over genes is the back-transformed trimmed mean
of Fisher's z (Smyth, Michaud and Scott 2005, Bioinformatics 21:2067-2075). Checked against
``statsmodels.MixedLM`` and against results that limma printed.

Shapes: N samples, P columns of the design, B blocks, G genes, M = N - P.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtm_core.statistics.blocks import gene_blocks

Array = NDArray[np.float64]

TRIM = 0.15
"""Share of the genes trimmed at each end for the consensus."""
_MARGIN = 0.01
"""Distance of the estimated correlation from the limits of its range, at least."""
_GRID = 25
_STEPS = 45
_GOLDEN = (np.sqrt(5) - 1) / 2


def block_indicators(blocks: ArrayLike) -> Array:
    """Return indicators (N, B) of 0 and 1, one column for each block."""
    _, codes = np.unique(np.asarray(blocks), return_inverse=True)
    return np.eye(codes.max(initial=-1) + 1)[codes]


def block_covariance(indicators: Array, correlation: float) -> Array:
    """Return the covariance (N, N) of samples of variance 1, given the correlation in a block."""
    same_block = indicators @ indicators.T
    return np.asarray(correlation * same_block + (1 - correlation) * np.eye(len(indicators)))


def can_correlate(design: ArrayLike, blocks: ArrayLike) -> bool:
    """Tell whether a correlation within ``blocks`` (N,) can be estimated beside ``design`` (N, P).

    Not if no block has two samples, or the design leaves no variation within or between blocks.
    """
    return _separate(design, block_indicators(blocks)) is not None


def within_block_correlation(
    values: NDArray[np.floating], design: ArrayLike, blocks: ArrayLike
) -> Array:
    """Estimate the correlation of samples within a block, for each gene.

    Parameters
    ----------
    values
        Log2 expression (N, G).
    design
        Design matrix (N, P).
    blocks
        Block (N,) of each sample.

    Returns
    -------
    numpy.ndarray
        Correlations (G,); NaN for a gene without residual variation.

    Raises
    ------
    ValueError
        If no block has two samples, or no residual variation within and between blocks remains
        after the design.
    """
    indicators = block_indicators(blocks)
    separated = _separate(design, indicators)
    if separated is None:
        raise ValueError("expected blocks of two samples or more that the design does not fit")
    basis, values_of = separated
    # Directions with the same eigenvalue have the same variance, so their squares are summed.
    eigenvalues, group = np.unique(np.round(np.maximum(values_of, 0), 9), return_inverse=True)
    counts = np.bincount(group).astype(np.float64)
    sum_by_group = np.eye(len(eigenvalues))[:, group]
    largest_block = int(indicators.sum(axis=0).max())
    low, high = 1 / (1 - largest_block) + _MARGIN, 1 - _MARGIN
    correlation = np.empty(values.shape[1])
    for block in gene_blocks(values.shape[1]):
        part = values[:, block].astype(np.float64)
        squares = sum_by_group @ (basis.T @ part) ** 2
        total = squares.sum(axis=0)
        rounding = (10 * np.finfo(values.dtype).eps * np.abs(part).max(axis=0)) ** 2 * len(part)
        is_constant = total <= rounding
        shares = np.where(is_constant, 1, squares / np.where(is_constant, 1, total))
        best = _maximise_likelihood(shares, eigenvalues, counts, low, high)
        correlation[block] = np.where(is_constant, np.nan, best)
    return correlation


def consensus_correlation(correlations: ArrayLike, trim: float = TRIM) -> float:
    """Return one correlation for all genes: the back-transformed trimmed mean of Fisher's z.

    Parameters
    ----------
    correlations
        Correlations (G,); NaN is ignored.
    trim
        Share of the genes trimmed at each end.
    """
    z = np.arctanh(np.asarray(correlations, dtype=np.float64))
    z = np.sort(z[np.isfinite(z)])
    cut = int(trim * len(z))
    return float(np.tanh(z[cut : len(z) - cut].mean())) if len(z) else 0.0


def _separate(design: ArrayLike, indicators: Array) -> tuple[Array, NDArray[np.floating]] | None:
    """Return directions (N, M) of uncorrelated residuals, and the share (M,) of blocks in each.

    ``None`` if no block has two samples, or no variation within and between blocks remains after
    the design.
    """
    matrix = np.asarray(design, dtype=np.float64)
    orthogonal = np.linalg.svd(matrix, full_matrices=True)[0][:, np.linalg.matrix_rank(matrix) :]
    if indicators.sum(axis=0).max() < 2 or orthogonal.shape[1] < 2:
        return None
    values, vectors = np.linalg.eigh(orthogonal.T @ indicators @ indicators.T @ orthogonal)
    return None if np.ptp(values) < 1e-9 else (orthogonal @ vectors, values)


def _maximise_likelihood(
    squares: Array, eigenvalues: Array, counts: Array, low: float, high: float
) -> Array:
    """Return the correlation (G,) of maximal restricted likelihood: grid, then golden section."""
    n = counts.sum()

    def loss(correlation: Array) -> Array:
        variance = 1 - correlation + np.multiply.outer(eigenvalues, correlation)
        fit = n * np.log((squares / variance).sum(axis=0)) + counts @ np.log(variance)
        return np.asarray(fit)

    grid = np.linspace(low, high, _GRID)
    n_genes = squares.shape[1]
    at = np.argmin([loss(np.full(n_genes, point)) for point in grid], axis=0)
    a, b = grid[np.maximum(at - 1, 0)], grid[np.minimum(at + 1, _GRID - 1)]
    c, d = b - _GOLDEN * (b - a), a + _GOLDEN * (b - a)
    loss_c, loss_d = loss(c), loss(d)
    for _ in range(_STEPS):
        lower = loss_c < loss_d
        a, b = np.where(lower, a, c), np.where(lower, d, b)
        new = np.where(lower, b - _GOLDEN * (b - a), a + _GOLDEN * (b - a))
        loss_new = loss(new)
        c, d, loss_c, loss_d = (
            np.where(lower, new, d),
            np.where(lower, c, new),
            np.where(lower, loss_new, loss_d),
            np.where(lower, loss_c, loss_new),
        )
    return np.asarray((a + b) / 2)
