"""How often held-out values lie where a method says they do.

An out-of-fold dataset may say so in two ways: bounds, variables ``lower_90`` and ``upper_90`` for
the 90 % interval, or ``predicted_sd``, read as that of a normal distribution around ``predicted``.
All have dims (pair, gene). Bounds go before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from mtm_core.methods.protocol import INTERVAL_LEVELS


def coverage(out_of_fold: xr.Dataset, levels: Sequence[int] = INTERVAL_LEVELS) -> pd.DataFrame:
    """Give the share of held-out values inside the intervals of ``levels``, percent, per tissue.

    A value whose bounds are NaN has no interval and does not count.

    Returns
    -------
    pandas.DataFrame
        Indexed by tissue, a column ``coverage_{level}`` for each level that has an interval; no
        columns where the method gives none.
    """
    observed = out_of_fold["observed"].to_numpy()
    tissue = out_of_fold["tissue"].to_numpy()
    table = pd.DataFrame(index=pd.Index(np.unique(tissue), name="tissue"))
    for level in levels:
        bounds = _bounds(out_of_fold, level)
        if bounds is None:
            continue
        lower, upper = bounds
        counted = ~(np.isnan(lower) | np.isnan(upper))
        inside = counted & (lower <= observed) & (observed <= upper)
        by_tissue = pd.DataFrame({"inside": inside.sum(axis=1), "counted": counted.sum(axis=1)})
        sums = by_tissue.groupby(tissue).sum()
        table[f"coverage_{level}"] = sums["inside"] / sums["counted"]
    return table


def _bounds(
    out_of_fold: xr.Dataset, level: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]] | None:
    names = (f"lower_{level}", f"upper_{level}")
    if all(name in out_of_fold for name in names):
        return out_of_fold[names[0]].to_numpy(), out_of_fold[names[1]].to_numpy()
    if "predicted_sd" not in out_of_fold:
        return None
    half = ndtri((1 + level / 100) / 2) * out_of_fold["predicted_sd"].to_numpy()
    predicted = out_of_fold["predicted"].to_numpy()
    return predicted - half, predicted + half
