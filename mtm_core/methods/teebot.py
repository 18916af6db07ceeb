"""TEEBoT: LASSO of each target gene on the first principal components of blood expression.

Basu et al. 2021, Science Advances 7:eabd6991: ten components of expression, and the penalty by
5-fold cross-validation. Its splicing components and demographic covariates are left out, so that it
uses the same inputs as the other methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import anndata as ad
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from mtm_core.config import ScalingConfig
from mtm_core.methods.by_target import (
    FactoredMap,
    FittedByTarget,
    LinearMap,
    TargetModel,
    TrainingPairs,
    is_wide,
)
from mtm_core.methods.protocol import Floats
from mtm_core.methods.table import MethodRequest

Array = NDArray[np.float64]

_TOLERANCE = 1e-6
"""Coordinate descent has converged when no prediction changes by more than this, in gene SDs."""
_MAX_SWEEPS = 1000
_GENES_AT_ONCE = 1000


@dataclass(frozen=True)
class TEEBoTMethod:
    """TEEBoT: LASSO on principal components of the source, for each target gene.

    Attributes
    ----------
    source
        Tissue to predict from.
    n_components
        Number of principal components; at most the number of donors or genes of the source.
    n_folds
        Number of inner folds by which each gene's penalty is chosen.
    n_penalties
        Number of penalties tried, down from the smallest that sets all coefficients to 0.
    scaling
        How expression is turned into z-scores.
    """

    source: str = "Whole Blood"
    n_components: int = 10
    n_folds: int = 5
    n_penalties: int = 30
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "teebot"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit components to the source samples of ``donors``, then each target."""
        pairs = TrainingPairs.from_cohort(cohort, donors, source=self.source, scaling=self.scaling)
        n_components = min(self.n_components, *pairs.inputs.shape)
        pca = PCA(n_components, svd_solver="full").fit(pairs.inputs.astype(np.float64))
        return pairs.fit(self.name, partial(self.fit_target, pca))

    def fit_target(self, pca: PCA, inputs: Floats, z: Floats) -> TargetModel:
        """Fit each gene of ``z`` (n, G) to the components of ``inputs`` (n, P)."""
        scores = pca.transform(inputs.astype(np.float64))
        blocks = [
            self._fit_genes(scores, z[:, start : start + _GENES_AT_ONCE].astype(np.float64))
            for start in range(0, z.shape[1], _GENES_AT_ONCE)
        ]
        coefficients = np.concatenate([block for block, _ in blocks], axis=1)
        intercept = np.concatenate([block for _, block in blocks])
        left = pca.components_.T
        intercept = (intercept - (pca.mean_ @ left) @ coefficients).astype(np.float32)
        if is_wide(inputs):
            return FactoredMap(left.astype(np.float32), coefficients.astype(np.float32), intercept)
        return LinearMap((left @ coefficients).astype(np.float32), intercept)

    def _fit_genes(self, scores: Array, y: Array) -> tuple[Array, Array]:
        """Choose penalties; return coefficients (K, G) on components, and intercepts (G,)."""
        penalties = self._penalties(scores, y)
        errors = np.zeros_like(penalties)
        for held in np.array_split(np.arange(len(y)), min(self.n_folds, len(y))):
            rest = np.setdiff1d(np.arange(len(y)), held)
            coefficients, intercept = fit_lasso(scores[rest], y[rest], penalties)
            predicted = np.einsum("nk,kag->nag", scores[held], coefficients) + intercept
            # Folds have equal weight, as in scikit-learn.
            errors += ((predicted - y[held][:, None]) ** 2).mean(axis=0)
        best = np.take_along_axis(penalties, errors.argmin(axis=0)[None], axis=0)
        coefficients, intercept = fit_lasso(scores, y, best)
        return coefficients[:, 0], intercept[0]

    def _penalties(self, scores: Array, y: Array) -> Array:
        """Return each gene's penalties (A, G), down from the smallest that sets all to 0."""
        centred = scores - scores.mean(axis=0)
        largest = np.abs(centred.T @ (y - y.mean(axis=0))).max(axis=0) / len(y)
        return np.asarray(np.logspace(0, -3, self.n_penalties)[:, None] * largest)


def fit_lasso(x: Array, y: Array, penalties: Array) -> tuple[Array, Array]:
    """Fit LASSO, ``mean((y - x b - a)^2) / 2 + penalty sum(abs(b))``, for all genes at once.

    Coordinate descent (Friedman et al. 2010, J Stat Softw 33(1)) over the coefficients, vectorised
    over genes and penalties; scikit-learn fits one gene at a time.

    Parameters
    ----------
    x
        Predictors (n, K).
    y
        Genes (n, G).
    penalties
        A penalties for each gene (A, G).

    Returns
    -------
    tuple
        Coefficients (K, A, G) and intercepts (A, G).
    """
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - x_mean
    gram = centred.T @ centred / len(x)
    target = centred.T @ (y - y_mean) / len(x)
    variance = np.maximum(np.diagonal(gram), np.finfo(np.float64).tiny)
    flat = np.zeros((len(gram), penalties.size))
    coefficients = flat.reshape(len(gram), *penalties.shape)
    for _ in range(_MAX_SWEEPS):
        largest_change = 0.0
        for k in range(len(gram)):
            explained = (gram[k] @ flat).reshape(penalties.shape) - gram[k, k] * coefficients[k]
            gradient = target[k] - explained
            updated = np.sign(gradient) * np.maximum(np.abs(gradient) - penalties, 0) / variance[k]
            change = np.abs(updated - coefficients[k]).max() * np.sqrt(gram[k, k])
            largest_change = max(largest_change, float(change))
            coefficients[k] = updated
        if largest_change < _TOLERANCE:
            break
    return coefficients, y_mean - np.einsum("k,kag->ag", x_mean, coefficients)


def make(request: MethodRequest) -> TEEBoTMethod:
    """Make the listed method."""
    return TEEBoTMethod(request.source)
