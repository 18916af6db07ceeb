"""Protocols of prediction methods: a method is fitted to donors, a fitted method predicts tissues.

Shapes: N donors, G genes. All profiles are z-scores made by the fitted method's own ``scaler``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
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
"""Levels of calibrated prediction intervals, in percent."""


@dataclass(frozen=True)
class PredictedProfiles:
    """Predicted z-scores of one target tissue, with their expected error if the method has one.

    Attributes
    ----------
    mean
        Predicted z-scores (N, G).
    sd
        Expected error (N, G) of ``mean``, as an SD.
    multipliers
        By level of ``INTERVAL_LEVELS``: half-width (N,) of the calibrated interval, in units of
        ``sd``; ``None`` without calibration.
    calibrated_from
        Source tissue that the intervals were calibrated on; empty without calibration.
    """

    mean: Floats
    sd: Floats | None = None
    multipliers: Mapping[int, Floats] | None = None
    calibrated_from: str = ""


class FittedMethod(Protocol):
    """A method fitted to training donors, which predicts and can be saved."""

    @property
    def name(self) -> str:
        """Name of the method."""
        ...

    @property
    def tissues(self) -> tuple[str, ...]:
        """Tissues of the method, in the order of the scaler's rows."""
        ...

    @property
    def covariates(self) -> tuple[CovariateName, ...]:
        """Covariates of a donor that the method uses, if all of them are known."""
        ...

    @property
    def scaler(self) -> TissueScaler:
        """Scaler that turns expression into the method's z-scores."""
        ...

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        """Predict a target tissue. Each donor's prediction depends on that donor's data alone.

        Parameters
        ----------
        profiles
            z-scores (N, G) by source tissue.
        target
            Tissue to predict.
        phenotypes
            Age and sex, one row for each of the N donors. Used only by methods fitted with
            covariates; a donor for whom one of them is unknown is predicted without them.

        Raises
        ------
        SelectionError
            If a tissue is unknown, or the method cannot predict from these sources.
        """
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all arrays that the method needs to predict, by name."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return all other settings that it needs, as JSON values."""
        ...


Genes = NDArray[np.intp] | slice
"""A selection of a model's genes: positions, or a slice."""
ALL_GENES = slice(None)


class TargetPredictor(Protocol):
    """Callable that predicts any target tissue from source profiles it already holds."""

    def __call__(self, target: str, genes: Genes | None = None) -> PredictedProfiles:
        """Predict all genes of ``target``, or those of ``genes`` in that order."""
        ...


def select_genes(predicted: PredictedProfiles, genes: Genes | None) -> PredictedProfiles:
    """Return the prediction for ``genes`` alone; all if ``None``."""
    if genes is None:
        return predicted
    sd = None if predicted.sd is None else predicted.sd[:, genes]
    return replace(predicted, mean=predicted.mean[:, genes], sd=sd)


@runtime_checkable
class HasTargetPredictor(Protocol):
    """A fitted method that shares work between the predictions of several targets."""

    def target_predictor(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> TargetPredictor:
        """Do the work common to all targets once, and return a predictor of any target.

        Its predictions equal those of :meth:`FittedMethod.predict`; for a selection of genes, up
        to rounding.
        """
        ...


class TargetPredictorMixin(ABC):
    """Implements ``predict`` by :meth:`target_predictor`."""

    @abstractmethod
    def target_predictor(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> TargetPredictor:
        """Do the work common to all targets, and return a predictor of any target."""

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        """Predict ``target``; see :meth:`FittedMethod.predict`."""
        return self.target_predictor(profiles, phenotypes)(target)


def target_predictor(
    method: FittedMethod, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
) -> TargetPredictor:
    """Return a predictor of any target from ``profiles``.

    Work common to several targets is done once if the method supports it
    (:class:`HasTargetPredictor`).
    """
    if isinstance(method, HasTargetPredictor):
        return method.target_predictor(profiles, phenotypes)

    def predict(target: str, genes: Genes | None = None) -> PredictedProfiles:
        return select_genes(method.predict(profiles, target, phenotypes), genes)

    return predict


class Method(Protocol):
    """A prediction method with its hyperparameters, not yet fitted."""

    @property
    def name(self) -> str:
        """Name of the method."""
        ...

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedMethod:
        """Fit the method and its scaler to the samples of ``donors`` alone."""
        ...


def tissue_index(tissues: Sequence[str], name: str) -> int:
    """Return the index of tissue ``name`` in ``tissues``.

    Raises
    ------
    SelectionError
        If the tissue is unknown; the message suggests the nearest name.
    """
    try:
        return tissues.index(name)
    except ValueError:
        raise SelectionError.unknown("tissue", [name], tissues) from None


def check_shape(name: str, array: NDArray[Any], expected: tuple[int, ...]) -> None:
    """Check the shape of an array read from disk.

    Raises
    ------
    ValueError
        If it is not the expected one.
    """
    if array.shape != expected:
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}")


def check_names(arrays: Mapping[str, NDArray[Any]], expected: Iterable[str]) -> None:
    """Check the names of a method's arrays read from disk.

    Raises
    ------
    ValueError
        If one is missing or unexpected.
    """
    known = set(expected)
    missing, unexpected = sorted(known - set(arrays)), sorted(set(arrays) - known)
    if missing or unexpected:
        raise ValueError(f"arrays missing: {missing[:3]}; unexpected: {unexpected[:3]}")


def check_covariates(names: object) -> tuple[CovariateName, ...]:
    """Return the covariates in settings read from disk, checked.

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
    """Return a count in settings read from disk, checked.

    Parameters
    ----------
    value
        The count.
    most
        Largest allowed count.
    what
        Name of the setting, for the error.

    Raises
    ------
    ValueError
        If it is not a whole number from 0 to ``most``.
    """
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{what} is {value!r}; expected 0 to {most:,}")
    return value


def under_prefix(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names start with ``prefix``, with it removed."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def with_present_names(
    arrays: Mapping[str, NDArray[Any]], known: Collection[str]
) -> Mapping[str, NDArray[Any]]:
    """Return the arrays of a model under their present names.

    Models of version 0.1.0 have another word where this version has ``with_covariates``. It is the
    one first part of a name, ``x``, that is not in ``known``, perhaps beside ``several_x``. All
    else is returned as it is, for :func:`check_names` to refuse.
    """
    parts = {name.split(".")[0] for name in arrays}
    others = sorted(parts - {*known}, key=len)
    if "with_covariates" in parts or not others or others[1:] not in ([], [f"several_{others[0]}"]):
        return arrays
    present = {other: other.replace(others[0], "with_covariates") for other in others}
    renamed = {}
    for name, array in arrays.items():
        first, point, rest = name.partition(".")
        renamed[f"{present.get(first, first)}{point}{rest}"] = array
    return renamed
