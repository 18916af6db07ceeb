"""Reduced-rank ridge regression: all genes of a target depend on a few directions of the source.

Mukherjee & Zhu 2011, Statistical Analysis and Data Mining 4:612-622. With the ridge solution
``B = (X'X + lambda I)^-1 X'Y``, the solution of rank r to the same penalised loss is ``B V V'``,
where V are the first r right singular vectors of the fitted values of the augmented data.

Shapes: n donors, P inputs, G genes, R = min(n, P) singular values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.methods.by_target import FittedByTarget, TargetModel, TrainingPairs
from mtm_core.methods.protocol import Floats
from mtm_core.methods.ridge_path import PENALTIES, RidgePath
from mtm_core.methods.table import MethodRequest

Array = NDArray[np.float64]

_NEGLIGIBLE = 1e-12
_TINY = 1e-300


@dataclass(frozen=True)
class ReducedRankRidgeMethod:
    """Reduced-rank ridge for each target, with rank and penalty chosen by inner cross-validation.

    Attributes
    ----------
    source
        Tissue to predict from.
    n_folds
        Number of inner folds; at most the number of donors.
    seed
        Seed of the inner folds.
    scaling
        How expression is turned into z-scores.
    """

    source: str = "Whole Blood"
    n_folds: int = 5
    seed: int = 0
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "reduced-rank-ridge"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Fit each target on ``donors`` with source and target."""
        pairs = TrainingPairs.from_cohort(cohort, donors, source=self.source, scaling=self.scaling)
        return pairs.fit(self.name, self.fit_target)

    def fit_target(self, inputs: Floats, z: Floats) -> TargetModel:
        """Choose rank and penalty, and fit ``z`` (n, G) to ``inputs`` (n, P)."""
        order = np.random.default_rng(self.seed).permutation(len(inputs))
        folds = []
        for held in np.array_split(order, min(self.n_folds, len(inputs))):
            rest = np.setdiff1d(order, held)
            path = _RankedPath.from_path(RidgePath.from_data(inputs[rest], z[rest]))
            folds.append(path.errors(inputs[held], z[held]))
        # Folds of different sizes may reach different ranks.
        n_ranks = min(fold.shape[1] for fold in folds)
        errors = np.sum([fold[:, :n_ranks] for fold in folds], axis=0)
        best, rank = np.unravel_index(np.argmin(errors), errors.shape)
        return _RankedPath.from_path(RidgePath.from_data(inputs, z)).map(
            PENALTIES[best], int(rank) + 1
        )


@dataclass(frozen=True)
class _RankedPath:
    """A ridge path with the Gram matrix (R, R) of its projected targets.

    The directions V over genes are never computed. With the projected targets P and the diagonal
    ``f = values / sqrt(values^2 + penalty)``, the fitted values of the augmented data are
    ``f P = U s V'``. So U and s follow from ``f P P' f``, and ``V' = s^-1 U' f P``.
    """

    path: RidgePath
    gram: Array

    @classmethod
    def from_path(cls, path: RidgePath) -> _RankedPath:
        return cls(path, np.asarray(path.projected @ path.projected.T, dtype=np.float64))

    def _directions(self, penalty: float) -> tuple[Array, Array]:
        """Return the ridge factors (R,), and ``s^-1 U' f`` (min(R, G), R), which maps P to V'."""
        values = self.path.values
        fitted = values / np.sqrt(values**2 + penalty)
        squares, vectors = np.linalg.eigh(fitted[:, None] * self.gram * fitted)
        n_directions = min(self.path.projected.shape)
        order = np.argsort(-squares)[:n_directions]
        order = order[squares[order] > _NEGLIGIBLE * max(squares.max(initial=0.0), _TINY)]
        order = order if len(order) else np.argsort(-squares)[:1]
        singular = np.sqrt(np.maximum(squares[order], _TINY))
        return values / (values**2 + penalty), (vectors[:, order] / singular).T * fitted

    def errors(self, x: Floats, y: Floats) -> Array:
        """Return squared errors (penalties, ranks) on ``x`` and ``y``, up to a constant."""
        path = self.path
        on_basis = (x - path.x_mean) @ path.basis.T
        crossed = (y - path.y_mean) @ path.projected.T
        rows = []
        for penalty in PENALTIES:
            shrunk, directions = self._directions(penalty)
            predicted = (on_basis * shrunk) @ (self.gram @ directions.T)
            # Directions are orthonormal, so their contributions to the error add up.
            gain = predicted**2 - 2 * predicted * (crossed @ directions.T)
            rows.append(np.cumsum(gain.sum(axis=0)))
        # With a penalty that leaves fewer directions, further ranks change nothing.
        n_ranks = max(len(row) for row in rows)
        return np.stack([np.pad(row, (0, n_ranks - len(row)), mode="edge") for row in rows])

    def map(self, penalty: float, rank: int) -> TargetModel:
        shrunk, directions = self._directions(penalty)
        leading = directions[:rank]
        inner = shrunk[:, None] * (self.gram @ leading.T)
        return self.path.map(inner @ (leading @ self.path.projected))


def make(request: MethodRequest) -> ReducedRankRidgeMethod:
    """Make the listed method."""
    return ReducedRankRidgeMethod(request.source)
