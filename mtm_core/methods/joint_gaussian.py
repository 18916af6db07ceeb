"""A joint Gaussian of all tissues of a donor: factor analysis with missing tissues.

Donor n has K factors ``z_n ~ N(0, I)``; the z-scores of tissue t are

    ``y_nt = W_t z_n + e_nt``,  ``e_nt ~ N(0, Psi_t)``

with ``Psi_t`` full within the tissue and errors independent between tissues. Fitted by EM over the
tissues that each donor has; predicts any tissue from any others by conditional expectation, with a
variance.

EM for factor analysis: Rubin & Thayer 1982, Psychometrika 47:69-76; the parameter expansion that
rescales the factors at each step: Liu, Rubin & Wu 1998, Biometrika 85:755-770.

Shapes: D donors, T tissues, G genes, K factors, C covariates, N samples to predict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.scaling import TissueScaler
from mtm_core.data.splits import rows_of
from mtm_core.methods.covariates import CovariateName, encode_covariates
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
    covariate_loadings, covariate_weights
        (C, K): the same of the donor's C covariates, one more block beside the tissues.
    """

    loadings: Array
    weights: Array
    noise: Array
    covariate_loadings: Array
    covariate_weights: Array

    def posterior(self, profiles: Mapping[int, Floats], covariates: Array) -> tuple[Array, Array]:
        """Give mean (N, K) and covariance (K, K) of the factors.

        Parameters
        ----------
        profiles
            z-scores (N, G) by tissue code.
        covariates
            (N, C), or (N, 0) where none are known.
        """
        precision = np.eye(self.loadings.shape[-1])
        projected: Array = np.zeros((len(covariates), len(precision)))
        for t, y in profiles.items():
            precision = precision + self.loadings[t].T @ self.weights[t]
            projected = projected + y @ self.weights[t]
        if covariates.shape[1]:
            precision = precision + self.covariate_loadings.T @ self.covariate_weights
            projected = projected + covariates @ self.covariate_weights
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        mean: Array = projected @ covariance
        return mean, covariance


@dataclass(frozen=True)
class FittedJointGaussian:
    """Factor models of one or more sizes; their predictions are averaged."""

    scaler: TissueScaler
    tissues: tuple[str, ...]
    models: tuple[Factors, ...]
    covariates: tuple[CovariateName, ...] = ()
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
        n_donors = len(next(iter(profiles.values())))
        known = self.covariates if phenotypes is not None else ()
        covariates = encode_covariates(phenotypes, known, n_donors)
        means, variances = [], []
        for model in self.models:
            mean, covariance = model.posterior(given, covariates)
            loadings = model.loadings[t]
            means.append(mean @ loadings.T)
            variances.append(((loadings @ covariance) * loadings).sum(axis=1) + model.noise[t])
        average = np.mean(means, axis=0)
        variance = np.mean(variances, axis=0)[None] + np.var(means, axis=0)
        return PredictedProfiles(average.astype(np.float32), np.sqrt(variance).astype(np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give the arrays of each model."""
        return {
            f"{i}.{name}": array.astype(np.float32)
            for i, model in enumerate(self.models)
            for name, array in vars(model).items()
        }

    def settings(self) -> dict[str, Any]:
        """Give the number of models and the covariates."""
        return {"n_models": len(self.models), "covariates": list(self.covariates)}

    @classmethod
    def restore(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        settings: Mapping[str, Any],
        scaler: TissueScaler,
        tissues: tuple[str, ...],
    ) -> FittedJointGaussian:
        """Put together what :meth:`arrays` and :meth:`settings` gave."""
        names = [member.name for member in fields(Factors)]
        models = tuple(
            Factors(*(np.asarray(arrays[f"{i}.{name}"], dtype=np.float64) for name in names))
            for i in range(settings["n_models"])
        )
        return cls(scaler, tissues, models, tuple(settings["covariates"]))


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
    covariates: tuple[CovariateName, ...] = ()
    seed: int = 0
    name: str = "joint-gaussian"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedJointGaussian:
        """Fit on ``donors``."""
        rows = rows_of(cohort.obs["donor"], donors)
        tissues, tissue = tissue_names(cohort), tissue_codes(cohort)[rows]
        expression = np.asarray(cohort.X[rows])
        scaler = TissueScaler.fit(expression, tissue, len(tissues), self.scaling)
        z = scaler.transform(expression, tissue).astype(np.float64)
        ids = cohort.obs["donor"].to_numpy()[rows].astype(str)
        names, donor = np.unique(ids, return_inverse=True)
        samples = [(donor[tissue == t], z[tissue == t]) for t in range(len(tissues))]
        phenotypes = cohort.uns["donors"].loc[names]
        covariates = encode_covariates(phenotypes, self.covariates, len(names))
        models = tuple(self._fit_one(samples, covariates, k) for k in self.n_factors)
        return FittedJointGaussian(scaler, tissues, models, self.covariates, self.name)

    def _fit_one(
        self, samples: list[tuple[NDArray[np.int64], Array]], covariates: Array, n_factors: int
    ) -> Factors:
        """Fit K factors.

        Parameters
        ----------
        samples
            Of each tissue, donors (n,) and z-scores (n, G).
        covariates
            (D, C): a last block, which every donor has.
        n_factors
            K.
        """
        rng = np.random.default_rng(self.seed)
        n_donors = len(covariates)
        blocks = [*samples, (np.arange(n_donors), covariates)]
        loadings = [
            0.3 * rng.standard_normal((y.shape[1], n_factors)) / np.sqrt(n_factors)
            for _, y in blocks
        ]
        noise = [np.eye(y.shape[1]) for _, y in blocks]
        weights = list(loadings)
        for _ in range(self.n_iterations):
            mean, covariance = _expectation(blocks, n_donors, loadings, weights)
            # Rescale the factors to unit second moment: the same model, in far fewer steps.
            moment = (covariance.sum(axis=0) + mean.T @ mean) / n_donors
            inverse = np.linalg.inv(np.linalg.cholesky(moment))
            mean = mean @ inverse.T
            covariance = inverse @ covariance @ inverse.T
            for b, (donor, y) in enumerate(blocks):
                loadings[b], noise[b] = self._maximise(y, mean[donor], covariance[donor])
                weights[b] = np.linalg.solve(noise[b], loadings[b])
        return Factors(
            np.stack(loadings[:-1]),
            np.stack(weights[:-1]),
            np.stack([np.diagonal(psi) for psi in noise[:-1]]),
            loadings[-1],
            weights[-1],
        )

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
    blocks: list[tuple[NDArray[np.int64], Array]],
    n_donors: int,
    loadings: list[Array],
    weights: list[Array],
) -> tuple[Array, Array]:
    """Give the factors' posterior mean (D, K) and covariance (D, K, K) of every donor."""
    n_factors = loadings[0].shape[-1]
    precision = np.tile(np.eye(n_factors), (n_donors, 1, 1))
    projected = np.zeros((n_donors, n_factors))
    for (donor, y), w, p in zip(blocks, loadings, weights, strict=True):
        precision[donor] += w.T @ p  # a donor is in a block once
        projected[donor] += y @ p
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    mean: Array = np.einsum("dkl,dl->dk", covariance, projected)
    return mean, covariance
