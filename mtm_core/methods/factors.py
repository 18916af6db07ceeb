"""Factors shared by all tissues of a donor: training data, parameters and posterior.

The model is written out in :mod:`mtm_core.methods.joint_gaussian` and fitted in
:mod:`mtm_core.methods.factor_fit`.

Shapes: D donors, T tissues, G genes, K factors, C covariates, N samples to predict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.methods.protocol import check_shape

Array = NDArray[np.float64]

NOISE_FLOOR = 0.05
"""Smallest noise variance, where a gene's total variance is 1. With a noise of 0, one gene would
determine a factor."""
Stored = NDArray[Any]
"""Parameters in the type in which they are stored: float64, float32 or bfloat16."""
Block = tuple[NDArray[np.int64], NDArray[np.floating]]
"""One block of variables: the donors (n,) observed in it, and their values (n, G).

A tissue is a block of squashed z-scores; the covariates are one more block."""
FactorLikelihood = tuple[NDArray[np.int64], Array, Array]
"""Gaussian likelihood of donors' factors, given one block.

Donors (n,), precision ``W' Psi^-1 W`` (K, K), and precision-weighted means ``Y Psi^-1 W`` (n, K):
the precision times the mean, so that blocks are combined by addition."""


@dataclass(frozen=True, order=True)
class FactorSettings:
    """Settings of a factor model.

    Attributes
    ----------
    n_factors
        Numbers of factors. One model is fitted for each, and their predictions are averaged.
    ridge
        Ridge penalty on the loadings, in donors' worth of prior.
    shrinkage
        In a tissue of n donors, noise correlations are multiplied by n / (n + shrinkage).
    """

    n_factors: tuple[int, ...]
    ridge: float
    shrinkage: float


@dataclass(frozen=True)
class TrainingDonors:
    """Training data of a joint Gaussian.

    Attributes
    ----------
    scaler
        Scaler that the z-scores were made with.
    tissues
        Names of the T tissues.
    samples
        For each tissue: its donors (n,), as numbers from 0 to D - 1, and their squashed z-scores
        (n, G).
    covariates
        Covariates (D, C).
    donors
        Names of the D donors. May be empty where data are assembled by hand.
    rows
        For each tissue: rows of its samples in the cohort. May be empty, too.
    """

    scaler: TissueScaler
    tissues: tuple[str, ...]
    samples: tuple[Block, ...]
    covariates: Array
    donors: tuple[str, ...] = ()
    rows: tuple[NDArray[np.intp], ...] = ()

    @property
    def n_donors(self) -> int:
        """Number of donors."""
        return len(self.covariates)

    @property
    def n_genes(self) -> int:
        """Number of genes, G."""
        return int(self.samples[0][1].shape[1])

    @cached_property
    def grams(self) -> list[Array]:
        """Gram matrix ``Y diag(1 / v) Y'`` (n, n) of each tissue, v the variances of the genes.

        Computed once for all settings, models and inner folds.
        """
        return [variance_scaled_gram(np.asarray(y, dtype=np.float32)) for _, y in self.samples]

    @property
    def blocks(self) -> list[Block]:
        """The tissues, and last the covariates, which are known for every donor."""
        return [*self.samples, (np.arange(self.n_donors), self.covariates)]


@dataclass(frozen=True)
class Factors:
    """Parameters of one fitted factor model.

    The arrays are float64 for a narrow panel. For many genes they are float32 or bfloat16, and one
    tissue at a time is converted to float32 when it is used (:func:`upcast_half`).

    Attributes
    ----------
    loadings
        Loadings ``W_t`` (T, G, K).
    weights
        Regression weights ``Psi_t^-1 W_t`` (T, G, K), by which profiles are multiplied.
    noise
        Noise variances (T, G), the diagonals of ``Psi_t``.
    covariate_loadings, covariate_weights
        Loadings and weights (C, K) of the covariates, which form one more block.
    """

    loadings: Stored
    weights: Stored
    noise: Stored
    covariate_loadings: Array
    covariate_weights: Array

    def check(self, by_gene: tuple[int, ...], n_covariates: int) -> None:
        """Check a model read from disk.

        Parameters
        ----------
        by_gene
            Expected (T, G).
        n_covariates
            Expected C.

        Raises
        ------
        ValueError
            If a shape differs, or the posterior precision would not be positive definite.
        """
        n_factors = self.loadings.shape[-1]
        for name, expected in (
            ("loadings", (*by_gene, n_factors)),
            ("weights", (*by_gene, n_factors)),
            ("noise", by_gene),
            ("covariate_loadings", (n_covariates, n_factors)),
            ("covariate_weights", (n_covariates, n_factors)),
        ):
            check_shape(name, getattr(self, name), expected)
        if n_factors == 0 or (self.noise <= 0).any():
            raise ValueError("expected factors, and noise above 0")
        blocks = [*zip(self.loadings, self.weights, strict=True)]
        blocks.append((self.covariate_loadings, self.covariate_weights))
        for loadings, weights in blocks:
            precision = upcast_half(loadings).T @ upcast_half(weights)
            # Whichever blocks are observed, I + the sum of their precisions can then be inverted.
            if np.linalg.eigvalsh(precision + precision.T).min() < -1 / len(blocks):
                raise ValueError("loadings and weights of the factors do not go together")

    def training_posterior(self, training: TrainingDonors) -> tuple[Array, Array]:
        """Return posterior precision (D, K, K) and precision-weighted mean (D, K) of all donors."""
        return sum_likelihoods(
            self.likelihoods(training), training.n_donors, self.loadings.shape[-1]
        )

    def likelihoods(self, training: TrainingDonors) -> list[FactorLikelihood]:
        """Return the likelihood of the donors' factors given each tissue, and given covariates."""
        loadings = [*self.loadings, self.covariate_loadings]
        weights = [*self.weights, self.covariate_weights]
        return [
            (donor, upcast_half(w).T @ upcast_half(p), y @ upcast_half(p))
            for (donor, y), w, p in zip(training.blocks, loadings, weights, strict=True)
        ]

    def posterior(
        self, profiles: Mapping[int, NDArray[np.floating]], covariates: Array
    ) -> tuple[Array, Array]:
        """Return posterior mean (N, K) and covariance (K, K) of the factors of N donors.

        Parameters
        ----------
        profiles
            Squashed z-scores (N, G) by tissue index.
        covariates
            Covariates (N, C), or (N, 0) to leave them out.
        """
        precision = np.eye(self.loadings.shape[-1])
        weighted_mean: Array = np.zeros((len(covariates), len(precision)))
        for t, y in profiles.items():
            weights = upcast_half(self.weights[t])
            precision = precision + upcast_half(self.loadings[t]).T @ weights
            weighted_mean = weighted_mean + y.astype(weights.dtype, copy=False) @ weights
        if covariates.shape[1]:
            precision = precision + self.covariate_loadings.T @ self.covariate_weights
            weighted_mean = weighted_mean + covariates @ self.covariate_weights
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        mean: Array = weighted_mean @ covariance
        return mean, covariance


