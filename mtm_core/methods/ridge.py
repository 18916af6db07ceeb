"""Ridge regression from one tissue to each other: cheap, strong, the method to beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.scaling import TissueScaler
from mtm_core.data.splits import rows_of
from mtm_core.errors import SelectionError
from mtm_core.methods.protocol import Floats, PredictedProfiles, tissue_index

PENALTIES: NDArray[np.float64] = np.logspace(0, 5, 21)


@dataclass(frozen=True)
class FittedRidge:
    """One linear map (G, G) for each target tissue, from one source."""

    scaler: TissueScaler
    tissues: tuple[str, ...]
    source: str
    coefficients: dict[str, Floats]
    intercepts: dict[str, Floats]
    name: str = "ridge"

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        """Predict as :class:`~mtm_core.methods.protocol.FittedMethod` says; no spread."""
        tissue_index(self.tissues, target)
        if set(profiles) != {self.source}:
            raise SelectionError(
                f"this ridge predicts from {self.source!r} alone, got {', '.join(profiles)}."
            )
        if target not in self.coefficients:
            raise SelectionError(
                f"no training donor had both {self.source!r} and {target!r}: nothing to predict by."
            )
        mean = profiles[self.source] @ self.coefficients[target] + self.intercepts[target]
        return PredictedProfiles(mean.astype(np.float32))


@dataclass(frozen=True)
class RidgeMethod:
    """Multi-output ridge for each target, the penalty by leave-one-donor-out cross-validation.

    A donor has one sample of a tissue, so scikit-learn's closed-form leave-one-out is by donor.
    """

    source: str = "Whole Blood"
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "ridge"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedRidge:
        """Fit on the pairs (source, target) of ``donors``."""
        rows = rows_of(cohort.obs["donor"], donors)
        tissues, tissue = tissue_names(cohort), tissue_codes(cohort)[rows]
        expression = np.asarray(cohort.X[rows])
        scaler = TissueScaler.fit(expression, tissue, len(tissues), self.scaling)
        z = scaler.transform(expression, tissue)
        donor = cohort.obs["donor"].to_numpy()[rows]
        row_of = [dict(zip(donor[tissue == t], np.flatnonzero(tissue == t), strict=True))
                  for t in range(len(tissues))]  # fmt: skip
        from_rows = row_of[tissue_index(tissues, self.source)]
        coefficients, intercepts = {}, {}
        for target, to_rows in zip(tissues, row_of, strict=True):
            both = sorted(from_rows.keys() & to_rows.keys())
            if target == self.source or len(both) < 2:
                continue
            x, y = z[[from_rows[d] for d in both]], z[[to_rows[d] for d in both]]
            model = RidgeCV(alphas=PENALTIES).fit(x, y)
            coefficients[target] = np.asarray(model.coef_, dtype=np.float32).T
            intercepts[target] = np.asarray(model.intercept_, dtype=np.float32)
        return FittedRidge(scaler, tissues, self.source, coefficients, intercepts, self.name)
