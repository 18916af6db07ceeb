"""The joint Gaussian with curved factors: its factors re-estimated by kernel ridge regression.

A joint Gaussian guesses a donor's factors linearly from a profile. Donors are no single Gaussian
cloud (how a donor died shifts many genes at once), so the best guess bends. For each source tissue,
the factors that the donor's *other* tissues show are regressed on the linear guess from the source
alone, with a Gaussian kernel; the loadings, and so the step from factors to tissues, stay.

The regression is on M points drawn from the cloud of the guesses (Nystroem's approximation:
Williams & Seeger 2001, NIPS 13), not on the donors: the fitted method holds no donor's profile.

Shapes: D donors, T tissues, K factors, M points, N samples to predict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from mtm_core.data.scaling import TissueScaler
from mtm_core.methods.covariates import CovariateName, by_knowledge
from mtm_core.methods.factors import Array, Factors, TrainingDonors, bend
from mtm_core.methods.joint_gaussian import FittedJointGaussian, JointGaussianMethod
from mtm_core.methods.protocol import (
    Floats,
    PredictedProfiles,
    PredictTarget,
    tissue_index,
    under_prefix,
)

_JITTER = 1e-6
_MINIMUM_DONORS = 40
"""A source tissue of fewer donors keeps the linear guess."""


@dataclass(frozen=True)
class Curves:
    """How the factors of one model bend, for each source tissue.

    Attributes
    ----------
    points
        (M, K), standard normal, the same for every source.
    centre, root
        (T, K) and (T, K, K): a source's own points are ``centre + points root'``.
    coefficients
        (T, M, K); all 0 for a source that keeps the linear guess.
    width
        ``exp(-width |a - b|^2)`` is the kernel.
    """

    points: Array
    centre: Array
    root: Array
    coefficients: Array
    width: float

    def __call__(self, source: int, linear: Array) -> Array:
        """Give factors (N, K) for the linear guesses (N, K) from tissue ``source``."""
        if not self.coefficients[source].any():
            return linear
        own = self.centre[source] + self.points @ self.root[source].T
        factors: Array = _kernel(linear, own, self.width) @ self.coefficients[source]
        return factors


@dataclass(frozen=True)
class FittedKernelFactors:
    """A joint Gaussian and the curves of its factors.

    Attributes
    ----------
    joint
        The joint Gaussian. From several source tissues it predicts alone: their guess is close to
        what the curves would make of it.
    plain
        Curves of each of its models, from expression alone.
    informed
        The same from expression and covariates; empty where it has none.
    """

    joint: FittedJointGaussian
    plain: tuple[Curves, ...]
    informed: tuple[Curves, ...] = ()
    name: str = "kernel-factors"

    @property
    def scaler(self) -> TissueScaler:
        """That of the joint Gaussian."""
        return self.joint.scaler

    @property
    def tissues(self) -> tuple[str, ...]:
        """Those of the joint Gaussian."""
        return self.joint.tissues

    @property
    def covariates(self) -> tuple[CovariateName, ...]:
        """Those of the joint Gaussian."""
        return self.joint.covariates

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        """Predict as :class:`~mtm_core.methods.protocol.FittedMethod` says; no spread."""
        return self.begin(profiles, phenotypes)(target)

    def begin(
        self, profiles: Mapping[str, Floats], phenotypes: pd.DataFrame | None = None
    ) -> PredictTarget:
        """Bend the factors' linear guess; each target is then read off its loadings."""
        if len(profiles) > 1:
            predict_jointly = self.joint.begin(profiles, phenotypes)
            return lambda target: PredictedProfiles(predict_jointly(target).mean)
        ((name, z),) = profiles.items()
        source = tissue_index(self.tissues, name)
        y = bend(z, self.joint.bound)
        groups: list[tuple[NDArray[np.int64], list[Array]]] = []
        for rows, covariates in by_knowledge(phenotypes, self.covariates, len(z)):
            curves = self.informed if covariates.shape[1] else self.plain
            factors = [
                curve(source, model.posterior({source: y[rows]}, covariates)[0])
                for model, curve in zip(self.joint.models, curves, strict=True)
            ]
            groups.append((rows, factors))

        def predict(target: str) -> PredictedProfiles:
            t = tissue_index(self.tissues, target)
            mean = np.zeros(z.shape, dtype=np.float32)
            for rows, factors in groups:
                for model, own in zip(self.joint.models, factors, strict=True):
                    mean[rows] += own @ model.loadings[t].T / len(factors)
            return PredictedProfiles(mean)

        return predict

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give the arrays of the joint Gaussian and of the curves."""
        own = {f"joint.{name}": array for name, array in self.joint.arrays().items()}
        for kind in ("plain", "informed"):
            for i, curves in enumerate(getattr(self, kind)):
                own |= {
                    f"{kind}.{i}.{name}": array.astype(np.float32)
                    for name, array in vars(curves).items()
                    if name != "width"
                }
        return own

    def settings(self) -> dict[str, Any]:
        """Give the settings of the joint Gaussian, and the kernel's width."""
        return {"joint": self.joint.settings(), "width": self.plain[0].width}

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        scaler: TissueScaler,
        tissues: tuple[str, ...],
    ) -> FittedKernelFactors:
        """Put together what :meth:`arrays` and :meth:`settings` gave."""
        joint = FittedJointGaussian.restore(
            under_prefix("joint.", arrays), settings["joint"], scaler, tissues
        )

        def curves(kind: str) -> tuple[Curves, ...]:
            return tuple(
                Curves(
                    width=settings["width"],
                    **{
                        name: np.asarray(array, dtype=np.float64)
                        for name, array in under_prefix(f"{kind}.{i}.", arrays).items()
                    },
                )
                for i in range(len(joint.models))
            )

        return cls(joint, curves("plain"), curves("informed") if joint.covariates else ())


