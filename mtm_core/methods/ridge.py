"""Ridge regression from one tissue to each other: cheap, strong, the method to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from mtm_core.config import ScalingConfig
from mtm_core.methods.by_target import FittedByTarget, LinearMap, TrainingPairs
from mtm_core.methods.covariates import CovariateName
from mtm_core.methods.protocol import Floats

PENALTIES: NDArray[np.float64] = np.logspace(0, 5, 21)


@dataclass(frozen=True)
class RidgeMethod:
    """Multi-output ridge for each target, the penalty by leave-one-donor-out cross-validation.

    Attributes
    ----------
    source
        Tissue to predict from.
    covariates
        What else to predict from, penalised as a gene is.
    """

    source: str = "Whole Blood"
    covariates: tuple[CovariateName, ...] = ()
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "ridge"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit on the pairs (source, target) of ``donors``."""
        pairs = TrainingPairs.of(
            cohort,
            donors,
            source=self.source,
            scaling=self.scaling,
            covariates=self.covariates,
        )
        return pairs.fit(self.name, fit_ridge)


def fit_ridge(inputs: Floats, z: Floats) -> LinearMap:
    """Fit ``z`` (n, G) of n donors to ``inputs`` (n, P), one penalty for all genes.

    A donor is one row, so scikit-learn's closed-form leave-one-out is by donor.
    """
    model = RidgeCV(alphas=PENALTIES).fit(inputs, z)
    return LinearMap(
        np.asarray(model.coef_, dtype=np.float32).T,
        np.asarray(model.intercept_, dtype=np.float32),
    )
