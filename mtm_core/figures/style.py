"""What all figures share: colours that work on light and on dark ground, margins, export."""

from __future__ import annotations

from typing import Any, Literal

import plotly.graph_objects as go

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
OVER_LEGEND = 64
"""Pixels above a plot that hold its legend below the buttons."""


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


def export_config(name: str, image_format: ImageFormat) -> dict[str, Any]:
    """Give plotly's settings so that the camera saves ``name`` as ``image_format``."""
    return {
        "displaylogo": False,
        "displayModeBar": True,
        "toImageButtonOptions": {"format": image_format, "filename": name, "scale": 2},
    }
