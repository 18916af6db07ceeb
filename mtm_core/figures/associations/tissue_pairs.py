"""Pairs of tissues: how alike the codes of one donor are, and two likenesses of tissues."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, CONTRAST, NEUTRAL, finish

_LOOKS = (ACCENT, CONTRAST, NEUTRAL)


def code_likeness(pairs: pd.DataFrame, columns: Mapping[str, str]) -> go.Figure:
    """Draw how alike codes are over all pairs of tissues: of one donor, and of two donors.

    Parameters
    ----------
    pairs
        ``donors`` (whose codes), ``tissue``, ``other_tissue``, ``n`` and the ``columns``.
    columns
        Mean rho between codes, each with its name in words; at most three.
    """
    figure = go.Figure()
    for (column, name), colour in zip(columns.items(), _LOOKS, strict=False):
        figure.add_box(
            x=pairs["donors"],
            y=pairs[column],
            name=name,
            boxpoints="all",
            jitter=0.6,
            pointpos=0,
            fillcolor="rgba(0, 0, 0, 0)",
            line={"color": colour, "width": 2},
            marker={"color": colour, "size": 3, "opacity": 0.4},
            customdata=pairs[["tissue", "other_tissue", "n"]],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>%{y:.2f}, n = %{customdata[2]}"
            f" donors<extra>{in_figure(name)}</extra>",
        )
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1})
    figure.update_layout(boxmode="group")
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(title="Pearson's rho between codes")
    return finish(figure, height=480)


def likeness_scatter(pairs: pd.DataFrame, *, x: str, y: str, chosen: str | None) -> go.Figure:
    """Draw each pair of tissues by two likenesses, with those of one tissue set off.

    Parameters
    ----------
    pairs
        ``tissue``, ``other_tissue``, ``profiles`` (across) and ``likeness`` (up).
    x, y
        Titles of the axes.
    chosen
        Tissue whose pairs are set off.
    """
    of_chosen = (pairs["tissue"] == chosen) | (pairs["other_tissue"] == chosen)
    figure = go.Figure()
    for part, name, look in (
        (pairs[~of_chosen], "other pairs", {"color": NEUTRAL, "size": 5, "opacity": 0.45}),
        (
            pairs[of_chosen],
            f"with {chosen}",
            {"color": CONTRAST, "size": 9, "symbol": "diamond", "opacity": 0.9},
        ),
    ):
        if part.empty:
            continue
        figure.add_scatter(
            x=part["profiles"],
            y=part["likeness"],
            mode="markers",
            marker=look,
            name=name,
            customdata=part[["tissue", "other_tissue"]],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>profiles %{x:.2f}, %{y:.2f}"
            "<extra></extra>",
        )
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y)
    return finish(figure, height=440)
