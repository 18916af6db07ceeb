"""How far apart a contrast lies in the space that predictions span.

A predictor that was learnt from n donors errs for all that it predicts in one way. For a shift of
the predictions by ``d``, the variance of that error is about ``error^2 d' S^-1 d / n``, as the
leverage of a point in a regression: S is the covariance of predictions from person to person, and
``d' S^-1 d`` the squared distance of Mahalanobis. More people of a study do not make it smaller.

Letters: N samples, P columns of the design, K contrasts, G genes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtm_core.statistics.regression import orthonormal_basis, residuals

Array = NDArray[np.float64]

MOST_GENES = 2000
"""Genes, evenly spaced, that the distance is taken from."""
_EXPLAINED = 0.95
"""Share of the variance of predictions that the retained components explain."""
_SAMPLES_PER_COMPONENT = 3


def squared_distances(
    values: NDArray[np.floating], design: ArrayLike, contrasts: ArrayLike
) -> Array:
    """Return the squared distances (K, K) of ``contrasts`` (K, P) in ``values`` (N, G).

    On the diagonal those of each contrast; else their products. In units of the variation from
    sample to sample that the design (N, P) leaves, each gene standardised by its own.
    """
    matrix, rows = np.asarray(design, float), np.atleast_2d(np.asarray(contrasts, float))
    step = -(-values.shape[1] // MOST_GENES)
    some = values[:, ::step]
    left = residuals(some, orthonormal_basis(matrix))
    freedom = len(matrix) - np.linalg.matrix_rank(matrix)
    squares = (left**2).sum(axis=0)
    varies = squares > 0
    if freedom < 1 or not varies.any():
        return np.zeros((len(rows), len(rows)))
    sd = np.sqrt(squares[varies] / freedom)
    effects = rows @ np.linalg.pinv(matrix) @ some[:, varies].astype(np.float64) / sd
    left = left[:, varies] / sd
    size, turn = np.linalg.eigh(left @ left.T)
    size, turn = size[::-1], turn[:, ::-1]
    n_retained = int(np.searchsorted(np.cumsum(size) / size.sum(), _EXPLAINED)) + 1
    n_retained = max(1, min(n_retained, freedom // _SAMPLES_PER_COMPONENT))
    along = turn[:, :n_retained].T @ left @ effects.T / size[:n_retained, None]
    return np.asarray(freedom * along.T @ along)
