"""What a predictor is: ``fit(cohort, donors)`` gives something that predicts any tissue.

Shapes: N donors, G genes. All profiles are z-scores of the fitted method's own ``scaler``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.scaling import TissueScaler
from mtm_core.errors import SelectionError
from mtm_core.methods.covariates import CovariateName

Floats = NDArray[np.float32]


INTERVAL_LEVELS = (50, 80, 90, 95)
"""Levels, in percent, that methods with calibrated intervals give."""


@dataclass(frozen=True)
class PredictedProfiles:
    """Predicted z-scores and, where the method has them, their spread.

    Attributes
    ----------
    mean
        (N, G).
    sd
        (N, G) expected error of ``mean``.
    multipliers
        By level of ``INTERVAL_LEVELS``: the half-width (N,) of the calibrated interval, in units
        of ``sd``. A method without calibration gives none.
    calibrated_from
        Source tissue that the intervals were calibrated on; empty without calibration.
    """

    mean: Floats
    sd: Floats | None = None
    multipliers: Mapping[int, Floats] | None = None
    calibrated_from: str = ""


class FittedMethod(Protocol):
    """A predictor that has seen its training donors, and can be saved."""

    @property
    def name(self) -> str:
        """Name of the method."""
        ...

    @property
    def tissues(self) -> tuple[str, ...]:
        """Tissues it knows, in the order of the scaler's rows."""
        ...

    @property
    def covariates(self) -> tuple[CovariateName, ...]:
        """What it reads of a donor's phenotypes, where all of that is known."""
        ...

    @property
    def scaler(self) -> TissueScaler:
        """What its z-scores are made with."""
        ...

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        """Predict ``target`` for N donors from ``profiles``: z-scores (N, G) by source tissue.

        ``phenotypes`` (one row a donor: age, sex) is read by methods fitted with covariates and by
        no other; a donor of whom one of them is not known is predicted without. A donor's
        prediction depends on no other row.

        Raises
        ------
        SelectionError
            If a tissue is unknown, or the method cannot start from these sources.
        """
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give every number the method needs to predict, by name."""
        ...

    def settings(self) -> dict[str, Any]:
        """Give what else it needs, as JSON values."""
        ...


PredictTarget = Callable[[str], PredictedProfiles]
"""Predicts a target tissue for profiles that are given already."""


@runtime_checkable
class SharesWork(Protocol):
    """A fitted method whose predictions of several targets have work in common."""

    def begin(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> PredictTarget:
        """Do what all targets have in common, once; the rest is left to each.

        For each target, what it gives is what ``predict`` gives.
        """
        ...


def begin(
    method: FittedMethod, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
) -> PredictTarget:
    """Make ``method`` ready to predict several targets from the same ``profiles``."""
    if isinstance(method, SharesWork):
        return method.begin(profiles, phenotypes)
    return lambda target: method.predict(profiles, target, phenotypes)


class Method(Protocol):
    """A way to fit a predictor."""

    @property
    def name(self) -> str:
        """Name of the method."""
        ...

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedMethod:
        """Fit on the samples of ``donors`` alone, scaler included."""
        ...


def tissue_index(tissues: Sequence[str], name: str) -> int:
    """Give the code of tissue ``name``.

    Raises
    ------
    SelectionError
        If there is none, with the nearest name.
    """
    try:
        return tissues.index(name)
    except ValueError:
        raise SelectionError.unknown("tissue", [name], tissues) from None


def under_prefix(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Give the arrays whose names begin with ``prefix``, without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
