"""What a predictor is: ``fit(cohort, donors)`` gives something that predicts any tissue.

Shapes: N donors, G genes. All profiles are z-scores of the fitted method's own ``scaler``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, get_args, runtime_checkable

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.cohort.scaling import TissueScaler
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
        """Return every number the method needs to predict, by name."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return what else it needs, as JSON values."""
        ...


Genes = NDArray[np.intp] | slice
"""Which of a model's genes: their positions, or a slice of them."""
ALL_GENES = slice(None)


class PredictTarget(Protocol):
    """Predicts a target tissue for profiles that are given already."""

    def __call__(self, target: str, genes: Genes | None = None) -> PredictedProfiles:
        """Predict ``target``: all genes, or those of ``genes`` in their order."""
        ...


def cut(predicted: PredictedProfiles, genes: Genes | None) -> PredictedProfiles:
    """Leave of what was predicted the genes that are asked for."""
    if genes is None:
        return predicted
    sd = None if predicted.sd is None else predicted.sd[:, genes]
    return replace(predicted, mean=predicted.mean[:, genes], sd=sd)


@runtime_checkable
class SharesWork(Protocol):
    """A fitted method whose predictions of several targets have work in common."""

    def begin(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> PredictTarget:
        """Do what all targets have in common, once; the rest is left to each.

        For each target, what it gives is what ``predict`` gives; of some genes, to rounding.
        """
        ...


class PredictsByBeginning(ABC):
    """``predict`` of a method that makes a table ready, then predicts each target from that."""

    @abstractmethod
    def begin(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> PredictTarget:
        """Make ``profiles`` ready for all targets."""

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        """Predict as :class:`FittedMethod` says."""
        return self.begin(profiles, phenotypes)(target)


def begin(
    method: FittedMethod, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
) -> PredictTarget:
    """Make ``method`` ready to predict several targets from the same ``profiles``."""
    if isinstance(method, SharesWork):
        return method.begin(profiles, phenotypes)

    def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
        return cut(method.predict(profiles, target, phenotypes), genes)

    return predict


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
    """Return the code of tissue ``name``.

    Raises
    ------
    SelectionError
        If there is none, with the nearest name.
    """
    try:
        return tissues.index(name)
    except ValueError:
        raise SelectionError.unknown("tissue", [name], tissues) from None


def check_shape(name: str, array: NDArray[Any], expected: tuple[int, ...]) -> None:
    """Hold an array of a saved method to its shape.

    Raises
    ------
    ValueError
        If it has another.
    """
    if array.shape != expected:
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}")


def check_names(arrays: Mapping[str, NDArray[Any]], expected: Iterable[str]) -> None:
    """Hold the names of a saved method's arrays to those that it has.

    Raises
    ------
    ValueError
        If one is missing or unknown.
    """
    known = set(expected)
    missing, unexpected = sorted(known - set(arrays)), sorted(set(arrays) - known)
    if missing or unexpected:
        raise ValueError(f"arrays missing: {missing[:3]}; unexpected: {unexpected[:3]}")


def check_covariates(names: object) -> tuple[CovariateName, ...]:
    """Return the covariates of a saved method's settings.

    Raises
    ------
    ValueError
        If one is unknown or duplicated.
    """
    known = get_args(CovariateName)
    if not isinstance(names, list) or any(n not in known for n in names):
        raise ValueError(f"unknown covariates {names!r}; expected {', '.join(known)}")
    if len(set(names)) < len(names):
        raise ValueError(f"a covariate is duplicated in {names!r}")
    return tuple(names)


def check_size(value: object, most: int, what: str) -> int:
    """Return a number of parts of a saved method's settings.

    Raises
    ------
    ValueError
        If it is not a whole number from 0 to ``most``.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{what} is {value!r}; expected 0 to {most:,}")
    return value


def under_prefix(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names begin with ``prefix``, without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
