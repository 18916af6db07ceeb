"""B-GEx (S1): for each gene of a target tissue, Bayesian ridge on the few genes most like it.

Xu et al. 2020, Bioinformatics 36:3773-3781 (btaa239): ten genes of blood are found best there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import BayesianRidge

from mtm_core.config import ScalingConfig
from mtm_core.methods.by_target import FittedByTarget, LinearMap, TrainingPairs
from mtm_core.methods.protocol import Floats


@dataclass(frozen=True)
class BGExMethod:
    """Bayesian ridge on the ``n_genes`` source genes most correlated, either way, with a gene."""

    source: str = "Whole Blood"
    n_genes: int = 10
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "bgex"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Choose genes and fit, on the pairs (source, target) of ``donors``."""
        pairs = TrainingPairs.of(cohort, donors, source=self.source, scaling=self.scaling)
        return pairs.fit(self.name, self.fit_target)

    def fit_target(self, inputs: Floats, z: Floats) -> LinearMap:
        """Fit each gene of ``z`` (n, G) to its own few columns of ``inputs`` (n, P)."""
        x, y = inputs.astype(np.float64), z.astype(np.float64)
        standard = _standardise(x)
        coefficients = np.zeros((x.shape[1], y.shape[1]), dtype=np.float32)
        intercept = np.zeros(y.shape[1], dtype=np.float32)
        for gene, values in enumerate(y.T):
            # In the order of absolute correlation: a target gene's own spread does not change it.
            likeness = np.abs(standard.T @ (values - values.mean()))
            chosen = np.argsort(-likeness, kind="stable")[: self.n_genes]
            model = BayesianRidge().fit(x[:, chosen], values)
            coefficients[chosen, gene] = model.coef_
            intercept[gene] = model.intercept_
        return LinearMap(coefficients, intercept)


def _standardise(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give columns of mean 0 and length 1; 0 where a column does not vary."""
    centred = x - x.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    standard: NDArray[np.float64] = np.divide(
        centred, length, out=np.zeros_like(centred), where=length > 0
    )
    return standard
