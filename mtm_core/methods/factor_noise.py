"""EM for one block of a factor model, in the space of its genes or of its samples.

A tissue has n samples with factors Z (n, K), summed posterior covariance C (K, K) and z-scores
Y (n, G). The E step needs its likelihood of the factors, ``W' Psi^-1 W`` and ``Y Psi^-1 W``. The
M step fits loadings and noise to new factors:

    ``W' = A Y``,  ``A = H^-1 Z'``,  ``H = P + ridge I``,  ``P = Z'Z + C``,
    ``Psi = D + s R``,  ``s = n / (n + shrinkage)``,

where R holds the residual covariances, without its diagonal. :class:`GeneSpaceBlock` stores
``Psi`` (G, G), which suits fewer genes than samples. :class:`SampleSpaceBlock` stores nothing of
size G x G. The residual covariance has rank n at most: with d its diagonal and
``D = max(d, floor) - s d``,

    ``Psi = D + Y' S Y``,  ``S = c (I + Z L Z')``,  ``c = s / n``,  ``L = H^-1 P H^-1 - 2 H^-1``.

Applying Woodbury's identity twice, with ``M = Y D^-1 Y'`` (n, n) and ``T = M (I + c M)^-1``,

    ``Y Psi^-1 W    = T Z U H^-1``,             ``U = (I + c L Z'TZ)^-1``,
    ``W' Psi^-1 W   = H^-1 Z'T Z U H^-1``,
    ``Psi^-1 W      = D^-1 Y' (I - c T) Z U H^-1``.

So a step costs n x n x K whatever G is; M and T are recomputed only when D changes.

Shapes: n samples of the tissue, G genes, K factors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from mtm_core.methods.factors import (
    NOISE_FLOOR,
    Array,
    Block,
    mean_square,
    scaled_gram,
    variance_scaled_gram,
)

_NEGLIGIBLE = 1e-6
"""Eigenvalues of a Gram matrix below this share of the largest are treated as rounding errors."""


class EMBlock(Protocol):
    """One block of the factor model, a tissue or the covariates, as EM sees it.

    Attributes
    ----------
    donor
        Donors (n,) observed in the block, each once.
    precision
        ``W' Psi^-1 W`` (K, K), the precision of the block's likelihood of the factors.
    weighted_mean
        ``Y Psi^-1 W`` (n, K), the precision-weighted means of that likelihood.
    """

    donor: NDArray[np.int64]
    precision: Array
    weighted_mean: Array

    @property
    def loading_coefficients(self) -> Array:
        """``A'`` (n, K), which gives the loadings as ``W = Y' A'``."""
        ...

    def maximise(self, factors: Array, covariance: Array, *, refit_noise: bool) -> None:
        """Take the M step: fit loadings and noise.

        Parameters
        ----------
        factors
            Posterior mean of the factors (n, K).
        covariance
            Posterior covariance (K, K), summed over the n donors.
        refit_noise
            Whether a block that holds its diagonal noise fixed should fit it again.
        """
        ...


class FittedBlock(EMBlock, Protocol):
    """A block whose loadings, weights and noise can be computed gene by gene."""

    def loadings(self) -> tuple[NDArray[np.floating], NDArray[np.floating], Array]:
        """Return ``W`` (G, K), ``Psi^-1 W`` (G, K), and the diagonal of ``Psi`` (G,)."""
        ...