def mean_square(y: NDArray[np.float32]) -> Array:
    """Return the mean square (G,) of each gene of ``y`` (n, G)."""
    square: Array = np.einsum("ng,ng->g", y, y, dtype=np.float64) / max(len(y), 1)
    return square


def scaled_gram(y: NDArray[np.float32], variance: Array) -> Array:
    """Return the Gram matrix ``Y diag(1 / variance) Y'`` (n, n)."""
    scaled = y / np.sqrt(variance).astype(np.float32)
    gram = np.asarray(scaled @ scaled.T, dtype=np.float64)
    symmetric: Array = (gram + gram.T) / 2
    return symmetric


def variance_scaled_gram(y: NDArray[np.float32]) -> Array:
    """Return the Gram matrix (n, n) of ``y`` (n, G), each gene scaled by its own variance."""
    return scaled_gram(y, np.maximum(mean_square(y), NOISE_FLOOR))


def upcast_half(array: Stored) -> NDArray[np.floating]:
    """Convert a bfloat16 or float16 array to float32; return any other array as it is."""
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def squash(z: NDArray[np.floating], bound: float | None) -> Array:
    """Return ``bound tanh(z / bound)`` in float64, or ``z`` if ``bound`` is ``None``."""
    values = np.asarray(z, dtype=np.float64)
    return values if bound is None else bound * np.tanh(values / bound)


def squash_in_place(z: NDArray[np.float32], bound: float | None) -> NDArray[np.float32]:
    """Squash ``z`` as :func:`squash` does, but without a copy, for wide cohorts."""
    if bound is not None:
        z /= np.float32(bound)
        np.tanh(z, out=z)
        z *= np.float32(bound)
    return z


def sum_likelihoods(
    likelihoods: Iterable[FactorLikelihood], n_donors: int, n_factors: int
) -> tuple[Array, Array]:
    """Combine the likelihoods of blocks with the prior N(0, I) of the factors.

    Returns
    -------
    tuple
        Posterior precision (D, K, K) and precision-weighted mean (D, K) of each donor's factors.
    """
    precision = np.tile(np.eye(n_factors), (n_donors, 1, 1))
    weighted_mean = np.zeros((n_donors, n_factors))
    for donor, block_precision, block_mean in likelihoods:
        precision[donor] += block_precision
        weighted_mean[donor] += block_mean
    return precision, weighted_mean


def leave_one_tissue_out_factors(
    likelihoods: Sequence[FactorLikelihood], n_donors: int, tissues: Iterable[int]
) -> list[Array]:
    """Return, for each of ``tissues``, its donors' posterior mean factors (n, K) without it.

    All other blocks are used. Factors that are regressed on a tissue must not be estimated from
    it, or the regression would fit the tissue's noise.
    """
    precision, weighted_mean = sum_likelihoods(likelihoods, n_donors, likelihoods[0][1].shape[0])
    factors = []
    for t in tissues:
        donor, block_precision, block_mean = likelihoods[t]
        rest_mean = (weighted_mean[donor] - block_mean)[..., None]
        without = np.linalg.solve(precision[donor] - block_precision, rest_mean)
        factors.append(np.asarray(without[..., 0], dtype=np.float64))
    return factors
