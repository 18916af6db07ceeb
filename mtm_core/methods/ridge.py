"""Ridge regression from one tissue to each other: a fast and strong baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
from sklearn.linear_model import RidgeCV

from mtm_core.config import ScalingConfig
from mtm_core.methods.by_target import (
    FactoredMap,
    FittedByTarget,
    LinearMap,
    TargetModel,
    TrainingPairs,
    is_wide,
)
from mtm_core.methods.covariates import AGE_SEX, CovariateName
from mtm_core.methods.protocol import Floats
from mtm_core.methods.ridge_path import PENALTIES, RidgePath
from mtm_core.methods.table import MethodRequest

N_CHOOSING = 2000
"""Number of genes, drawn at random, on which the penalty is chosen in a wide panel."""


@dataclass(frozen=True)
class RidgeMethod:
    """Ridge regression for each target, with the penalty chosen by leave-one-donor-out error.

    Attributes
    ----------
    source
        Tissue to predict from.
    covariates
        Covariates to predict from besides genes, penalised in the same way.
    scaling
        How expression is turned into z-scores.
    """

    source: str = "Whole Blood"
    covariates: tuple[CovariateName, ...] = ()
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "ridge"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit each target on ``donors`` with source and target."""
        pairs = TrainingPairs.from_cohort(
            cohort,
            donors,
            source=self.source,
            scaling=self.scaling,
            covariates=self.covariates,
        )
        return pairs.fit(self.name, fit_ridge)


def fit_ridge(inputs: Floats, z: Floats) -> TargetModel:
    """Fit ``z`` (n, G) to ``inputs`` (n, P) of n donors, with one penalty for all genes.

    The leave-one-donor-out error has a closed form: scikit-learn's ``RidgeCV`` for few inputs, and
    the same from the Gram matrix of the donors for many.
    """
    if is_wide(inputs):
        return _fit_wide(inputs, z)
    model = RidgeCV(alphas=PENALTIES).fit(inputs, z)
    return LinearMap(
        np.asarray(model.coef_, dtype=np.float32).T,
        np.asarray(model.intercept_, dtype=np.float32),
    )


def _fit_wide(inputs: Floats, z: Floats) -> FactoredMap:
    """Fit in the space of donors, with the penalty chosen on ``N_CHOOSING`` genes."""
    path = RidgePath.from_data(inputs, z)
    n, rng = len(z), np.random.default_rng(0)
    genes = rng.choice(z.shape[1], min(z.shape[1], N_CHOOSING), replace=False)
    y = z[:, genes].astype(np.float64) - path.y_mean[genes]
    projected = path.left.T @ y
    unexplained = y - path.left @ projected  # 0 unless the inputs are linearly dependent
    errors = []
    for penalty in PENALTIES:
        # The leave-one-out residual is (y - fit) / (1 - leverage); the intercept adds 1 / n.
        share = penalty / (path.values**2 + penalty)
        residual = path.left @ (share[:, None] * projected) + unexplained
        leverage = 1 / n + (path.left**2) @ (1 - share)
        errors.append(float(((residual / (1 - leverage)[:, None]) ** 2).mean()))
    best = PENALTIES[int(np.argmin(errors))]
    shrunk = path.values / (path.values**2 + best)
    fitted = path.map(shrunk[:, None] * path.projected)
    assert isinstance(fitted, FactoredMap)
    return fitted


def make(request: MethodRequest) -> RidgeMethod:
    """Make the listed method, with age and sex if its name ends in ``-age-sex``."""
    covariates: tuple[CovariateName, ...] = ("age", "sex") if request.name.endswith(AGE_SEX) else ()
    return RidgeMethod(request.source, covariates=covariates, name=request.name)
