"""Reduced-rank ridge: the targets' genes share a few directions of the source.

Mukherjee & Zhu 2011, Statistical Analysis and Data Mining 4:612-622. With the ridge solution
``B = (X'X + lambda I)^-1 X'Y``, the best of rank r in the same penalised loss is ``B V V'``, V the
first r right singular vectors of the fitted values of the augmented data.

Shapes: n donors, P inputs, G genes, R = min(n, P) singular values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.methods.by_target import FittedByTarget, LinearMap, TrainingPairs
from mtm_core.methods.protocol import Floats
from mtm_core.methods.ridge import PENALTIES

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ReducedRankRidgeMethod:
    """Reduced-rank ridge for each target, rank and penalty together by inner cross-validation.

    Attributes
    ----------
    n_folds
        Inner folds of donors; fewer where there are fewer donors.
    seed
        Of the inner folds.
    """

    source: str = "Whole Blood"
    n_folds: int = 5
    seed: int = 0
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "reduced-rank-ridge"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit on the pairs (source, target) of ``donors``."""
        pairs = TrainingPairs.of(cohort, donors, source=self.source, scaling=self.scaling)
        return pairs.fit(self.name, self.fit_target)

    def fit_target(self, inputs: Floats, z: Floats) -> LinearMap:
        """Choose rank and penalty, then fit ``z`` (n, G) to ``inputs`` (n, P) with them."""
        x, y = inputs.astype(np.float64), z.astype(np.float64)
        order = np.random.default_rng(self.seed).permutation(len(x))
        folds = []
        for held in np.array_split(order, min(self.n_folds, len(x))):
            rest = np.setdiff1d(order, held)
            folds.append(_RidgePath.of(x[rest], y[rest]).errors(x[held], y[held]))
        # Folds of unlike sizes may reach unlike ranks.
        n_ranks = min(fold.shape[1] for fold in folds)
        errors = np.sum([fold[:, :n_ranks] for fold in folds], axis=0)
        best, rank = np.unravel_index(np.argmin(errors), errors.shape)
        return _RidgePath.of(x, y).map(PENALTIES[best], int(rank) + 1)


@dataclass(frozen=True)
class _RidgePath:
    """Centred data in the singular basis of the inputs: every penalty is then cheap.

    ``x_mean`` (P,), ``y_mean`` (G,), ``values`` (R,), ``basis`` (R, P), ``projected`` (R, G), the
    targets on the left singular vectors.
    """

    x_mean: Array
    y_mean: Array
    values: Array
    basis: Array
    projected: Array

    @classmethod
    def of(cls, x: Array, y: Array) -> _RidgePath:
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        left, values, basis = np.linalg.svd(x - x_mean, full_matrices=False)
        return cls(x_mean, y_mean, values, basis, left.T @ (y - y_mean))

    def solve(self, penalty: float) -> tuple[Array, Array]:
        """Give ridge coefficients on the basis (R, G), and the directions V' (min(R, G), G)."""
        shrunk = self.values**2 + penalty
        coefficients = (self.values / shrunk)[:, None] * self.projected
        fitted = (self.values / np.sqrt(shrunk))[:, None] * self.projected
        directions = np.linalg.svd(fitted, full_matrices=False)[2]
        return coefficients, directions

    def errors(self, x: Array, y: Array) -> Array:
        """Give squared errors on ``x`` and ``y``: (penalties, ranks), up to one constant."""
        on_basis, centred = (x - self.x_mean) @ self.basis.T, y - self.y_mean
        rows = []
        for penalty in PENALTIES:
            coefficients, directions = self.solve(penalty)
            predicted = on_basis @ (coefficients @ directions.T)
            # Directions are orthonormal, so each adds its own share to the error.
            gain = predicted**2 - 2 * predicted * (centred @ directions.T)
            rows.append(np.cumsum(gain.sum(axis=0)))
        return np.stack(rows)

    def map(self, penalty: float, rank: int) -> LinearMap:
        coefficients, directions = self.solve(penalty)
        kept = directions[:rank]
        full = self.basis.T @ (coefficients @ kept.T) @ kept
        intercept = self.y_mean - self.x_mean @ full
        return LinearMap(full.astype(np.float32), intercept.astype(np.float32))
