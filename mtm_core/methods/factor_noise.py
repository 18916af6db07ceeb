"""A tissue's part of the factor model, in the space of its genes or of its samples.

Tissue t has n samples with factors Z (n, K), summed posterior covariance C (K, K) and z-scores
Y (n, G). EM asks it what it tells of its donors' factors, ``W' Psi^-1 W`` and ``Y Psi^-1 W``, and
gives it new factors, to which it fits

    ``W' = A Y``,  ``A = H^-1 Z'``,  ``H = P + ridge I``,  ``P = Z'Z + C``,
    ``Psi = D + s R``,  ``s = n / (n + shrinkage)``,

R being the residuals' covariance, off its diagonal. :class:`GeneSpace` holds ``Psi`` (G, G): right
where there are fewer genes than samples. :class:`SampleSpace` holds nothing of size G x G. The
residuals' covariance has rank n at most: with d its diagonal and ``D = max(d, floor) - s d``,

    ``Psi = D + Y' S Y``,  ``S = c (I + Z L Z')``,  ``c = s / n``,  ``L = H^-1 P H^-1 - 2 H^-1``.

Woodbury's identity, twice, leaves of ``M = Y D^-1 Y'`` (n, n) and ``T = M (I + c M)^-1``

    ``Y Psi^-1 W    = T Z U H^-1``,             ``U = (I + c L Z'TZ)^-1``,
    ``W' Psi^-1 W   = H^-1 Z'T Z U H^-1``,
    ``Psi^-1 W      = D^-1 Y' (I - c T) Z U H^-1``.

A step then costs n x n x K whatever G is; M and T are made anew only when D is.

Shapes: n samples of the tissue, G genes, K factors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from mtm_core.methods.factors import (
    LEAST_NOISE,
    Array,
    Block,
    gram_of,
    gram_of_own,
    mean_square,
)

_NEGLIGIBLE = 1e-6
"""Share of the largest eigenvalue of a Gram matrix below which a direction is rounding."""


class Steps(Protocol):
    """What a step of EM asks of a tissue.

    Attributes
    ----------
    donor
        (n,) who have the tissue, each once.
    precision
        (K, K): ``W' Psi^-1 W``.
    projected
        (n, K): ``Y Psi^-1 W``.
    """

    donor: NDArray[np.int64]
    precision: Array
    projected: Array

    @property
    def coefficients(self) -> Array:
        """(n, K): ``A'``, which ``Y'`` brings to the loadings ``W``."""
        ...

    def maximise(self, factors: Array, spread: Array, *, renew: bool) -> None:
        """Fit loadings and noise to factors (n, K) and their summed covariance (K, K).

        ``renew`` asks a part that keeps its diagonal noise from step to step to fit it anew.
        """
        ...


class TissuePart(Steps, Protocol):
    """A tissue that gives what was fitted, gene by gene."""

    def loadings(self) -> tuple[NDArray[np.floating], NDArray[np.floating], Array]:
        """Return ``W`` and ``Psi^-1 W`` (G, K), and the diagonal of ``Psi`` (G,)."""
        ...


class GeneSpace:
    """A tissue with its full noise (G, G)."""

    def __init__(self, block: Block, start: Array, ridge: float, shrinkage: float) -> None:
        self.donor, y = block
        self._y = np.asarray(y, dtype=np.float64)
        self._ridge, self._shrinkage = ridge, shrinkage
        self._tell(start, np.eye(len(start)), start)

    def maximise(self, factors: Array, spread: Array, *, renew: bool) -> None:
        """Fit loadings and noise; the diagonal is fitted anew at every step."""
        y, n = self._y, len(self._y)
        second = factors.T @ factors + spread
        penalised = second + self._ridge * np.eye(len(second))
        loadings: Array = _solve(penalised, factors.T @ y).T
        self._coefficients = _solve(penalised, factors.T).T
        residual = y - factors @ loadings.T
        noise = (residual.T @ residual + loadings @ spread @ loadings.T) / max(n, 1)
        diagonal = np.maximum(np.diagonal(noise), LEAST_NOISE)
        noise = noise * (n / (n + self._shrinkage))
        np.fill_diagonal(noise, diagonal)
        self._tell(loadings, noise, _solve(noise, loadings))

    @property
    def coefficients(self) -> Array:
        """(n, K): ``A'``."""
        return self._coefficients

    def loadings(self) -> tuple[Array, Array, Array]:
        """Return what was fitted."""
        return self._loadings, self._weights, np.diagonal(self._noise)

    def _tell(self, loadings: Array, noise: Array, weights: Array) -> None:
        self._loadings, self._noise, self._weights = loadings, noise, weights
        self.precision: Array = loadings.T @ weights
        self.projected: Array = self._y @ weights


