"""A joint Gaussian of all tissues of a donor: factor analysis with missing tissues.

Donor n has K factors ``z_n ~ N(0, I)``; the z-scores of tissue t are

    ``y_nt = W_t z_n + e_nt``,  ``e_nt ~ N(0, Psi_t)``

with ``Psi_t`` full within the tissue and errors independent between tissues. Fitted by EM over the
tissues that each donor has; predicts any tissue from any others by conditional expectation, with a
variance.

EM for factor analysis: Rubin & Thayer 1982, Psychometrika 47:69-76; the parameter expansion that
rescales the factors at each step: Liu, Rubin & Wu 1998, Biometrika 85:755-770.

Shapes: D donors, T tissues, G genes, K factors, N samples to predict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.scaling import TissueScaler
from mtm_core.data.splits import rows_of
from mtm_core.methods.protocol import Floats, PredictedProfiles, tissue_index

Array = NDArray[np.float64]

_LEAST_NOISE = 0.05
"""Floor of a gene's own variance, of 1: a noise of 0 would make one gene decide a factor."""


@dataclass(frozen=True)
class Factors:
    """One fitted factor model.

    Attributes
    ----------
    loadings
        (T, G, K): ``W_t``.
    weights
        (T, G, K): ``Psi_t^-1 W_t``, what a profile is projected on.
    noise
        (T, G): diagonal of ``Psi_t``.
    """

    loadings: Array
    weights: Array
    noise: Array

    def posterior(self, profiles: Mapping[int, Floats]) -> tuple[Array, Array]:
        """Give mean (N, K) and covariance (K, K) of the factors, given profiles by tissue code."""
        n_factors = self.loadings.shape[-1]
        precision = np.eye(n_factors)
        projected: Array = np.zeros((len(next(iter(profiles.values()))), n_factors))
        for t, y in profiles.items():
            precision = precision + self.loadings[t].T @ self.weights[t]
            projected = projected + y @ self.weights[t]
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        mean: Array = projected @ covariance
        return mean, covariance


