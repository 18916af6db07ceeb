"""TEEBoT (S2): for each gene of a target tissue, LASSO on the first principal components of blood.

Basu et al. 2021, Science Advances 7:eabd6991: ten components of expression, the penalty by 5-fold
cross-validation. Its splicing components and demographic covariates are left out here, so that it
reads what the other methods read.
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
from mtm_core.methods.table import Wanted

Array = NDArray[np.float64]

_TOLERANCE = 1e-6
"""Largest change of a prediction, in SDs of a gene, at which coordinate descent has converged."""
_MOST_SWEEPS = 1000
_GENES_AT_ONCE = 1000


@dataclass(frozen=True)
class TEEBoTMethod:
    """LASSO on ``n_components`` principal components of the source.

    Attributes
    ----------
    n_components
        Fewer where the source has fewer donors or genes.
    n_folds
        Inner folds of donors that choose each gene's penalty.
    n_penalties
        Penalties tried, down from the one that leaves nothing.
    """

    source: str = "Whole Blood"
    n_components: int = 10
    n_folds: int = 5
    n_penalties: int = 30
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "teebot"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit components on the source of ``donors``, then each gene on their pairs."""
        pairs = TrainingPairs.of(cohort, donors, source=self.source, scaling=self.scaling)
        n_components = min(self.n_components, *pairs.inputs.shape)
        pca = PCA(n_components, svd_solver="full").fit(pairs.inputs.astype(np.float64))
        return pairs.fit(self.name, partial(self.fit_target, pca))

    def fit_target(self, pca: PCA, inputs: Floats, z: Floats) -> TargetModel:
        """Fit ``z`` (n, G) to components of ``inputs`` (n, P), gene by gene."""
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
        """Return coefficients (K, G) on components and intercepts (G,), penalties chosen."""
        penalties = self._penalties(scores, y)
        errors = np.zeros_like(penalties)
        for held in np.array_split(np.arange(len(y)), min(self.n_folds, len(y))):
            rest = np.setdiff1d(np.arange(len(y)), held)
            coefficients, intercept = fit_lasso(scores[rest], y[rest], penalties)
            predicted = np.einsum("nk,kag->nag", scores[held], coefficients) + intercept
            # Each fold counts alike, as in scikit-learn.
            errors += ((predicted - y[held][:, None]) ** 2).mean(axis=0)
        best = np.take_along_axis(penalties, errors.argmin(axis=0)[None], axis=0)
        coefficients, intercept = fit_lasso(scores, y, best)
        return coefficients[:, 0], intercept[0]

    def _penalties(self, scores: Array, y: Array) -> Array:
        """Return penalties (A, G) for each gene, down from the one that leaves nothing."""
        centred = scores - scores.mean(axis=0)
        largest = np.abs(centred.T @ (y - y.mean(axis=0))).max(axis=0) / len(y)
        return np.asarray(np.logspace(0, -3, self.n_penalties)[:, None] * largest)


def fit_lasso(x: Array, y: Array, penalties: Array) -> tuple[Array, Array]:
    """Fit LASSO, ``mean((y - x b - a)^2) / 2 + penalty sum(abs(b))``, for all genes at once.

    Coordinate descent (Friedman et al. 2010, J Stat Softw 33(1)): one coordinate after the other,
    all genes and penalties together. scikit-learn's takes one gene at a time.

    Parameters
    ----------
    x, y
        (n, K) and (n, G).
    penalties
        (A, G).

    Returns
    -------
    tuple
        Coefficients (K, A, G), intercepts (A, G).
    """
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - x_mean
    gram = centred.T @ centred / len(x)
    target = centred.T @ (y - y_mean) / len(x)
    own = np.maximum(np.diagonal(gram), np.finfo(np.float64).tiny)
    flat = np.zeros((len(gram), penalties.size))
    coefficients = flat.reshape(len(gram), *penalties.shape)
    for _ in range(_MOST_SWEEPS):
        largest_move = 0.0
        for k in range(len(gram)):
            explained = (gram[k] @ flat).reshape(penalties.shape) - gram[k, k] * coefficients[k]
            pull = target[k] - explained
            moved = np.sign(pull) * np.maximum(np.abs(pull) - penalties, 0) / own[k]
            step = np.abs(moved - coefficients[k]).max() * np.sqrt(gram[k, k])
            largest_move = max(largest_move, float(step))
            coefficients[k] = moved
        if largest_move < _TOLERANCE:
            break
    return coefficients, y_mean - np.einsum("k,kag->ag", x_mean, coefficients)


def make(wanted: Wanted) -> TEEBoTMethod:
    """Make the method as it is listed."""
    return TEEBoTMethod(wanted.source)