class SampleSteps:
    """The steps of EM in the space of samples.

    Parameters
    ----------
    donor
        (n,) of the tissue.
    apply
        Gives ``T Z`` for Z (n, K).
    evidence
        Precision and projections to begin with; ``None`` if it begins with factors, given to
        :meth:`maximise`.
    """

    def __init__(
        self,
        donor: NDArray[np.int64],
        apply: Callable[[Array], Array],
        evidence: tuple[Array, Array] | None,
        ridge: float,
        shrinkage: float,
    ) -> None:
        self.donor, self._apply, self.ridge = donor, apply, ridge
        if evidence is not None:
            self.precision, self.projected = evidence
        self.share, self.c = sharing(len(donor), shrinkage)

    def maximise(self, factors: Array, spread: Array, *, renew: bool) -> None:
        """Fit loadings and noise; ``renew`` asks for the diagonal noise, too."""
        self.factors, self.second = factors, factors.T @ factors + spread
        if renew:
            self.renew()
        unit = np.eye(len(spread))
        self.inverse = np.linalg.inv(self.second + self.ridge * unit)
        low_rank = self.inverse @ self.second @ self.inverse - 2 * self.inverse
        self._through = self._apply(factors)
        inner = factors.T @ self._through
        self._right = np.linalg.solve(unit + self.c * low_rank @ inner, self.inverse)
        precision = self.inverse @ inner @ self._right
        self.precision = (precision + precision.T) / 2
        self.projected = self._through @ self._right

    def renew(self) -> None:
        """Fit the diagonal noise anew; here it stays."""

    @property
    def left(self) -> Array:
        """(n, K), which ``D^-1 Y'`` brings to the weights ``Psi^-1 W``."""
        left: Array = (self.factors - self.c * self._through) @ self._right
        return left

    @property
    def coefficients(self) -> Array:
        """(n, K): ``A'``, which ``Y'`` brings to the loadings ``W``."""
        coefficients: Array = self.factors @ self.inverse
        return coefficients


class GramBasis:
    """The Gram matrix ``Y diag(1 / v) Y'`` of some samples, v each gene's own variance.

    In its eigenvectors M and T are at hand for every setting: D is v times what is not shared.
    """

    def __init__(self, gram: Array) -> None:
        values, vectors = np.linalg.eigh(gram)
        used = values > _NEGLIGIBLE * max(values.max(initial=0.0), 1.0)
        self._values, self._vectors = values[used], vectors[:, used]

    def likeness(self, shrinkage: float) -> Array:
        """Return T (n, n)."""
        likeness: Array = (self._vectors * self._through(shrinkage)) @ self._vectors.T
        return likeness

    def _through(self, shrinkage: float) -> Array:
        share, c = sharing(len(self._vectors), shrinkage)
        values = self._values / (1 - share)
        through: Array = values / (1 + c * values)
        return through

    def apply(self, shrinkage: float) -> Callable[[Array], Array]:
        """Return what brings Z (n, K) to ``T Z``."""
        through = self._through(shrinkage)[:, None]

        def apply(factors: Array) -> Array:
            applied: Array = self._vectors @ (through * (self._vectors.T @ factors))
            return applied

        return apply


class SampleSpace(SampleSteps):
    """A tissue of more genes than samples; gene-sized work is in float32, n-sized in float64.

    Diagonal noise begins at each gene's own variance, as in ``basis``; so all models of a tissue
    can begin with the same.
    """

    def __init__(
        self,
        block: Block,
        start: Array | None,
        ridge: float,
        shrinkage: float,
        basis: GramBasis | None = None,
    ) -> None:
        donor, y = block
        self._y = np.ascontiguousarray(y, dtype=np.float32)
        evidence = None
        if start is not None:
            projected = np.asarray(self._y @ start.astype(np.float32), dtype=np.float64)
            evidence = (start.T @ start, projected)
        basis = basis or GramBasis(gram_of_own(self._y))
        super().__init__(donor, basis.apply(shrinkage), evidence, ridge, shrinkage)
        self._square = mean_square(self._y)
        self._own: Array = np.maximum(self._square, LEAST_NOISE) * (1 - self.share)

    def renew(self) -> None:
        """Fit the diagonal noise anew, and with it M and T."""
        self._own = own_noise(self._residual_square(), self.share)
        gram = gram_of(self._y, self._own)
        t: Array = linalg.solve(np.eye(len(gram)) + self.c * gram, gram, assume_a="pos")
        self._apply = lambda z: t @ z

    def loadings(self) -> tuple[NDArray[np.floating], NDArray[np.floating], Array]:
        """Bring loadings and weights to genes, in float32."""
        loadings = self._y.T @ self.coefficients.astype(np.float32)
        weights = self._y.T @ self.left.astype(np.float32)
        weights /= self._own[:, None].astype(np.float32)
        return loadings, weights, np.maximum(self._residual_square(), LEAST_NOISE)

    def _residual_square(self) -> Array:
        """Return the mean square (G,) of what the loadings leave, with the factors' own spread."""
        crossed = np.asarray(self.factors.astype(np.float32).T @ self._y, dtype=np.float64)
        w = np.linalg.solve(self.second + self.ridge * np.eye(len(self.second)), crossed)
        fitted = -2 * (crossed * w).sum(axis=0) + (w * (self.second @ w)).sum(axis=0)
        square: Array = self._square + fitted / max(len(self._y), 1)
        return square


def sharing(n: int, shrinkage: float) -> tuple[float, float]:
    """Return s and c = s / n of a tissue of n samples; 0 where it has none."""
    share = n / (n + shrinkage)
    return share, share / max(n, 1)


def own_noise(square: Array, share: float) -> Array:
    """Return D (G,) of the diagonal (G,) of the residuals' covariance."""
    noise: Array = np.maximum(square, LEAST_NOISE) - share * square
    return noise


def _solve(a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> Array:
    return np.asarray(np.linalg.solve(a, b), dtype=np.float64)