@dataclass(frozen=True)
class KernelFactorsMethod:
    """Fit ``joint``, then the curves.

    Attributes
    ----------
    joint
        The joint Gaussian, covariates included.
    width
        Of the kernel, in the units of the factors.
    ridge
        Of the kernel regression.
    n_points
        M.
    """

    joint: JointGaussianMethod = field(
        default_factory=lambda: JointGaussianMethod(covariates=("age", "sex"))
    )
    width: float = 0.1
    ridge: float = 1.0
    n_points: int = 150
    seed: int = 0
    name: str = field(default="kernel-factors", compare=False)

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedKernelFactors:
        """Fit on ``donors``."""
        training = self.joint.training(cohort, donors)
        joint = self.joint.fit_training(training)
        plain, informed = [], []
        for model in joint.models:
            others = list(_factors_of_other_tissues(model, training))
            plain.append(self._fit_curves(model, training, others, with_covariates=False))
            if joint.covariates:
                informed.append(self._fit_curves(model, training, others, with_covariates=True))
        return FittedKernelFactors(joint, tuple(plain), tuple(informed))

    def _fit_curves(
        self,
        model: Factors,
        training: TrainingDonors,
        others: Sequence[Array],
        *,
        with_covariates: bool,
    ) -> Curves:
        """Regress, for each source, ``others`` (n, K) on the linear guess from the source."""
        n_tissues, n_factors = len(training.tissues), model.loadings.shape[-1]
        points = np.random.default_rng(self.seed).standard_normal((self.n_points, n_factors))
        centre = np.zeros((n_tissues, n_factors))
        root = np.zeros((n_tissues, n_factors, n_factors))
        coefficients = np.zeros((n_tissues, self.n_points, n_factors))
        for t, (donor, y) in enumerate(training.samples):
            if len(donor) < _MINIMUM_DONORS:
                continue
            known = training.covariates[donor] if with_covariates else np.empty((len(donor), 0))
            linear, _ = model.posterior({t: np.asarray(y, dtype=np.float64)}, known)
            spread = np.cov(linear.T) + _JITTER * np.eye(n_factors)
            centre[t], root[t] = linear.mean(axis=0), np.linalg.cholesky(spread)
            own = centre[t] + points @ root[t].T
            features = _kernel(linear, own, self.width)
            penalty = self.ridge * (_kernel(own, own, self.width) + _JITTER * np.eye(len(own)))
            coefficients[t] = np.linalg.solve(
                features.T @ features + penalty, features.T @ others[t]
            )
        return Curves(points, centre, root, coefficients, self.width)


def _factors_of_other_tissues(model: Factors, training: TrainingDonors) -> Iterator[Array]:
    """Give, for each tissue, the factors (n, K) of its donors by all but that tissue.

    By all tissues, the source would be regressed on a guess that holds its own noise.
    """
    precision, projected = model.accumulate(training)
    for (donor, y), w, p in zip(training.samples, model.loadings, model.weights, strict=True):
        others = np.linalg.solve(precision[donor] - w.T @ p, (projected[donor] - y @ p)[..., None])
        yield np.asarray(others[..., 0], dtype=np.float64)


def _kernel(a: Array, b: Array, width: float) -> Array:
    """Give ``exp(-width |a - b|^2)`` of every row (N, K) with every row (M, K): (N, M)."""
    kernel: Array = np.exp(-width * cdist(a, b, "sqeuclidean"))
    return kernel
