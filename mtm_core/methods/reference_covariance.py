"""How the reference's samples of a tissue spread along given directions, as a model tells.

A model holds no donor. Its factors hold how genes go together in each tissue:
``cov(z) = W_t W_t' + Psi_t``. Fitted to predict, they are shrunk, and genes seem less alike than
they are. How far donors lie from their mean tells by how much: the more genes go together, the more
the root mean square of a donor's z-scores varies. So loadings are scaled up until that varies as it
does among the donors, and noise fills up each gene's variance, which is 1.

Shapes: G genes, J of them, K directions, F factors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma

from mtm_core.methods.factors import Factors, working
from mtm_core.methods.joint_gaussian import FittedJointGaussian
from mtm_core.methods.protocol import FittedMethod

Array = NDArray[np.float64]

_MOST_SHARED = 0.99
"""Share of a gene's variance that factors may explain."""
_SCALES = np.geomspace(1, 16, 33)


def factor_model(method: FittedMethod) -> Factors | None:
    """Return the factor model of most factors inside ``method``; ``None`` if it has none."""
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

    ``None`` if the model has no factors, and so does not know how genes go together.

    Parameters
    ----------
    genes
        Positions (J,) of the directions' rows.
    spread
        Of the donors' mean square z-scores: their 95th percentile over their median.
    """
    model = factor_model(method)
    if model is None:
        return None
    loadings = np.asarray(working(model.loadings[tissue]), dtype=np.float64)
    noise = np.asarray(working(model.noise[tissue]), dtype=np.float64)
    loadings = loadings / np.sqrt((loadings**2).sum(axis=1) + noise)[:, None]
    explained = (loadings**2).sum(axis=1)
    most = np.sqrt(_MOST_SHARED / np.maximum(explained, 1e-12))
    for scale in _SCALES:
        scaled = loadings * np.minimum(np.sqrt(scale), most)[:, None]
        if _spread(scaled) >= spread:
            break
    own = scaled[genes]
    shared = own.T @ directions
    left = (1 - (own**2).sum(axis=1))[:, None] * directions
    return np.asarray(shared.T @ shared + left.T @ directions)


def _spread(loadings: Array) -> float:
    """Return the 95th percentile over the median of the mean square of genes with ``loadings``.

    A sum of chi-squared variables, taken for a gamma variable of its mean and variance.
    """
    gram = loadings.T @ loadings
    explained = (loadings**2).sum(axis=1)
    squared = (gram**2).sum() - (explained**2).sum() + len(loadings)  # the diagonal is 1
    shape = len(loadings) ** 2 / (2 * squared)
    return float(gamma.ppf(0.95, shape) / max(gamma.ppf(0.5, shape), 1e-300))
