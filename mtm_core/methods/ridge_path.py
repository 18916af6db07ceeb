"""Ridge regression in the singular basis of its inputs, where every penalty is cheap.

Where inputs outnumber donors the basis comes from the donors' Gram matrix, and coefficients stay in
two factors.

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
"""Share of the largest eigenvalue of the Gram matrix below which a direction is rounding."""
_TINY = 1e-30


@dataclass(frozen=True)
class RidgePath:
    """Centred data in the singular basis of the inputs.

    Attributes
    ----------
    x_mean, y_mean
        (P,), (G,).
    left
        (n, R) left singular vectors.
    values
        (R,).
    basis
        (R, P).
    projected
        (R, G): the targets on the left singular vectors.
    wide
        Whether coefficients are to stay in two factors.
    """

    x_mean: Array
    y_mean: Array
    left: Array
    values: Array
    basis: NDArray[np.floating]
    projected: NDArray[np.floating]
    wide: bool

    @classmethod
    def of(cls, x: Floats, y: Floats) -> RidgePath:
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
        used[-1] = True  # of donors who are all alike there is one direction, of value 0
        left, values = left[:, used], np.sqrt(np.maximum(squares[used], _TINY))
        basis = (left / values).T.astype(np.float32) @ narrow
        projected = left.T.astype(np.float32) @ (y - y_mean.astype(np.float32))
        return cls(x_mean, y_mean, left, values, basis, projected, wide=True)

    def map(self, coefficients: NDArray[np.floating]) -> TargetModel:
        """Return the map that ``coefficients`` on the basis (R, G) are of."""
        if self.wide:
            left, right = self.basis.T.astype(np.float32), coefficients.astype(np.float32)
            intercept = self.y_mean - (self.x_mean @ left) @ right
            return FactoredMap(left, right, intercept.astype(np.float32))
        full = self.basis.T @ coefficients
        intercept = self.y_mean - self.x_mean @ full
        return LinearMap(full.astype(np.float32), intercept.astype(np.float32))
