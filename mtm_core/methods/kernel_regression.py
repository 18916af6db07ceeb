"""Kernel ridge regression of factors on their linear guess, for each source tissue.

Shapes: T tissues, K factors, M points, N samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from mtm_core.methods.factors import Array
from mtm_core.methods.protocol import check_shape

_JITTER = 1e-6


@dataclass(frozen=True)
class KernelRegression:
    """Kernel ridge regression of one model's factors, for each source tissue.

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

    def check(self, n_tissues: int, n_factors: int) -> None:
        """Check that a saved regression is of T tissues and K factors.

        Raises
        ------
        ValueError
            If it is not.
        """
        n_points = len(self.points)
        check_shape("points", self.points, (n_points, n_factors))
        check_shape("centre", self.centre, (n_tissues, n_factors))
        check_shape("root", self.root, (n_tissues, n_factors, n_factors))
        check_shape("coefficients", self.coefficients, (n_tissues, n_points, n_factors))

    def __call__(self, source: int, linear: Array) -> Array:
        """Return factors (N, K) for the linear guesses (N, K) from tissue ``source``."""
        if not self.coefficients[source].any():
            return linear
        own = self.centre[source] + self.points @ self.root[source].T
        factors: Array = gaussian_kernel(linear, own, self.width) @ self.coefficients[source]
        return factors

    def fit(self, source: int, linear: Array, wanted: Array, ridge: float) -> None:
        """Regress ``wanted`` (n, K) on ``linear`` (n, K), the guesses from ``source``."""
        spread = np.cov(linear.T) + _JITTER * np.eye(linear.shape[1])
        self.centre[source], self.root[source] = linear.mean(axis=0), np.linalg.cholesky(spread)
        own = self.centre[source] + self.points @ self.root[source].T
        features = gaussian_kernel(linear, own, self.width)
        penalty = ridge * (gaussian_kernel(own, own, self.width) + _JITTER * np.eye(len(own)))
        self.coefficients[source] = np.linalg.solve(
            features.T @ features + penalty, features.T @ wanted
        )


@dataclass(frozen=True)
class KernelShape:
    """Width of the kernel, in the units of the factors, and ridge of the kernel regression."""

    width: float
    ridge: float


def gaussian_kernel(a: Array, b: Array, width: float) -> Array:
    """Return ``exp(-width |a - b|^2)`` of every row (N, K) with every row (M, K): (N, M)."""
    kernel: Array = np.exp(-width * cdist(a, b, "sqeuclidean"))
    return kernel
