"""Common style of all figures: colours for light and dark backgrounds, margins, export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from mtm_core.escaping import in_figure, own_markup

ImageFormat = Literal["png", "svg"]

ACCENT = "#2A8FB3"
CONTRAST = "#D9822B"
"""Orange beside the accent's blue: distinct in every common kind of colour vision."""
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
MOST_OF_SAMPLES = 6_000
"""The same where each is a sample in a tissue: 100 samples in 49 tissues among them, for a browser
without WebGL, such as one on a remote desktop, shows nothing of more."""


def scatter_of(n_points: int, most: int = _MOST_ELEMENTS) -> type[go.Scatter] | type[go.Scattergl]:
    """Return the scatter for so many points: WebGL where SVG would be slow."""
    kind: type[go.Scatter] | type[go.Scattergl] = go.Scattergl if n_points > most else go.Scatter
    return kind


def add_rings(figure: go.Figure, x: ArrayLike, y: ArrayLike, *, name: str) -> None:
    """Ring the points at ``x`` and ``y``, as ``name`` in the legend."""
    marker = {"size": 15, **RING}
    figure.add_scatter(x=x, y=y, mode="markers", marker=marker, name=name, hoverinfo="skip")


def finish(figure: go.Figure, *, height: int, top: int = 36) -> go.Figure:
    """Return ``figure`` with the lettering of all figures and their margins, ``top`` above."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": top, "b": 8},
        font={"size": 13},
        hoverlabel={"align": "left"},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "title": None},
        modebar={"remove": ["lasso2d", "select2d", "autoScale2d"]},
    )
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False)
    return figure


def with_plain_names(figure: go.Figure) -> go.Figure:
    """Return ``figure`` for a browser: names in it are letters, whatever they hold.

    Plotly reads some HTML in all that it writes. What comes as data, one for each point or each
    tick, is a name; in titles, notes and templates a few tags of our own are read and no others.
    """
    return go.Figure(_plain("", figure.to_plotly_json()))


OWN_MARK = "\ue000"
"""Before a tick's text of ours that has markup; names in it are escaped already."""
_OWN_TEXT = frozenset({"text", "hovertemplate", "texttemplate"})


def _plain(key: str, part: object) -> Any:  # noqa: ANN401 - as plotly takes it
    if isinstance(part, str):
        return own_markup(part) if key in _OWN_TEXT else _plain_cell(part)
    if isinstance(part, Mapping):
        if "bdata" in part:  # numbers, packed
            return part
        if key == "title":  # of an axis
            return {name: _plain_cell(value) for name, value in part.items()}
        return {name: _plain(str(name), value) for name, value in part.items()}
    if isinstance(part, np.ndarray):
        if part.dtype.kind not in "OU":
            return part
        cells = np.empty(part.size, dtype=object)
        cells[:] = [_plain_cell(cell) for cell in part.flat]
        return cells.reshape(part.shape)
    if isinstance(part, list | tuple):
        return [
            _plain(key, one) if isinstance(one, Mapping | list | tuple) else _plain_cell(one)
            for one in part
        ]
    return part


def _plain_cell(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    if cell.startswith(OWN_MARK):
        return own_markup(cell.removeprefix(OWN_MARK))
    return in_figure(cell)


def look(i: int) -> dict[str, str]:
    """Return the symbol and colour of the ``i``-th of several groups: no two of 35 are alike.

    Colours after Okabe and Ito (2008).
    """
    return {"symbol": _SYMBOLS[i % len(_SYMBOLS)], "color": _COLOURS[i % len(_COLOURS)]}


def jitter(n_points: int, width: float) -> NDArray[np.float64]:
    """Return (n_points,) places within ``width`` around 0: no chance, no overlap."""
    shares = np.modf(np.arange(n_points, dtype=np.float64) * _GOLDEN)[0]
    return (shares - 0.5) * width


def export_config(name: str, image_format: ImageFormat) -> dict[str, Any]:
    """Return plotly's settings so that the camera saves ``name`` as ``image_format``."""
    return {
        "displaylogo": False,
        "displayModeBar": True,
        "toImageButtonOptions": {"format": image_format, "filename": name, "scale": 2},
    }
