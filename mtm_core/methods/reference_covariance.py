"""Covariance of the reference samples of a tissue along given directions, by a factor model.

A model stores no donor, but its loadings give the covariance of genes in each tissue,
``cov(z) = W_t W_t' + Psi_t``. Fitted to predict, they are shrunk, so genes seem less correlated
than they are. By how much is estimated from the donors' mean square z-scores: the more genes are
correlated, the more these vary between donors. Loadings are scaled up until they vary as much as
among the reference donors, and noise makes up each gene's variance to 1.

Shapes: G genes, J of them, K directions, F factors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

from mtm_core.methods.factors import Factors, upcast_half
from mtm_core.methods.joint_gaussian import FittedJointGaussian
from mtm_core.methods.protocol import FittedMethod

Array = NDArray[np.float64]

_MAX_EXPLAINED = 0.99
"""Largest share of a gene's variance that the factors may explain."""
_SCALES = np.geomspace(1, 16, 33)


def factor_model(method: FittedMethod) -> Factors | None:
    """Return the factor model with the most factors inside ``method``, or ``None``."""
    if isinstance(method, FittedJointGaussian):
        return max(method.models, key=lambda model: int(model.loadings.shape[-1]))
    for part in (getattr(method, "joint", None), *getattr(method, "bases", ())):
        if part is not None and (found := factor_model(part)) is not None:
            return found
    return None


def covariance_along(
    method: FittedMethod,
    tissue: int,
    genes: NDArray[np.intp],
    directions: Array,
    spread: float,
) -> Array | None:
    """Return the covariance (K, K) of the reference's z-scores along ``directions`` (J, K).

    Parameters
    ----------
    method
        Fitted method, which may contain a factor model.
    tissue
        Index of the tissue.
    genes
        Positions (J,) of the genes in the rows of ``directions``.
    directions
        Directions (J, K), one a column.
    spread
        95th percentile of the reference donors' mean square z-scores over their median.

    Returns
    -------
    NDArray or None
        ``None`` if ``method`` contains no factor model.
    """
    model = factor_model(method)
    if model is None:
        return None
    loadings = np.asarray(upcast_half(model.loadings[tissue]), dtype=np.float64)
    noise = np.asarray(upcast_half(model.noise[tissue]), dtype=np.float64)
    loadings = loadings / np.sqrt((loadings**2).sum(axis=1) + noise)[:, None]
    explained = (loadings**2).sum(axis=1)
    largest_scale = np.sqrt(_MAX_EXPLAINED / np.maximum(explained, 1e-12))
    for scale in _SCALES:
        scaled = loadings * np.minimum(np.sqrt(scale), largest_scale)[:, None]
        if _spread(scaled) >= spread:
            break
    loadings = scaled[genes]
    along_factors = loadings.T @ directions
    noise_part = (1 - (loadings**2).sum(axis=1))[:, None] * directions
    return np.asarray(along_factors.T @ along_factors + noise_part.T @ directions)


def _spread(loadings: Array) -> float:
    """Return the 95th percentile over the median of samples' mean squares, given ``loadings``.

    The mean square is a weighted sum of chi-squared variables, approximated by a gamma variable of
    the same mean and variance.
    """
    gram = loadings.T @ loadings
    explained = (loadings**2).sum(axis=1)
    squared = (gram**2).sum() - (explained**2).sum() + len(loadings)  # the diagonal is 1
    shape = len(loadings) ** 2 / (2 * squared)
    return float(gamma.ppf(0.95, shape) / max(gamma.ppf(0.5, shape), 1e-300))
