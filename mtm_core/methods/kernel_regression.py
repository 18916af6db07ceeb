"""Kernel ridge regression of factors on their linear estimate, for each source tissue.

Shapes: T tissues, K factors, M landmark points, N samples.
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

    Nystroem's approximation with M landmark points: the estimate is ``k(linear, points) @
    coefficients``, where k is the Gaussian kernel.

    Attributes
    ----------
    points
        Standard normal points (M, K), the same for every source.
    centre, root
        Mean (T, K) and Cholesky factor (T, K, K) of the covariance of the linear estimates from
        each source. The landmark points of a source are ``centre + points root'``.
    coefficients
        Coefficients (T, M, K); all 0 for a source whose linear estimates are used unchanged.
    width
        Rate of the kernel ``exp(-width |a - b|^2)``: the larger, the narrower.
    """

    points: Array
    centre: Array
    root: Array
    coefficients: Array
    width: float

    @classmethod
    def unfitted(cls, points: Array, n_tissues: int, width: float) -> KernelRegression:
        """Return a regression with coefficients of 0, to be fitted for each source in place."""
        n_points, n_factors = points.shape
        return cls(
            points,
            np.zeros((n_tissues, n_factors)),
            np.zeros((n_tissues, n_factors, n_factors)),
            np.zeros((n_tissues, n_points, n_factors)),
            width,
        )

    def check(self, n_tissues: int, n_factors: int) -> None:
        """Check the shapes of a regression read from disk.

        Raises
        ------
        ValueError
            If one is not that of T tissues and K factors.
        """
        n_points = len(self.points)
        check_shape("points", self.points, (n_points, n_factors))
        check_shape("centre", self.centre, (n_tissues, n_factors))
        check_shape("root", self.root, (n_tissues, n_factors, n_factors))
        check_shape("coefficients", self.coefficients, (n_tissues, n_points, n_factors))

    def __call__(self, source: int, linear: Array) -> Array:
        """Return factors (N, K), given their linear estimates (N, K) from tissue ``source``."""
        if not self.coefficients[source].any():
            return linear
        kernel = gaussian_kernel(linear, self._landmarks(source), self.width)
        factors: Array = kernel @ self.coefficients[source]
        return factors

    def fit(self, source: int, linear: Array, factors: Array, ridge: float) -> None:
        """Fit the coefficients of ``source``, in place.

        Parameters
        ----------
        linear
            Linear estimates (n, K) of the training donors' factors from ``source``.
        factors
            Factors (n, K) to predict.
        ridge
            Ridge penalty.
        """
        spread = np.cov(linear.T) + _JITTER * np.eye(linear.shape[1])
        self.centre[source], self.root[source] = linear.mean(axis=0), np.linalg.cholesky(spread)
        landmarks = self._landmarks(source)
        features = gaussian_kernel(linear, landmarks, self.width)
        among_landmarks = gaussian_kernel(landmarks, landmarks, self.width)
        penalty = ridge * (among_landmarks + _JITTER * np.eye(len(landmarks)))
        self.coefficients[source] = np.linalg.solve(
            features.T @ features + penalty, features.T @ factors
        )

    def _landmarks(self, source: int) -> Array:
        """Return the landmark points (M, K) of ``source``."""
        landmarks: Array = self.centre[source] + self.points @ self.root[source].T
        return landmarks


@dataclass(frozen=True)
class KernelShape:
    """Hyperparameters of :class:`KernelRegression`: the kernel's rate ``width``, and ``ridge``."""

    width: float
    ridge: float


def gaussian_kernel(a: Array, b: Array, width: float) -> Array:
    """Return the kernel matrix (N, M), ``exp(-width |a - b|^2)`` for rows of (N, K) and (M, K)."""
    kernel: Array = np.exp(-width * cdist(a, b, "sqeuclidean"))
    return kernel