@dataclass(frozen=True)
class FittedJointGaussian:
    """Factor models of one or more sizes; their predictions are averaged."""

    scaler: TissueScaler
    tissues: tuple[str, ...]
    models: tuple[Factors, ...]
    name: str = "joint-gaussian"

    def predict(
        self,
        profiles: Mapping[str, Floats],
        target: str,
        phenotypes: pd.DataFrame | None = None,
    ) -> PredictedProfiles:
        """Predict as :class:`~mtm_core.methods.protocol.FittedMethod` says, with a spread.

        The variance is that of the mixture of the models: their mean variance and the variance of
        their means.
        """
        t = tissue_index(self.tissues, target)
        given = {tissue_index(self.tissues, name): z for name, z in profiles.items()}
        means, variances = [], []
        for model in self.models:
            mean, covariance = model.posterior(given)
            loadings = model.loadings[t]
            means.append(mean @ loadings.T)
            variances.append(((loadings @ covariance) * loadings).sum(axis=1) + model.noise[t])
        average = np.mean(means, axis=0)
        variance = np.mean(variances, axis=0)[None] + np.var(means, axis=0)
        return PredictedProfiles(average.astype(np.float32), np.sqrt(variance).astype(np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give loadings, weights and noise of each model."""
        return {
            f"{i}.{name}": array.astype(np.float32)
            for i, model in enumerate(self.models)
            for name, array in vars(model).items()
        }

    def settings(self) -> dict[str, Any]:
        """Give the number of models."""
        return {"n_models": len(self.models)}

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        scaler: TissueScaler,
        tissues: tuple[str, ...],
    ) -> FittedJointGaussian:
        """Put together what :meth:`arrays` and :meth:`settings` gave."""
        models = tuple(
            Factors(
                *(
                    np.asarray(arrays[f"{i}.{name}"], dtype=np.float64)
                    for name in ("loadings", "weights", "noise")
                )
            )
            for i in range(settings["n_models"])
        )
        return cls(scaler, tissues, models)


@dataclass(frozen=True)
class JointGaussianMethod:
    """EM for the joint Gaussian.

    Attributes
    ----------
    n_factors
        Sizes of the models to average.
    n_iterations
        EM steps.
    ridge
        Added to the factors' second moment when loadings are fitted: donors' worth of prior.
    shrinkage
        A tissue of n donors keeps n / (n + shrinkage) of its noise correlations.
    """

    n_factors: tuple[int, ...] = (8, 12, 16, 22, 30)
    n_iterations: int = 20
    ridge: float = 300.0
    shrinkage: float = 100.0
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    seed: int = 0
    name: str = "joint-gaussian"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedJointGaussian:
        """Fit on ``donors``."""
        rows = rows_of(cohort.obs["donor"], donors)
        tissues, tissue = tissue_names(cohort), tissue_codes(cohort)[rows]
        expression = np.asarray(cohort.X[rows])
        scaler = TissueScaler.fit(expression, tissue, len(tissues), self.scaling)
        z = scaler.transform(expression, tissue).astype(np.float64)
        _, donor = np.unique(cohort.obs["donor"].to_numpy()[rows].astype(str), return_inverse=True)
        samples = [(donor[tissue == t], z[tissue == t]) for t in range(len(tissues))]
        models = tuple(self._fit_one(samples, donor.max() + 1, k) for k in self.n_factors)
        return FittedJointGaussian(scaler, tissues, models)

    def _fit_one(
        self, samples: list[tuple[NDArray[np.int64], Array]], n_donors: int, n_factors: int
    ) -> Factors:
        """Fit K factors to ``samples``: of each tissue, donors (n,) and z-scores (n, G)."""
        rng = np.random.default_rng(self.seed)
        n_tissues, n_genes = len(samples), samples[0][1].shape[1]
        loadings = 0.3 * rng.standard_normal((n_tissues, n_genes, n_factors)) / np.sqrt(n_factors)
        noise = np.tile(np.eye(n_genes), (n_tissues, 1, 1))
        weights = loadings.copy()
        for _ in range(self.n_iterations):
            mean, covariance = _expectation(samples, n_donors, loadings, weights)
            # Rescale the factors to unit second moment: the same model, in far fewer steps.
            moment = (covariance.sum(axis=0) + mean.T @ mean) / n_donors
            root = np.linalg.cholesky(moment)
            inverse = np.linalg.inv(root)
            mean = mean @ inverse.T
            covariance = inverse @ covariance @ inverse.T
            for t, (donor, y) in enumerate(samples):
                loadings[t], noise[t] = self._maximise(y, mean[donor], covariance[donor])
                weights[t] = np.linalg.solve(noise[t], loadings[t])
        return Factors(loadings, weights, np.diagonal(noise, axis1=1, axis2=2).copy())

    def _maximise(self, y: Array, mean: Array, covariance: Array) -> tuple[Array, Array]:
        """Fit loadings (G, K) and noise (G, G) of one tissue to its samples' factors."""
        n, spread = len(y), covariance.sum(axis=0)
        second = mean.T @ mean + spread
        loadings = np.linalg.solve(second + self.ridge * np.eye(len(second)), mean.T @ y).T
        residual = y - mean @ loadings.T
        noise = (residual.T @ residual + loadings @ spread @ loadings.T) / max(n, 1)
        diagonal = np.maximum(np.diagonal(noise), _LEAST_NOISE)
        noise = noise * (n / (n + self.shrinkage))
        np.fill_diagonal(noise, diagonal)
        return loadings, noise


def _expectation(
    samples: list[tuple[NDArray[np.int64], Array]], n_donors: int, loadings: Array, weights: Array
) -> tuple[Array, Array]:
    """Give the factors' posterior mean (D, K) and covariance (D, K, K) of every donor."""
    n_factors = loadings.shape[-1]
    precision = np.tile(np.eye(n_factors), (n_donors, 1, 1))
    projected = np.zeros((n_donors, n_factors))
    for t, (donor, y) in enumerate(samples):
        precision[donor] += loadings[t].T @ weights[t]  # a donor has a tissue once
        projected[donor] += y @ weights[t]
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    mean: Array = np.einsum("dkl,dl->dk", covariance, projected)
    return mean, covariance
