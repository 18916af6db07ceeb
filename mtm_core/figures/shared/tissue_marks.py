"""Tissues as points: GTEx's colour and abbreviation of each, names where there is room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.figures.shared.style import NEUTRAL

_ROOM = (0.1, 0.05)
"""Width and height that a name takes, as shares of the figure's."""


def tissue_marks(
    x: pd.Series,
    y: pd.Series,
    colours: Mapping[str, str],
    abbreviations: Mapping[str, str],
    *,
    log_y: bool = False,
) -> dict[str, Any]:
    """Return a scatter of tissues, without its hover text.

    Parameters
    ----------
    x, y
        Value of each tissue, indexed by it, without missing values.
    colours, abbreviations
        GTEx's colour and abbreviation of each tissue; an abbreviation that would hide another or a
        point is left out.
    log_y
        Whether the y axis is logarithmic.
    """
    heights = y.to_numpy(float)
    shown = _with_room(x.to_numpy(float), np.log(heights) if log_y else heights)
    return {
        "x": x,
        "y": y,
        "mode": "markers+text",
        "text": [
            abbreviations.get(str(tissue), "") if has_room else ""
            for tissue, has_room in zip(x.index, shown, strict=True)
        ],
        "textposition": "top center",
        "textfont": {"size": 9, "color": NEUTRAL},
        "marker": {
            "size": 10,
            "color": [colours.get(str(tissue), NEUTRAL) for tissue in x.index],
            "line": {"width": 1.5, "color": NEUTRAL},
        },
        "showlegend": False,
        "cliponaxis": False,
    }


def _with_room(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[bool]:
    """Tell which points can be named; of two names that are too close, the one that comes first."""
    if not len(x):
        return []
    spread = np.array([np.ptp(x) or 1.0, np.ptp(y) or 1.0])
    points = np.column_stack([x, y]) / spread / _ROOM
    names = points + np.array([0, 0.8])
    named: list[int] = []
    for i, name in enumerate(names):
        hides_point = (np.abs(points - name).max(axis=1) < 0.6).any()
        if not hides_point and all(np.abs(name - names[j]).max() >= 1 for j in named):
            named.append(i)
    return [i in named for i in range(len(points))]
