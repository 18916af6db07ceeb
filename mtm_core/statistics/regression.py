"""Residuals of many columns after a few covariates are regressed out.

Shapes: N rows, G columns, C covariates. Checked against ``statsmodels`` column by column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_DEPENDENT = 1e-10
"""Singular values of the design below this share of the largest are treated as 0."""
_ROUNDING = 10
"""Residuals below this many units of rounding error of a column are treated as 0."""


def orthonormal_basis(design: ArrayLike) -> Array:
    """Return an orthonormal basis (N, rank) of the columns of ``design`` (N, C).

    Linearly dependent covariates add no column, so that residuals have N - rank degrees of freedom.
    """
    left, size, _ = np.linalg.svd(np.asarray(design, dtype=np.float64), full_matrices=False)
    return np.asarray(left[:, size > _DEPENDENT * size.max(initial=0)])


def residuals(values: NDArray[np.floating], basis: Array) -> Array:
    """Return the least-squares residuals (N, G) of many columns.

    The residuals of a column that lies in the basis up to rounding error are exactly 0, so that
    rounding errors are not correlated later.

    Parameters
    ----------
    values
        Columns (N, G), in the precision in which they were computed: it determines what counts as
        rounding error.
    basis
        Result of :func:`orthonormal_basis`.
    """
    y = np.asarray(values, dtype=np.float64)
    residual = y - basis @ (basis.T @ y)
    size = np.abs(y).max(axis=0, initial=0)
    rounding = _ROUNDING * np.finfo(values.dtype).eps * np.sqrt(len(y)) * size
    return np.asarray(np.where(np.sqrt((residual**2).sum(axis=0)) <= rounding, 0, residual))
