"""Factors that all tissues of a donor share: their model, their posterior, and how they are fitted.

EM for factor analysis: Rubin & Thayer 1982, Psychometrika 47:69-76; the parameter expansion that
rescales the factors at each step: Liu, Rubin & Wu 1998, Biometrika 85:755-770. The model itself
stands in :mod:`mtm_core.methods.joint_gaussian`.

Shapes: D donors, T tissues, G genes, K factors, C covariates, N samples to predict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtm_core.data.scaling import TissueScaler

Array = NDArray[np.float64]

LEAST_NOISE = 0.05
"""Floor of a gene's own variance, of 1: a noise of 0 would make one gene decide a factor."""


Block = tuple[NDArray[np.int64], Array]
"""Donors (n,) who have a tissue, and their bent z-scores (n, G)."""


@dataclass(frozen=True)
class TrainingDonors:
    """What a joint Gaussian is fitted on.

    Attributes
    ----------
    scaler, tissues
        Of the z-scores; names of the T tissues.
    samples
        Of each tissue.
    covariates
        (D, C) of every donor.
    """

    scaler: TissueScaler
    tissues: tuple[str, ...]
    samples: tuple[Block, ...]
    covariates: Array

    @property
    def n_donors(self) -> int:
        """Number of donors."""
        return len(self.covariates)

    @property
    def blocks(self) -> list[Block]:
        """The tissues, and the covariates as a last block that every donor has."""
        return [*self.samples, (np.arange(self.n_donors), self.covariates)]


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

    def accumulate(self, training: TrainingDonors) -> tuple[Array, Array]:
        """Give precision (D, K, K) and precision times mean (D, K), by all that donors show."""
        return accumulate(
            training.blocks,
            training.n_donors,
            [*self.loadings, self.covariate_loadings],
            [*self.weights, self.covariate_weights],
        )

    def posterior(self, profiles: Mapping[int, Array], covariates: Array) -> tuple[Array, Array]:
        """Give mean (N, K) and covariance (K, K) of the factors.

        Parameters
        ----------
        profiles
            Bent z-scores (N, G) by tissue code.
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


def fit_factors(
    training: TrainingDonors,
    n_factors: int,
    *,
    n_iterations: int,
    ridge: float,
    shrinkage: float,
    seed: int,
) -> Factors:
    """Fit K factors by EM.

    Parameters
    ----------
    n_iterations, ridge, shrinkage
        As in :class:`mtm_core.methods.joint_gaussian.JointGaussianMethod`.
    seed
        Of the loadings to begin with.
    """
    rng = np.random.default_rng(seed)
    n_donors, blocks = training.n_donors, training.blocks
    loadings = [
        0.3 * rng.standard_normal((y.shape[1], n_factors)) / np.sqrt(n_factors) for _, y in blocks
    ]
    noise = [np.eye(y.shape[1]) for _, y in blocks]
    weights = list(loadings)
    for _ in range(n_iterations):
        precision, projected = accumulate(blocks, n_donors, loadings, weights)
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        mean: Array = np.einsum("dkl,dl->dk", covariance, projected)
        # Rescale the factors to unit second moment: the same model, in far fewer steps.
        moment = (covariance.sum(axis=0) + mean.T @ mean) / n_donors
        inverse = np.linalg.inv(np.linalg.cholesky(moment))
        mean = mean @ inverse.T
        covariance = inverse @ covariance @ inverse.T
        for b, (donor, y) in enumerate(blocks):
            loadings[b], noise[b] = _maximise(y, mean[donor], covariance[donor], ridge, shrinkage)
            weights[b] = np.linalg.solve(noise[b], loadings[b])
    return Factors(
        np.stack(loadings[:-1]),
        np.stack(weights[:-1]),
        np.stack([np.diagonal(psi) for psi in noise[:-1]]),
        loadings[-1],
        weights[-1],
    )


def _maximise(
    y: Array, mean: Array, covariance: Array, ridge: float, shrinkage: float
) -> tuple[Array, Array]:
    """Fit loadings (G, K) and noise (G, G) of one tissue to its samples' factors."""
    n, spread = len(y), covariance.sum(axis=0)
    second = mean.T @ mean + spread
    loadings = np.linalg.solve(second + ridge * np.eye(len(second)), mean.T @ y).T
    residual = y - mean @ loadings.T
    noise = (residual.T @ residual + loadings @ spread @ loadings.T) / max(n, 1)
    diagonal = np.maximum(np.diagonal(noise), LEAST_NOISE)
    noise = noise * (n / (n + shrinkage))
    np.fill_diagonal(noise, diagonal)
    return loadings, noise


def bend(z: NDArray[np.floating], bound: float | None) -> Array:
    """Give ``bound tanh(z / bound)``, or ``z`` where there is no bound."""
    values = np.asarray(z, dtype=np.float64)
    return values if bound is None else bound * np.tanh(values / bound)


def accumulate(
    blocks: Sequence[Block], n_donors: int, loadings: Sequence[Array], weights: Sequence[Array]
) -> tuple[Array, Array]:
    """Give precision (D, K, K) and precision times mean (D, K) of every donor's factors."""
    n_factors = loadings[0].shape[-1]
    precision = np.tile(np.eye(n_factors), (n_donors, 1, 1))
    projected = np.zeros((n_donors, n_factors))
    for (donor, y), w, p in zip(blocks, loadings, weights, strict=True):
        precision[donor] += w.T @ p  # a donor is in a block once
        projected[donor] += y @ p
    return precision, projected
