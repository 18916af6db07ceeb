"""How alike samples of one block (a person, a pair) are: a correlation for each gene, and for all.

A random intercept by block, fitted by restricted maximum likelihood for every gene at once. The
model is ``y = X b + u[block] + e``, with ``var(u) / (var(u) + var(e))`` the correlation; residuals
are turned so that their covariance is diagonal whatever the correlation, after which a gene's
likelihood is a sum. All genes together: the back-transformed trimmed mean of Fisher's z of Smyth,
Michaud and Scott 2005, Bioinformatics 21:2067-2075. Checked against ``statsmodels.MixedLM`` and
against results that limma printed.

Letters: N samples, P columns of the design, B blocks, G genes, M = N - P.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtm_core.statistics.blocks import gene_blocks

Array = NDArray[np.float64]

TRIM = 0.15
"""Share of the genes left out at each end when all are averaged."""
_MARGIN = 0.01
"""A correlation stays this far within what can be."""
_GRID = 25
_STEPS = 45
_GOLDEN = (np.sqrt(5) - 1) / 2


def block_indicators(blocks: ArrayLike) -> Array:
    """Return a column (N, B) of 0 and 1 for each block."""
    _, codes = np.unique(np.asarray(blocks), return_inverse=True)
    return np.eye(codes.max(initial=-1) + 1)[codes]


def block_covariance(indicators: Array, correlation: float) -> Array:
    """Return the covariance (N, N) of samples whose blocks correlate, with variance 1."""
    alike = indicators @ indicators.T
    return np.asarray(correlation * alike + (1 - correlation) * np.eye(len(indicators)))


def within_block_correlation(
    values: NDArray[np.floating], design: ArrayLike, blocks: ArrayLike
) -> Array:
    """Return the correlation (G,) of samples of one block, for each column of ``values`` (N, G).

    NaN for a gene that does not vary beside the design.

    Raises
    ------
    ValueError
        If no block has two samples, or the design and the blocks leave nothing to estimate from.
    """
    indicators = block_indicators(blocks)
    most = int(indicators.sum(axis=0).max())
    matrix = np.asarray(design, dtype=np.float64)
    left = np.linalg.svd(matrix, full_matrices=True)[0][:, np.linalg.matrix_rank(matrix) :]
    size, turn = np.linalg.eigh(left.T @ indicators @ indicators.T @ left)
    if most < 2 or left.shape[1] < 2 or np.ptp(size) < 1e-9:
        raise ValueError("expected blocks of two samples or more that the design does not fit")
    # Directions with one eigenvalue have one variance: their squares are added once.
    sizes, group = np.unique(np.round(np.maximum(size, 0), 9), return_inverse=True)
    counts = np.bincount(group).astype(np.float64)
    add = np.eye(len(sizes))[:, group]
    basis = left @ turn
    low, high = 1 / (1 - most) + _MARGIN, 1 - _MARGIN
    found = np.empty(values.shape[1])
    for block in gene_blocks(values.shape[1]):
        part = values[:, block].astype(np.float64)
        squares = add @ (basis.T @ part) ** 2
        total = squares.sum(axis=0)
        rounding = (10 * np.finfo(values.dtype).eps * np.abs(part).max(axis=0)) ** 2 * len(part)
        none = total <= rounding
        shares = np.where(none, 1, squares / np.where(none, 1, total))
        best = _maximise(shares, sizes, counts, low, high)
        found[block] = np.where(none, np.nan, best)
    return found


def consensus_correlation(correlations: ArrayLike, trim: float = TRIM) -> float:
    """Return one correlation for all genes: the trimmed mean of Fisher's z, turned back."""
    z = np.arctanh(np.asarray(correlations, dtype=np.float64))
    z = np.sort(z[np.isfinite(z)])
    cut = int(trim * len(z))
    return float(np.tanh(z[cut : len(z) - cut].mean())) if len(z) else 0.0


def _maximise(squares: Array, sizes: Array, counts: Array, low: float, high: float) -> Array:
    """Return the correlation (G,) of the greatest restricted likelihood: a grid, then shrinking."""
    n = counts.sum()

    def loss(correlation: Array) -> Array:
        variance = 1 - correlation + np.multiply.outer(sizes, correlation)
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
