"""Squared Mahalanobis distances of contrasts in the space of predictions.

A model fitted to n donors has an error that all its predictions share. For a difference d between
predictions, the variance of that error is about ``error^2 d' S^-1 d / n``, like the leverage of a
point in a regression, where S is the covariance of predictions between people and ``d' S^-1 d`` the
squared Mahalanobis distance. It does not decrease with the number of people in a study.

Shapes: N samples, P columns of the design, K contrasts, G genes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtm_core.statistics.regression import orthonormal_basis, residuals

Array = NDArray[np.float64]

MOST_GENES = 2000
"""Largest number of genes, evenly spaced, from which the distance is computed."""
_EXPLAINED = 0.95
"""Share of the variance of predictions that the retained components explain."""
_SAMPLES_PER_COMPONENT = 3


def squared_distances(
    values: NDArray[np.floating], design: ArrayLike, contrasts: ArrayLike
) -> Array:
    """Compute squared Mahalanobis distances of contrasts.

    Distances are relative to the residual covariance of the samples, each gene standardised by its
    residual SD, on its leading principal components.

    Parameters
    ----------
    values
        Predictions (N, G).
    design
        Design matrix (N, P).
    contrasts
        Contrasts (K, P).

    Returns
    -------
    numpy.ndarray
        (K, K): squared distances on the diagonal, inner products of two contrasts elsewhere.
    """
    matrix, rows = np.asarray(design, float), np.atleast_2d(np.asarray(contrasts, float))
    step = -(-values.shape[1] // MOST_GENES)
    some = values[:, ::step]
    residual = residuals(some, orthonormal_basis(matrix))
    df = len(matrix) - np.linalg.matrix_rank(matrix)
    squares = (residual**2).sum(axis=0)
    varies = squares > 0
    if df < 1 or not varies.any():
        return np.zeros((len(rows), len(rows)))
    sd = np.sqrt(squares[varies] / df)
    effects = rows @ np.linalg.pinv(matrix) @ some[:, varies].astype(np.float64) / sd
    residual = residual[:, varies] / sd
    values_of, vectors = np.linalg.eigh(residual @ residual.T)
    values_of, vectors = values_of[::-1], vectors[:, ::-1]
    n_retained = int(np.searchsorted(np.cumsum(values_of) / values_of.sum(), _EXPLAINED)) + 1
    n_retained = max(1, min(n_retained, df // _SAMPLES_PER_COMPONENT))
    scores = vectors[:, :n_retained].T @ residual @ effects.T / values_of[:n_retained, None]
    return np.asarray(df * scores.T @ scores)
