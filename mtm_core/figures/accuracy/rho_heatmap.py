"""How genes go with a trait, tissue by tissue, at a glance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import DIVERGING, finish

_ROW = 26
_ENDS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Ends that the colour scale may have."""


def rho_heatmap(rho: pd.DataFrame, pale: pd.DataFrame, *, trait: str) -> go.Figure:
    """Draw correlations with a trait.

    Parameters
    ----------
    rho
        (tissues, genes) correlations, NaN where not tested.
    pale
        (tissues, genes) whether to draw a cell pale: the gene cannot be predicted there.
    trait
        Its name.
    """
    largest = float(np.nanmax(np.abs(rho.to_numpy(dtype=float)), initial=0.0))
    end = next(end for end in _ENDS if end >= largest)
    figure = go.Figure()
    for is_pale, opacity in ((False, 1.0), (True, 0.3)):
        cells = rho.where(pale == is_pale).to_numpy(dtype=float)
        if not np.isfinite(cells).any():
            continue
        figure.add_heatmap(
            x=[str(gene) for gene in rho.columns],
            y=[str(tissue) for tissue in rho.index],
            z=cells,
            coloraxis="coloraxis",
            opacity=opacity,
            hoverongaps=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{y}<br>%{x}<br>rho with "
            + in_figure(trait)
            + " %{z:.2f}<extra>"
            + ("not predictable" if is_pale else "")
            + "</extra>",
        )
    figure.update_layout(
        coloraxis={
            "colorscale": DIVERGING,
            "cmin": -end,
            "cmax": end,
            "colorbar": {
                "title": {"text": f"rho with {trait}", "side": "right"},
                "thickness": 12,
                "outlinewidth": 0,
            },
        }
    )
    figure.update_xaxes(type="category", tickangle=-60, showgrid=False, dtick=1)
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, dtick=1)
    return finish(figure, height=190 + _ROW * len(rho))
