"""Coverage of prediction intervals: the share of held-out values inside them.

An out-of-fold dataset may have intervals in three forms, of which the first present is used:
``multiplier_90``, half-widths (pair) of the 90 % interval in units of the expected error ``sd``;
bounds ``lower_90`` and ``upper_90``; or ``predicted_sd``, the SD of a normal distribution around
``predicted``. All but the multipliers have dims (pair, gene). One tissue is read at a time.
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
    """Return the share of held-out values inside each interval, by tissue.

    Values whose bounds are NaN are ignored.

    Parameters
    ----------
    out_of_fold
        Out-of-fold predictions.
    levels
        Levels of the intervals, in percent.

    Returns
    -------
    pandas.DataFrame
        Indexed by tissue, with a column ``coverage_{level}``, between 0 and 1, for each level that
        has intervals.
    """
    tissue = out_of_fold["tissue"].to_numpy()
    rows = {
        name: _of_tissue(out_of_fold.isel(pair=np.flatnonzero(tissue == name)), levels)
        for name in np.unique(tissue)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("tissue")


def _of_tissue(part: xr.Dataset, levels: Sequence[int]) -> dict[str, float]:
    observed = part["observed"].to_numpy()
    predicted = part["predicted"].to_numpy() if "predicted" in part else observed
    sd = part["sd"].to_numpy() if "sd" in part else None
    shares = {}
    for level in levels:
        if sd is not None and f"multiplier_{level}" in part:
            half = part[f"multiplier_{level}"].to_numpy()[:, None] * sd
            bounds = predicted - half, predicted + half
        else:
            stored = _bounds(part, level)
            if stored is None:
                continue
            bounds = stored
        lower, upper = bounds
        counted = ~(np.isnan(lower) | np.isnan(upper))
        inside = counted & (lower <= observed) & (observed <= upper)
        n_counted = int(counted.sum())
        shares[f"coverage_{level}"] = int(inside.sum()) / n_counted if n_counted else np.nan
    return shares


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
