"""Ridge regression from one tissue to each other: cheap, strong, the method to beat."""

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
from mtm_core.methods.table import Wanted

N_CHOOSING = 2000
"""Genes that the one penalty of all is chosen on, where there are more."""


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


def fit_ridge(inputs: Floats, z: Floats) -> TargetModel:
    """Fit ``z`` (n, G) of n donors to ``inputs`` (n, P), one penalty for all genes.

    A donor is one row, so the closed form of leave-one-out is by donor: scikit-learn's where donors
    outnumber inputs, else the same from the donors' Gram matrix.
    """
    if is_wide(inputs):
        return _fit_wide(inputs, z)
    model = RidgeCV(alphas=PENALTIES).fit(inputs, z)
    return LinearMap(
        np.asarray(model.coef_, dtype=np.float32).T,
        np.asarray(model.intercept_, dtype=np.float32),
    )


def _fit_wide(inputs: Floats, z: Floats) -> FactoredMap:
    """Fit in the space of donors; the penalty is chosen on ``N_CHOOSING`` of the genes."""
    path = RidgePath.of(inputs, z)
    n, rng = len(z), np.random.default_rng(0)
    genes = rng.choice(z.shape[1], min(z.shape[1], N_CHOOSING), replace=False)
    y = z[:, genes].astype(np.float64) - path.y_mean[genes]
    projected = path.left.T @ y
    outside = y - path.left @ projected  # of centred data, 0 unless inputs are dependent
    errors = []
    for penalty in PENALTIES:
        # Leave-one-out: (y - fit) / (1 - leverage), the mean's leverage being 1 / n.
        share = penalty / (path.values**2 + penalty)
        residual = path.left @ (share[:, None] * projected) + outside
        leverage = 1 / n + (path.left**2) @ (1 - share)
        errors.append(float(((residual / (1 - leverage)[:, None]) ** 2).mean()))
    best = PENALTIES[int(np.argmin(errors))]
    shrunk = path.values / (path.values**2 + best)
    fitted = path.map(shrunk[:, None] * path.projected)
    assert isinstance(fitted, FactoredMap)
    return fitted


def make(wanted: Wanted) -> RidgeMethod:
    """Make the method as it is listed: with age and sex where its name says so."""
    covariates: tuple[CovariateName, ...] = ("age", "sex") if wanted.name.endswith(AGE_SEX) else ()
    return RidgeMethod(wanted.source, covariates=covariates, name=wanted.name)
