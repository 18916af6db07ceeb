"""Control of the false discovery rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values by the method of Benjamini and Hochberg 1995.

    Parameters
    ----------
    p
        p-values (K,). NaN marks a test that was not made; it remains NaN and does not count.

    Returns
    -------
    numpy.ndarray
        Adjusted p-values (K,).

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, np.nan]).round(2).tolist()
    [0.02, 0.04, nan]
    """
    values = np.asarray(p, dtype=np.float64)
    adjusted = np.full(values.shape, np.nan)
    made = ~np.isnan(values)
    if made.any():
        adjusted[made] = false_discovery_control(values[made])
    return adjusted