class GeneSpaceBlock:
    """A block with its full noise covariance (G, G).

    Parameters
    ----------
    block
        Donors (n,) and their values (n, G).
    initial_loadings
        Loadings (G, K) to start from.
    ridge, shrinkage
        See :class:`~mtm_core.methods.factors.FactorSettings`.
    """

    def __init__(
        self, block: Block, initial_loadings: Array, ridge: float, shrinkage: float
    ) -> None:
        self.donor, y = block
        self._y = np.asarray(y, dtype=np.float64)
        self._ridge, self._shrinkage = ridge, shrinkage
        self._set(initial_loadings, np.eye(len(initial_loadings)), initial_loadings)

    def maximise(self, factors: Array, covariance: Array, *, refit_noise: bool) -> None:
        """Fit loadings and noise; here the diagonal noise is fitted at every step."""
        y, n = self._y, len(self._y)
        second_moment = factors.T @ factors + covariance
        penalised = second_moment + self._ridge * np.eye(len(second_moment))
        loadings: Array = _solve(penalised, factors.T @ y).T
        self._loading_coefficients = _solve(penalised, factors.T).T
        residual = y - factors @ loadings.T
        noise = (residual.T @ residual + loadings @ covariance @ loadings.T) / max(n, 1)
        diagonal = np.maximum(np.diagonal(noise), NOISE_FLOOR)
        noise = noise * (n / (n + self._shrinkage))
        np.fill_diagonal(noise, diagonal)
        self._set(loadings, noise, _solve(noise, loadings))

    @property
    def loading_coefficients(self) -> Array:
        """``A'`` (n, K), which gives the loadings as ``W = Y' A'``."""
        return self._loading_coefficients

    def loadings(self) -> tuple[Array, Array, Array]:
        """Return ``W`` (G, K), ``Psi^-1 W`` (G, K), and the diagonal of ``Psi`` (G,)."""
        return self._loadings, self._weights, np.diagonal(self._noise)

    def _set(self, loadings: Array, noise: Array, weights: Array) -> None:
        self._loadings, self._noise, self._weights = loadings, noise, weights
        self.precision: Array = loadings.T @ weights
        self.weighted_mean: Array = self._y @ weights


class GramBlock:
    """EM for a tissue from the Gram matrix of its samples alone.

    Parameters
    ----------
    donor
        Donors (n,) of the tissue.
    multiply
        Function that returns ``T Z`` for Z (n, K).
    likelihood
        Initial precision (K, K) and precision-weighted means (n, K). ``None`` if EM starts from
        factors, which are then passed to :meth:`maximise`.
    ridge, shrinkage
        See :class:`~mtm_core.methods.factors.FactorSettings`.

    Attributes
    ----------
    s, c
        Weights of the noise correlations, as above.
    factors, second_moment, h_inverse
        Z (n, K), P and H^-1 (K, K) of the last M step.
    """

    def __init__(
        self,
        donor: NDArray[np.int64],
        multiply: Callable[[Array], Array],
        likelihood: tuple[Array, Array] | None,
        ridge: float,
        shrinkage: float,
    ) -> None:
        self.donor, self._multiply, self.ridge = donor, multiply, ridge
        if likelihood is not None:
            self.precision, self.weighted_mean = likelihood
        self.s, self.c = correlation_weight(len(donor), shrinkage)

    def maximise(self, factors: Array, covariance: Array, *, refit_noise: bool) -> None:
        """Fit loadings and noise correlations; with ``refit_noise`` the diagonal noise, too."""
        self.factors, self.second_moment = factors, factors.T @ factors + covariance
        if refit_noise:
            self.refit_noise()
        identity = np.eye(len(covariance))
        self.h_inverse = np.linalg.inv(self.second_moment + self.ridge * identity)
        low_rank = self.h_inverse @ self.second_moment @ self.h_inverse - 2 * self.h_inverse
        self._tz = self._multiply(factors)
        ztz = factors.T @ self._tz
        self._u_h_inverse = np.linalg.solve(identity + self.c * low_rank @ ztz, self.h_inverse)
        precision = self.h_inverse @ ztz @ self._u_h_inverse
        self.precision = (precision + precision.T) / 2
        self.weighted_mean = self._tz @ self._u_h_inverse

    def refit_noise(self) -> None:
        """Fit the diagonal noise again; from a Gram matrix alone this cannot be done."""

    @property
    def weight_coefficients(self) -> Array:
        """(n, K) matrix B with ``Psi^-1 W = D^-1 Y' B``."""
        b: Array = (self.factors - self.c * self._tz) @ self._u_h_inverse
        return b

    @property
    def loading_coefficients(self) -> Array:
        """``A'`` (n, K), which gives the loadings as ``W = Y' A'``."""
        a: Array = self.factors @ self.h_inverse
        return a


