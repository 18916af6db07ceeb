"""How well a model predicts donors that it has not seen."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.style import ACCENT, CONTRAST, NEUTRAL, finish

_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x", "star")
_COLOURS = (ACCENT, CONTRAST, "#009E73", "#CC79A7", NEUTRAL)
"""With the symbols, no two of 35 methods look alike; colours after Okabe and Ito (2008)."""


def tissue_accuracy(tissues: pd.DataFrame, first: str) -> go.Figure:
    """Draw the mean gene-wise rho of each tissue, one mark a method.

    Parameters
    ----------
    tissues
        One row a method and tissue: ``method``, ``tissue``, ``n``, ``gene_rho_by_fold``,
        ``gene_rho_pooled``, ``n_predictable``.
    first
        The method that tissues are ordered by: the model's own.
    """
    own = tissues[tissues["method"] == first].sort_values("gene_rho_by_fold")
    methods = [first, *(m for m in tissues["method"].unique() if m != first)]
    figure = go.Figure()
    for i, method in enumerate(methods):
        rows = tissues[tissues["method"] == method].set_index("tissue")
        rows = rows.reindex(own["tissue"])
        figure.add_scatter(
            x=rows["gene_rho_by_fold"],
            y=rows.index,
            mode="markers",
            marker={
                "size": 9 if method == first else 7,
                "symbol": _SYMBOLS[i % len(_SYMBOLS)],
                "color": _COLOURS[i % len(_COLOURS)],
            },
            name=method,
            customdata=rows[["n", "gene_rho_pooled", "n_predictable"]],
            hovertemplate="%{y}<br>by fold %{x:.3f}<br>pooled %{customdata[1]:.3f}<br>"
            "%{customdata[2]:.0f} predictable genes<br>%{customdata[0]:.0f} donors"
            f"<extra>{method}</extra>",
        )
    figure.update_yaxes(range=[-0.8, len(own) - 0.2])
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    figure.update_xaxes(title="gene-wise rho on held-out donors, by fold, mean over genes")
    return finish(figure, height=110 + 19 * len(own))
