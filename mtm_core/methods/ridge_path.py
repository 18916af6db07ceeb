"""Ridge regression in the singular basis of the inputs, in which every penalty is cheap.

With many inputs the basis is computed from the Gram matrix of the donors, and coefficients remain
in two factors.

Shapes: n donors, P inputs, G genes, R singular values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.by_target import FactoredMap, LinearMap, TargetModel, is_wide
from mtm_core.methods.protocol import Floats

Array = NDArray[np.float64]

PENALTIES: Array = np.logspace(0, 5, 21)
_NEGLIGIBLE = 1e-9
"""Eigenvalues of the Gram matrix below this share of the largest are rounding errors."""
_TINY = 1e-30


@dataclass(frozen=True)
class RidgePath:
    """Singular value decomposition of centred inputs, with the targets projected on it.

    Attributes
    ----------
    x_mean, y_mean
        Means of the inputs (P,) and of the targets (G,).
    left
        Left singular vectors (n, R) of the centred inputs.
    values
        Singular values (R,).
    basis
        Right singular vectors (R, P), as rows.
    projected
        Centred targets projected on the left singular vectors (R, G).
    wide
        Whether coefficients remain in two factors.
    """

    x_mean: Array
    y_mean: Array
    left: Array
    values: Array
    basis: NDArray[np.floating]
    projected: NDArray[np.floating]
    wide: bool

    @classmethod
    def from_data(cls, x: Floats, y: Floats) -> RidgePath:
        """Decompose ``x`` (n, P) and project ``y`` (n, G)."""
        x_mean, y_mean = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
        if not is_wide(x):
            centred = x.astype(np.float64) - x_mean
            left, values, basis = np.linalg.svd(centred, full_matrices=False)
            projected = left.T @ (y.astype(np.float64) - y_mean)
            return cls(x_mean, y_mean, left, values, basis, projected, wide=False)
        narrow = x - x_mean.astype(np.float32)
        squares, left = np.linalg.eigh((narrow @ narrow.T).astype(np.float64))
        used = squares > _NEGLIGIBLE * squares[-1]
        used[-1] = True  # identical donors have one direction, with singular value 0
        left, values = left[:, used], np.sqrt(np.maximum(squares[used], _TINY))
        basis = (left / values).T.astype(np.float32) @ narrow
        projected = left.T.astype(np.float32) @ (y - y_mean.astype(np.float32))
        return cls(x_mean, y_mean, left, values, basis, projected, wide=True)

    def map(self, coefficients: NDArray[np.floating]) -> TargetModel:
        """Return the map of ``coefficients`` (R, G) on the basis, with its intercept."""
        if self.wide:
            left, right = self.basis.T.astype(np.float32), coefficients.astype(np.float32)
            intercept = self.y_mean - (self.x_mean @ left) @ right
            return FactoredMap(left, right, intercept.astype(np.float32))
        full = self.basis.T @ coefficients
        intercept = self.y_mean - self.x_mean @ full
        return LinearMap(full.astype(np.float32), intercept.astype(np.float32))