class GramEigenbasis:
    """Eigenvectors of a Gram matrix ``Y diag(1 / v) Y'`` (n, n), v the variances of the genes.

    While the noise is that of genes without factors, ``D = (1 - s) v``, M and T have these
    eigenvectors for every shrinkage, and only their eigenvalues change.
    """

    def __init__(self, gram: Array) -> None:
        values, vectors = np.linalg.eigh(gram)
        used = values > _NEGLIGIBLE * max(values.max(initial=0.0), 1.0)
        self._values, self._vectors = values[used], vectors[:, used]

    def whitened_gram(self, shrinkage: float) -> Array:
        """Return ``T = Y (D + c Y'Y)^-1 Y'`` (n, n), the Gram matrix of whitened samples."""
        t: Array = (self._vectors * self._eigenvalues(shrinkage)) @ self._vectors.T
        return t

    def _eigenvalues(self, shrinkage: float) -> Array:
        """Return the eigenvalues of T."""
        s, c = correlation_weight(len(self._vectors), shrinkage)
        of_m = self._values / (1 - s)
        of_t: Array = of_m / (1 + c * of_m)
        return of_t

    def multiplier(self, shrinkage: float) -> Callable[[Array], Array]:
        """Return the function that maps Z (n, K) to ``T Z``."""
        eigenvalues = self._eigenvalues(shrinkage)[:, None]

        def multiply(factors: Array) -> Array:
            product: Array = self._vectors @ (eigenvalues * (self._vectors.T @ factors))
            return product

        return multiply


class SampleSpaceBlock(GramBlock):
    """A tissue with more genes than samples.

    Arrays over genes are float32, arrays over samples float64. The diagonal noise starts at each
    gene's own variance, so that all models of a tissue can share one ``basis``.

    Parameters
    ----------
    block
        Donors (n,) and their z-scores (n, G).
    initial_loadings
        Loadings (G, K) to start from. ``None`` if EM starts from factors, which are then passed to
        :meth:`maximise`.
    ridge, shrinkage
        See :class:`~mtm_core.methods.factors.FactorSettings`.
    basis
        Eigenvectors of the tissue's Gram matrix; by default they are computed.
    """

    def __init__(
        self,
        block: Block,
        initial_loadings: Array | None,
        ridge: float,
        shrinkage: float,
        basis: GramEigenbasis | None = None,
    ) -> None:
        donor, y = block
        self._y = np.ascontiguousarray(y, dtype=np.float32)
        likelihood = None
        if initial_loadings is not None:
            mean = np.asarray(self._y @ initial_loadings.astype(np.float32), dtype=np.float64)
            likelihood = (initial_loadings.T @ initial_loadings, mean)
        basis = basis or GramEigenbasis(variance_scaled_gram(self._y))
        super().__init__(donor, basis.multiplier(shrinkage), likelihood, ridge, shrinkage)
        self._square = mean_square(self._y)
        self._diagonal: Array = np.maximum(self._square, NOISE_FLOOR) * (1 - self.s)

    def refit_noise(self) -> None:
        """Fit the diagonal noise D again, and with it M and T."""
        self._diagonal = diagonal_noise(self._residual_square(), self.s)
        m = scaled_gram(self._y, self._diagonal)
        t: Array = linalg.solve(np.eye(len(m)) + self.c * m, m, assume_a="pos")
        self._multiply = lambda z: t @ z

    def loadings(self) -> tuple[NDArray[np.floating], NDArray[np.floating], Array]:
        """Return ``W`` and ``Psi^-1 W`` (G, K) in float32, and the diagonal of ``Psi`` (G,)."""
        loadings = self._y.T @ self.loading_coefficients.astype(np.float32)
        weights = self._y.T @ self.weight_coefficients.astype(np.float32)
        weights /= self._diagonal[:, None].astype(np.float32)
        return loadings, weights, np.maximum(self._residual_square(), NOISE_FLOOR)

    def _residual_square(self) -> Array:
        """Return the expected mean square (G,) of the residuals under the factors' posterior."""
        crossed = np.asarray(self.factors.astype(np.float32).T @ self._y, dtype=np.float64)
        penalised = self.second_moment + self.ridge * np.eye(len(self.second_moment))
        w = np.linalg.solve(penalised, crossed)
        fitted = -2 * (crossed * w).sum(axis=0) + (w * (self.second_moment @ w)).sum(axis=0)
        square: Array = self._square + fitted / max(len(self._y), 1)
        return square


def correlation_weight(n: int, shrinkage: float) -> tuple[float, float]:
    """Return ``s = n / (n + shrinkage)`` and ``c = s / n`` for n samples; c is 0 for none."""
    s = n / (n + shrinkage)
    return s, s / max(n, 1)


def diagonal_noise(residual_square: Array, s: float) -> Array:
    """Return D (G,), given the diagonal (G,) of the residual covariance."""
    noise: Array = np.maximum(residual_square, NOISE_FLOOR) - s * residual_square
    return noise


def _solve(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> Array:
    return np.asarray(np.linalg.solve(a, b), dtype=np.float64)
