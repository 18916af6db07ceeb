"""Two associations of the same genes against each other: the user's and the reference's."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, NEUTRAL, RING, finish

_LINE = {"color": NEUTRAL, "width": 1}


def association_scatter(
    points: pd.DataFrame, *, x: str, y: str, equal: bool, marked: Collection[str] = ()
) -> go.Figure:
    """Draw one point a gene.

    Parameters
    ----------
    points
        ``gene_id``, ``gene``, ``reference`` (across), ``own`` (up), ``predictable``.
    x, y
        Titles of the axes.
    equal
        Whether both are in one unit: the line where they are equal is drawn.
    marked
        Gene ids to ring and name.
    """
    figure = go.Figure()
    add_axes(figure, points, x=x, y=y, equal=equal)
    for is_grey, name, look in (
        (True, "not predictable", {"color": NEUTRAL, "symbol": "circle-open", "opacity": 0.6}),
        (False, "genes", {"color": ACCENT, "symbol": "circle", "opacity": 0.8}),
    ):
        part = points[(points["predictable"] == "no") == is_grey]
        if part.empty:
            continue
        figure.add_scatter(
            x=part["reference"],
            y=part["own"],
            mode="markers",
            marker={"size": 8, **look},
            name=name,
            text=part["gene"],
            customdata=part[["gene_id"]],
            hovertemplate="<b>%{text}</b><br>reference %{x:.3f}<br>yours %{y:.3f}"
            f"<extra>{in_figure(name)}</extra>",
        )
    ringed = points[points["gene_id"].isin(set(marked))]
    if len(ringed):
        figure.add_scatter(
            x=ringed["reference"],
            y=ringed["own"],
            mode="markers+text",
            marker={"size": 15, **RING},
            text=ringed["gene"],
            textposition="top center",
            hoverinfo="skip",
            showlegend=False,
        )
    return finish(figure, height=460)


def add_axes(figure: go.Figure, points: pd.DataFrame, *, x: str, y: str, equal: bool) -> None:
    """Name the axes, and draw where each is 0 and, if ``equal``, where they are equal."""
    add_zero_lines(figure)
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y)
    if equal:
        add_equal_line(figure, points[["reference", "own"]])


def add_zero_lines(figure: go.Figure, **place: int) -> None:
    """Draw where each axis is 0, in one panel or in all."""
    figure.add_vline(x=0, line=_LINE, **place)
    figure.add_hline(y=0, line=_LINE, **place)


def add_equal_line(figure: go.Figure, values: pd.DataFrame, **options: object) -> None:
    """Draw where both axes are equal, as far as ``values`` (points, axes) reach."""
    ends = values.to_numpy(dtype=float)
    if not ends.size:
        return
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={**_LINE, "dash": "dot"},
        name="equal",
        hoverinfo="skip",
        **options,
    )
