"""How to weigh several methods, and how far to trust their sum, from out-of-fold predictions.

Stacking with non-negative weights: Breiman 1996, Machine Learning 24:49-64. The intervals are
cross-conformal (Vovk 2015, Annals of Mathematics and Artificial Intelligence 74:9-28), scaled by
each gene's own error.

Shapes: P donors that are predicted, G genes, T tissues, M methods, L levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from mtm_core.methods.protocol import INTERVAL_LEVELS, Floats

Array = NDArray[np.float64]
InnerPredictions = Mapping[str, tuple[Floats, Floats]]
"""Predicted (M, P, G) and observed (P, G) z-scores by tissue, out of fold."""

_POOLED_DONORS = 100
"""Donors that the weights of all tissues together count beside a tissue's own."""
_PRIOR_DONORS = 20
"""Donors' worth of a gene's expected error in its estimated one, so that small tissues do not
give intervals that are too sure."""


@dataclass(frozen=True)
class Calibration:
    """How to weigh the methods, and how far to trust the sum.

    Attributes
    ----------
    weights
        (T, M), 0 or more.
    error
        (T, G): expected root mean square error of a predicted z-score.
    multipliers
        (T, L): half-width of the interval of each of ``INTERVAL_LEVELS``, in units of ``error``.
    """

    weights: Array
    error: Array
    multipliers: Array


def calibrate(
    inner: InnerPredictions, tissues: Sequence[str], n_bases: int, n_genes: int
) -> Calibration:
    """Learn how to weigh M methods in T tissues, and from what they leave the errors.

    Parameters
    ----------
    inner
        Out-of-fold predictions of the training donors.
    tissues
        Names of the T tissues.
    """
    weights = _weigh(inner, tissues, n_bases, n_genes)
    return Calibration(weights, *_measure_errors(inner, weights, tissues, n_genes))


def _weigh(inner: InnerPredictions, tissues: Sequence[str], n_bases: int, n_genes: int) -> Array:
    """Give the weights (T, M) of each tissue, drawn towards those of all tissues together."""
    products = np.zeros((len(tissues), n_bases, n_bases))
    targets = np.zeros((len(tissues), n_bases))
    for tissue, (predicted, observed) in inner.items():
        flat = predicted.reshape(n_bases, -1).astype(np.float64)
        t = tissues.index(tissue)
        products[t] = flat @ flat.T / n_genes
        targets[t] = flat @ observed.ravel() / n_genes
    n_donors = sum(len(observed) for _, observed in inner.values())
    pooled = _POOLED_DONORS / max(n_donors, 1)
    return np.stack(
        [
            _non_negative_weights(
                products[t] + pooled * products.sum(axis=0),
                targets[t] + pooled * targets.sum(axis=0),
            )
            for t in range(len(tissues))
        ]
    )


def _non_negative_weights(products: Array, targets: Array) -> Array:
    """Minimise ``w' products w - 2 targets' w`` over ``w >= 0``: non-negative least squares."""
    scale = np.trace(products) / len(products)
    root = np.linalg.cholesky(products + 1e-9 * max(scale, 1e-9) * np.eye(len(products))).T
    weights, _ = nnls(root, np.linalg.solve(root.T, targets))
    return np.asarray(weights, dtype=np.float64)


def _measure_errors(
    inner: InnerPredictions, weights: Array, tissues: Sequence[str], n_genes: int
) -> tuple[Array, Array]:
    """Give each gene's error (T, G) and the intervals' multipliers (T, L), from inner residuals.

    A tissue's multipliers are quantiles of |residual| / error over its donors and genes. A tissue
    without inner predictions gets error 1, that of the training mean, and the median multipliers.
    """
    error = np.ones((len(tissues), n_genes))
    multipliers = np.full((len(tissues), len(INTERVAL_LEVELS)), np.nan)
    levels = np.array(INTERVAL_LEVELS) / 100
    for tissue, (predicted, observed) in inner.items():
        t, n = tissues.index(tissue), len(observed)
        residual = observed - np.tensordot(weights[t], predicted, axes=1)
        square = (residual.astype(np.float64) ** 2).mean(axis=0)
        typical = square.mean()
        error[t] = np.sqrt((n * square + _PRIOR_DONORS * typical) / (n + _PRIOR_DONORS))
        multipliers[t] = np.quantile(np.abs(residual) / error[t], levels)
    multipliers = np.where(np.isnan(multipliers), np.nanmedian(multipliers, axis=0), multipliers)
    return error, multipliers
