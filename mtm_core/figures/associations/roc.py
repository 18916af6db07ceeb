"""How well profiles tell two groups apart: areas under ROC curves, and the curves (Figure 3)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, CONTRAST, NEUTRAL, OVER_LEGEND, finish
from mtm_core.figures.shared.tissue_rows import name_rows, row_heights

_PROFILE_LOOKS = (
    ("circle", ACCENT),
    ("diamond", CONTRAST),
    ("square", "#CC3344"),
    ("cross", NEUTRAL),
)
"""Colours and symbols of the profiles, in their order."""


def auroc_dots(
    areas: pd.DataFrame, profiles: Sequence[tuple[str, str]], *, chosen: str | None = None
) -> go.Figure:
    """Draw how well each profile tells the two groups apart, tissue by tissue (Figure 3d).

    Parameters
    ----------
    areas
        ``tissue``, ``profile``, ``auroc``, ``low``, ``high``, ``n_genes``, ``n_case``,
        ``n_control``; tissues in the order to draw.
    profiles
        Each with its name in words, in the order of the legend; at most four.
    chosen
        Tissue whose name is set in bold.
    """
    tissues = list(dict.fromkeys(str(name) for name in areas["tissue"]))
    place_of = dict(zip(tissues, row_heights(len(tissues)), strict=True))
    figure = go.Figure()
    figure.add_vline(x=0.5, line={"color": NEUTRAL, "width": 1, "dash": "dash"})
    for i, ((profile, name), (symbol, colour)) in enumerate(
        zip(profiles, _PROFILE_LOOKS, strict=False)
    ):
        own = areas[areas["profile"] == profile]
        shift = 0.18 * (1.5 - i)
        figure.add_scatter(
            x=own["auroc"],
            y=own["tissue"].map(place_of) + shift,
            error_x={
                "array": own["high"] - own["auroc"],
                "arrayminus": own["auroc"] - own["low"],
                "thickness": 1,
                "width": 0,
            },
            mode="markers",
            marker={"size": 8, "symbol": symbol, "color": colour},
            name=name,
            customdata=own[["tissue", "low", "high", "n_genes", "n_case", "n_control"]],
            hovertemplate="<b>%{customdata[0]}</b><br>auROC %{x:.2f} (%{customdata[1]:.2f} to"
            " %{customdata[2]:.2f})<br>%{customdata[3]} columns, %{customdata[4]} cases,"
            " %{customdata[5]} controls" + f"<extra>{in_figure(name)}</extra>",
        )
    figure.update_xaxes(title="area under the ROC curve (0.5: chance)")
    name_rows(figure, tissues, chosen=chosen)
    figure.update_yaxes(showgrid=True)
    return finish(figure, height=160 + 30 * len(tissues), top=OVER_LEGEND)


def roc_curves(curves: pd.DataFrame, profiles: Sequence[tuple[str, str]]) -> go.Figure:
    """Draw the ROC curves of one tissue (Figure 3c).

    Parameters
    ----------
    curves
        ``profile``, ``false_positive_rate``, ``sensitivity``.
    profiles
        As in :func:`auroc_dots`.
    """
    dashes = ("solid", "dash", "dot", "dashdot")
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": NEUTRAL, "width": 1, "dash": "dash"},
        name="chance", hoverinfo="skip",
    )  # fmt: skip
    for (profile, name), (_, colour), dash in zip(profiles, _PROFILE_LOOKS, dashes, strict=False):
        own = curves[curves["profile"] == profile]
        if own.empty:
            continue
        figure.add_scatter(
            x=own["false_positive_rate"],
            y=own["sensitivity"],
            mode="lines",
            line={"color": colour, "width": 2, "dash": dash},
            name=name,
            hovertemplate="%{y:.2f} of the cases found, %{x:.2f} of the controls taken for cases"
            f"<extra>{in_figure(name)}</extra>",
        )
    figure.update_xaxes(title="share of controls taken for cases", range=[0, 1])
    figure.update_yaxes(title="share of cases found", range=[0, 1.02])
    return finish(figure, height=420, top=OVER_LEGEND)
