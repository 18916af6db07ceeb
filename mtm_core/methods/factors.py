"""Factors that all tissues of a donor share: their model and their posterior.

The model itself is written out in :mod:`mtm_core.methods.joint_gaussian`; it is fitted in
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

LEAST_NOISE = 0.05
"""Floor of a gene's own variance, of 1: a noise of 0 would make one gene decide a factor."""
Stored = NDArray[Any]
"""Numbers of a model in the type they are held in: float64, float32 or bfloat16."""
Block = tuple[NDArray[np.int64], NDArray[np.floating]]
"""Donors (n,) who have a tissue, and their squashed z-scores (n, G)."""
FactorEvidence = tuple[NDArray[np.int64], Array, Array]
"""A tissue's evidence on factors: donors (n,), ``W' Psi^-1 W`` (K, K), ``Y Psi^-1 W`` (n, K)."""


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
    donors, rows
        Names of the D donors; by tissue, rows of its samples in the cohort. What is fitted by hand
        has neither.
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
        """G."""
        return int(self.samples[0][1].shape[1])

    @cached_property
    def grams(self) -> list[Array]:
        """Return ``Y diag(1 / v) Y'`` (n, n) of each tissue, v each gene's own variance.

        Made once, for all settings, sizes and inner folds.
        """
        return [gram_of_own(np.asarray(y, dtype=np.float32)) for _, y in self.samples]

    @property
    def blocks(self) -> list[Block]:
        """The tissues, and the covariates as a last block that every donor has."""
        return [*self.samples, (np.arange(self.n_donors), self.covariates)]


@dataclass(frozen=True)
class Factors:
    """One fitted factor model.

    Of few genes its arrays are float64. Of many they are float32, or as they are stored, and a
    tissue at a time is brought to float32 when it is used.

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

    loadings: Stored
    weights: Stored
    noise: Stored
    covariate_loadings: Array
    covariate_weights: Array

    def check(self, by_gene: tuple[int, ...], n_covariates: int) -> None:
        """Check that a saved model is one of T tissues, G genes and C covariates.

        Raises
        ------
        ValueError
            If sizes do not fit, or its factors have no posterior.
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
            shared = working(loadings).T @ working(weights)
            # All of them together then leave a precision that can be inverted.
            if np.linalg.eigvalsh(shared + shared.T).min() < -1 / len(blocks):
                raise ValueError("loadings and weights of the factors do not go together")

    def accumulate(self, training: TrainingDonors) -> tuple[Array, Array]:
        """Return precision (D, K, K) and precision times mean (D, K), by all that donors show."""
        return gather(self.evidence(training), training.n_donors, self.loadings.shape[-1])

    def evidence(self, training: TrainingDonors) -> list[FactorEvidence]:
        """Return the evidence of each tissue, and of the covariates at last, on donors' factors."""
        loadings = [*self.loadings, self.covariate_loadings]
        weights = [*self.weights, self.covariate_weights]
        return [
            (donor, working(w).T @ working(p), y @ working(p))
            for (donor, y), w, p in zip(training.blocks, loadings, weights, strict=True)
        ]

    def posterior(
        self, profiles: Mapping[int, NDArray[np.floating]], covariates: Array
    ) -> tuple[Array, Array]:
        """Return mean (N, K) and covariance (K, K) of the factors.

        Parameters
        ----------
        profiles
            Squashed z-scores (N, G) by tissue code.
        covariates
            (N, C), or (N, 0) where none are known.
        """
        precision = np.eye(self.loadings.shape[-1])
        projected: Array = np.zeros((len(covariates), len(precision)))
        for t, y in profiles.items():
            weights = working(self.weights[t])
            precision = precision + working(self.loadings[t]).T @ weights
            projected = projected + y.astype(weights.dtype, copy=False) @ weights
        if covariates.shape[1]:
            precision = precision + self.covariate_loadings.T @ self.covariate_weights
            projected = projected + covariates @ self.covariate_weights
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        mean: Array = projected @ covariance
        return mean, covariance


def mean_square(y: NDArray[np.float32]) -> Array:
    """Return the mean square (G,) of each gene of ``y`` (n, G)."""
    square: Array = np.einsum("ng,ng->g", y, y, dtype=np.float64) / max(len(y), 1)
    return square


def gram_of(y: NDArray[np.float32], own: Array) -> Array:
    """Return ``Y D^-1 Y'`` (n, n)."""
    scaled = y / np.sqrt(own).astype(np.float32)
    gram = np.asarray(scaled @ scaled.T, dtype=np.float64)
    symmetric: Array = (gram + gram.T) / 2
    return symmetric


def gram_of_own(y: NDArray[np.float32]) -> Array:
    """Return ``Y diag(1 / v) Y'`` (n, n), v each gene's own variance."""
    return gram_of(y, np.maximum(mean_square(y), LEAST_NOISE))


def working(array: Stored) -> NDArray[np.floating]:
    """Bring what is stored in two bytes a number to float32; all else stays as it is."""
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array


def squash(z: NDArray[np.floating], bound: float | None) -> Array:
    """Return ``bound tanh(z / bound)``, or ``z`` where there is no bound."""
    values = np.asarray(z, dtype=np.float64)
    return values if bound is None else bound * np.tanh(values / bound)


def squash_in_place(z: NDArray[np.float32], bound: float | None) -> NDArray[np.float32]:
    """Squash ``z`` as :func:`squash` does, in its own memory: a wide cohort's is large."""
    if bound is not None:
        z /= np.float32(bound)
        np.tanh(z, out=z)
        z *= np.float32(bound)
    return z


def gather(
    evidence: Iterable[FactorEvidence], n_donors: int, n_factors: int
) -> tuple[Array, Array]:
    """Add up the evidence of tissues on their donors' factors.

    Returns
    -------
    tuple
        Precision (D, K, K) and precision times mean (D, K) of every donor's factors.
    """
    precision = np.tile(np.eye(n_factors), (n_donors, 1, 1))
    projected = np.zeros((n_donors, n_factors))
    for donor, own_precision, own_projected in evidence:
        precision[donor] += own_precision
        projected[donor] += own_projected
    return precision, projected


def by_other_tissues(
    evidence: Sequence[FactorEvidence], n_donors: int, tissues: Iterable[int]
) -> list[Array]:
    """Return, for each of ``tissues``, the factors (n, K) of its donors by all but that tissue.

    By all tissues, a source that is regressed on them would be regressed on its own noise.
    """
    precision, projected = gather(evidence, n_donors, evidence[0][1].shape[0])
    found = []
    for t in tissues:
        donor, own_precision, own_projected = evidence[t]
        right = (projected[donor] - own_projected)[..., None]
        others = np.linalg.solve(precision[donor] - own_precision, right)
        found.append(np.asarray(others[..., 0], dtype=np.float64))
    return found
