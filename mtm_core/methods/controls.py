"""Controls: trivial predictors, whose accuracy every method should exceed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.data.cohort.scaling import TissueScaler, fit_scaler
from mtm_core.data.cohort.splits import rows_of
from mtm_core.methods.by_target import FittedByTarget, TrainingPairs
from mtm_core.methods.covariates import CovariateName
from mtm_core.methods.protocol import Floats, PredictedProfiles, check_names, tissue_index
from mtm_core.methods.ridge import fit_ridge
from mtm_core.methods.table import MethodRequest, SavedMethod

ControlKind = Literal["training-mean", "source-as-proxy"]


@dataclass(frozen=True)
class FittedControl:
    """Fitted control.

    ``training-mean`` predicts z = 0 for every gene; ``source-as-proxy`` predicts the z-scores of
    the source itself, averaged over several sources.
    """

    name: ControlKind
    scaler: TissueScaler
    tissues: tuple[str, ...]
    covariates: tuple[CovariateName, ...] = ()

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        """Predict ``target``; see :meth:`mtm_core.methods.protocol.FittedMethod.predict`."""
        tissue_index(self.tissues, target)
        proxy = np.asarray(np.mean(list(profiles.values()), axis=0), dtype=np.float32)
        return PredictedProfiles(proxy if self.name == "source-as-proxy" else np.zeros_like(proxy))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return no arrays: a control has only its scaler."""
        return {}

    def settings(self) -> dict[str, Any]:
        """Return no settings."""
        return {}


@dataclass(frozen=True)
class ControlMethod:
    """A control of the given name, for which only the scaler is fitted."""

    name: ControlKind
    scaling: ScalingConfig = field(default_factory=ScalingConfig)

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedControl:
        """Fit the scaler to ``donors``."""
        scaler = fit_scaler(cohort, rows_of(cohort.obs["donor"], donors), self.scaling)
        return FittedControl(self.name, scaler, tissue_names(cohort))


@dataclass(frozen=True)
class CovariatesAloneMethod:
    """Control that predicts from covariates alone, by ridge regression, without expression.

    Fitted to all donors with the target, whether or not they have another tissue.
    """

    covariates: tuple[CovariateName, ...]
    name: str
    scaling: ScalingConfig = field(default_factory=ScalingConfig)

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit on ``donors``."""
        pairs = TrainingPairs.from_cohort(
            cohort, donors, source=None, scaling=self.scaling, covariates=self.covariates
        )
        return pairs.fit(self.name, fit_ridge)


_ALONE: dict[str, tuple[CovariateName, ...]] = {
    "age-sex": ("age", "sex"),
    "age-sex-hardy": ("age", "sex", "hardy"),
}


def make(request: MethodRequest) -> ControlMethod | CovariatesAloneMethod:
    """Make the control named in ``request``."""
    if request.name in _ALONE:
        return CovariatesAloneMethod(_ALONE[request.name], request.name)
    return ControlMethod(cast("ControlKind", request.name))


def restore(saved: SavedMethod) -> FittedControl:
    """Restore a fitted control, of which only the scaler was saved."""
    check_names(saved.arrays, ())
    return FittedControl(cast("ControlKind", saved.name), saved.scaler, saved.tissues)
