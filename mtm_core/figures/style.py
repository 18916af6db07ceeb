"""What all figures share: colours that work on light and on dark ground, margins, export."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

ImageFormat = Literal["png", "svg"]

ACCENT = "#2A8FB3"
CONTRAST = "#D9822B"
"""Orange beside the accent's blue: told apart by every common kind of colour vision."""
NEUTRAL = "#8794A1"
FAINT = "rgba(135, 148, 161, 0.28)"
RING = {"symbol": "circle-open", "color": CONTRAST, "line": {"width": 2.5}}
"""Around what was chosen; its size is the figure's."""
DIVERGING = "RdBu_r"
"""Blue for below 0, red for above (ColorBrewer): safe for red-green colour blindness."""
_COLOURS = (ACCENT, CONTRAST, "#009E73", "#CC79A7", NEUTRAL)
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x", "star")
_GOLDEN = 0.6180339887498949
OVER_LEGEND = 64
"""Pixels above a plot that hold its legend below the buttons."""
_MOST_ELEMENTS = 3_000
"""Points that are each drawn as an element of their own."""


def scatter_of(n_points: int) -> type[go.Scatter] | type[go.Scattergl]:
    """Give the scatter for so many points: WebGL where an element a point takes a browser long."""
    kind: type[go.Scatter] | type[go.Scattergl] = (
        go.Scattergl if n_points > _MOST_ELEMENTS else go.Scatter
    )
    return kind


def finish(figure: go.Figure, *, height: int) -> go.Figure:
    """Give ``figure`` the margins and the lettering of all figures."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        font={"size": 13},
        hoverlabel={"align": "left"},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "title": None},
        modebar={"remove": ["lasso2d", "select2d", "autoScale2d"]},
    )
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure


def look(i: int) -> dict[str, str]:
    """Give the symbol and colour of the ``i``-th of several groups: no two of 35 are alike.

    Colours after Okabe and Ito (2008).
    """
    return {"symbol": _SYMBOLS[i % len(_SYMBOLS)], "color": _COLOURS[i % len(_COLOURS)]}


def jitter(n_points: int, width: float) -> NDArray[np.float64]:
    """Give (n_points,) places within ``width`` around 0: no chance, no overlap."""
    shares = np.modf(np.arange(n_points, dtype=np.float64) * _GOLDEN)[0]
    return (shares - 0.5) * width


def export_config(name: str, image_format: ImageFormat) -> dict[str, Any]:
    """Give plotly's settings so that the camera saves ``name`` as ``image_format``."""
    return {
        "displaylogo": False,
        "displayModeBar": True,
        "toImageButtonOptions": {"format": image_format, "filename": name, "scale": 2},
    }
