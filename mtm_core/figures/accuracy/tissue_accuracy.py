"""How well a model predicts donors that it has not seen."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import NEUTRAL, finish, look


def tissue_accuracy(
    tissues: pd.DataFrame, first: str, figure_of_merit: str, *, title: str
) -> go.Figure:
    """Draw the accuracy in each tissue, one mark a method.

    Parameters
    ----------
    tissues
        One row a method and tissue: ``method``, ``tissue``, ``n``, ``n_predictable``.
    first
        The method that tissues are ordered by.
    figure_of_merit
        Column to draw.
    title
        Title of the axis, in words.
    """
    own = tissues[tissues["method"] == first].sort_values(figure_of_merit)
    methods = [first, *(m for m in tissues["method"].unique() if m != first)]
    figure = go.Figure()
    for i, method in enumerate(methods):
        rows = tissues[tissues["method"] == method].set_index("tissue")
        rows = rows.reindex(own["tissue"])
        figure.add_scatter(
            x=rows[figure_of_merit],
            y=rows.index,
            mode="markers",
            marker={"size": 9 if method == first else 7, **look(i)},
            name=method,
            customdata=rows[["n", "n_predictable"]],
            hovertemplate="%{y}<br>%{x:.3f}<br>%{customdata[1]:.0f} predictable genes<br>"
            "%{customdata[0]:.0f} donors"
            f"<extra>{in_figure(method)}</extra>",
        )
    figure.update_yaxes(range=[-0.8, len(own) - 0.2])
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    figure.update_xaxes(title=title)
    return finish(figure, height=110 + 19 * len(own))
