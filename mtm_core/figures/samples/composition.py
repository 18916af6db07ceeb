"""Shares of cells in samples of blood."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.shared.style import (
    ACCENT,
    CONTRAST,
    NEUTRAL,
    OVER_LEGEND,
    finish,
    jitter,
    look,
    scatter_of,
)

_COLOURS = (ACCENT, CONTRAST, "#009E73", "#CC79A7", NEUTRAL, "#E8C547", "#7A68B3", "#B35C44")
MOST_BARS = 200
"""Samples up to which each is a bar of its own; of more, strips alone are drawn."""


def composition_bars(shares: pd.DataFrame) -> go.Figure:
    """Draw a bar a sample, stacked of its shares; the largest first column comes first."""
    order = shares.sort_values(str(shares.columns[0]), ascending=False)
    names = [str(sample) for sample in order.index]
    figure = go.Figure()
    for i, cells in enumerate(order):
        figure.add_bar(
            x=list(range(len(order))),
            y=order[cells],
            name=str(cells),
            marker={"color": _COLOURS[i % len(_COLOURS)], "line": {"width": 0}},
            customdata=names,
            hovertemplate=f"%{{customdata}}<br>{cells} %{{y:.0%}}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.08)
    figure.update_xaxes(title="samples", showticklabels=False, showgrid=False)
    figure.update_yaxes(title="share", tickformat=".0%")
    return finish(figure, height=410, top=OVER_LEGEND)


def composition_strips(shares: pd.DataFrame, groups: pd.Series | None = None) -> go.Figure:
    """Draw every sample's share of each kind of cell, groups apart, each with its median."""
    figure = go.Figure()
    cells = [str(name) for name in shares]
    known = pd.Series("all samples", shares.index) if groups is None else groups
    known = known.reindex(shares.index)
    levels = sorted(known.dropna().unique(), key=str)
    width = 0.8 / max(1, len(levels))
    for i, level in enumerate(levels):
        own = shares[known == level]
        for row, name in enumerate(cells):
            place = row - 0.4 + (i + 0.5) * width
            figure.add_trace(
                scatter_of(shares.size)(
                    x=place + jitter(len(own), 0.7 * width),
                    y=own[name],
                    mode="markers",
                    marker={"size": 6, "opacity": 0.65, **look(i)},
                    name=str(level),
                    legendgroup=str(level),
                    showlegend=row == 0 and groups is not None,
                    customdata=[str(sample) for sample in own.index],
                    hovertemplate="%{customdata}: %{y:.1%}<extra></extra>",
                )
            )
            middle = own[name].median()
            figure.add_scatter(
                x=[place - 0.4 * width, place + 0.4 * width],
                y=[middle, middle],
                mode="lines",
                line={"width": 3, "color": look(i)["color"]},
                showlegend=False,
                hovertemplate=f"median {middle:.1%}<extra></extra>",
            )
    figure.update_xaxes(
        tickmode="array", tickvals=list(range(len(cells))), ticktext=cells, showgrid=False
    )
    figure.update_yaxes(title="share", tickformat=".0%", rangemode="tozero")
    return finish(figure, height=410, top=OVER_LEGEND)
