"""What is left of many columns when a few covariates are regressed out of them.

Letters: N rows, G columns, C covariates. Checked against ``statsmodels`` column by column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_DEPENDENT = 1e-10
"""A direction of the design below this share of its largest is a combination of the others."""
_ROUNDING = 10
"""Residuals below this many units of rounding of a column's own size are rounding."""


def orthonormal_basis(design: ArrayLike) -> Array:
    """Return an orthonormal basis (N, rank) of the columns of ``design`` (N, C).

    Covariates that do not vary, or follow from others, add no column: N - rank degrees of freedom
    are left to residuals.
    """
    left, size, _ = np.linalg.svd(np.asarray(design, dtype=np.float64), full_matrices=False)
    return np.asarray(left[:, size > _DEPENDENT * size.max(initial=0)])


def residuals(values: NDArray[np.floating], basis: Array) -> Array:
    """Return the least-squares residuals (N, G) of the columns of ``values`` (N, G).

    A column that lies in the basis but for the rounding of its own type becomes 0 exactly, so that
    no correlation is taken of its rounding.

    Parameters
    ----------
    values
        The type they were computed in sets what counts as rounding.
    basis
        Result of :func:`orthonormal_basis`.
    """
    given = np.asarray(values, dtype=np.float64)
    left = given - basis @ (basis.T @ given)
    size = np.abs(given).max(axis=0, initial=0)
    rounding = _ROUNDING * np.finfo(values.dtype).eps * np.sqrt(len(given)) * size
    return np.asarray(np.where(np.sqrt((left**2).sum(axis=0)) <= rounding, 0, left))
