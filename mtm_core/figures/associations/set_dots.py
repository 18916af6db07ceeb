"""Gene sets by tissue, as dots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.shared.style import DIVERGING, NEUTRAL, finish

MOST_SETS = 20
_LONGEST_NAME = 56
_ROW = 26
_LEAST_HEIGHT = 280
"""Height, in pixels, that the labels of the colour bar need."""
_LEAST_FDR = 1e-6


def sets_to_draw(table: pd.DataFrame, n_sets: int = MOST_SETS) -> list[str]:
    """Return the sets with the smallest FDR in any tissue, the smallest first."""
    if table.empty:
        return []
    ordered = table.sort_values(["fdr", "p"], kind="stable")
    return [str(name) for name in ordered["set"].drop_duplicates().head(n_sets)]


def set_dots(
    table: pd.DataFrame,
    tissues: Sequence[str],
    *,
    value: str,
    words: str,
    n_sets: int = MOST_SETS,
) -> go.Figure:
    """Draw a dot for each set and tissue: larger the smaller its FDR, coloured by ``value``.

    Parameters
    ----------
    table
        ``set``, ``tissue``, ``fdr``, ``p``, ``size`` and ``value``; a set and tissue once.
    tissues
        In their order.
    value
        Column of the colour, around 0.
    words
        Title of the axis.
    n_sets
        Sets that are drawn, of the smallest FDR.
    """
    names = sets_to_draw(table, n_sets)
    rows = table[table["set"].isin(names)]
    place = {name: len(names) - 1 - i for i, name in enumerate(names)}
    strength = -np.log10(rows["fdr"].clip(_LEAST_FDR, 1).to_numpy(dtype=float))
    colour = rows[value].to_numpy(dtype=float)
    largest = float(np.nanmax(np.abs(colour), initial=1.0))
    figure = go.Figure(
        go.Scatter(
            x=[tissues.index(str(name)) for name in rows["tissue"]],
            y=[place[str(name)] for name in rows["set"]],
            mode="markers",
            marker={
                "size": 7 + 3.5 * strength,
                "color": colour,
                "colorscale": DIVERGING,
                "cmin": -largest,
                "cmax": largest,
                "line": {"width": 1, "color": NEUTRAL},
                "colorbar": {"title": {"text": words}, "thickness": 12, "len": 0.8},
            },
            customdata=rows[["set", "tissue", "fdr", "p", "size"]].to_numpy(dtype=object),
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>"
            + words
            + " %{marker.color:.2f}<br>FDR %{customdata[2]:.2g}, p %{customdata[3]:.2g}<br>"
            "%{customdata[4]} genes<extra></extra>",
        )
    )
    figure.update_yaxes(
        tickvals=list(place.values()),
        ticktext=[_short(name) for name in place],
        range=[-0.8, len(names) - 0.2],
    )
    figure.update_xaxes(
        tickvals=list(range(len(tissues))), ticktext=tissues, range=[-0.6, len(tissues) - 0.4]
    )
    return finish(figure, height=max(130 + _ROW * len(names), _LEAST_HEIGHT))


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
