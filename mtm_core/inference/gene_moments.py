"""Mean and spread of each gene over samples. Shapes: N samples, G genes of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtm_core.config import ExpressionScale
from mtm_core.data.cohort.scaling import to_scale


@dataclass(frozen=True)
class GeneMoments:
    """Mean and spread of each gene over samples, which can be joined part by part.

    Attributes
    ----------
    n
        Samples.
    mean, squares
        (G,) float64: mean, and sum of squared differences from it, on the scaler's scale.
    low, high
        (G,) least and greatest value.
    """

    n: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @classmethod
    def of(cls, expression: NDArray[np.float32], scale: ExpressionScale) -> GeneMoments:
        """Take the moments of ``expression`` (N, G), linear, on ``scale``."""
        return cls.of_values(to_scale(expression, scale))

    @classmethod
    def of_values(cls, values: NDArray[np.float32]) -> GeneMoments:
        """Take the moments of ``values`` (N, G), which are on the scale already."""
        low, high = values.min(axis=0), values.max(axis=0)
        exact = values.astype(np.float64)
        mean = exact.mean(axis=0)
        return cls(len(values), mean, ((exact - mean) ** 2).sum(axis=0), low, high)

    def joined(self, other: GeneMoments) -> GeneMoments:
        """Return the moments of the samples of both (Chan, Golub and LeVeque 1983)."""
        n, away = self.n + other.n, other.mean - self.mean
        return GeneMoments(
            n,
            self.mean + away * (other.n / n),
            self.squares + other.squares + away**2 * (self.n * other.n / n),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    @property
    def sd(self) -> NDArray[np.float64]:
        """Population SD (G,)."""
        return np.asarray(np.sqrt(self.squares / self.n))
