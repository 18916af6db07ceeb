"""One gene in every sample, group beside group, tissue by tissue."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, CONTRAST, NEUTRAL, finish, jitter, scatter_of

_LOOKS = ((CONTRAST, "triangle-up"), (ACCENT, "circle"))
"""Colour and symbol of cases and of controls; symbols separate them without colour."""
_OFFSET, _WIDTH = 0.2, 0.28
"""Distance of a group's strip from the middle of its tissue, and its width, in tissues."""


def group_strips(
    values: pd.DataFrame, groups: pd.Series, *, case: str, control: str, scale: str
) -> go.Figure:
    """Draw the samples of two groups with the mean of each.

    Parameters
    ----------
    values
        (samples, tissues) log2 expression of one gene.
    groups
        Group by sample; samples of others are left out.
    scale
        Scale of ``values``, in words.
    """
    tissues = [str(tissue) for tissue in values.columns]
    figure = go.Figure()
    for side, (group, (colour, symbol)) in enumerate(zip((case, control), _LOOKS, strict=True)):
        own = values.loc[(groups.reindex(values.index) == group).to_numpy()]
        middle = np.arange(len(tissues)) + (_OFFSET if side else -_OFFSET)
        figure.add_trace(
            scatter_of(own.size)(
                x=(middle[None, :] + jitter(len(own), _WIDTH)[:, None]).ravel(),
                y=own.to_numpy(dtype=float).ravel(),
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.75},
                name=f"{group} (n = {len(own)})",
                customdata=[(str(sample), tissue) for sample in own.index for tissue in tissues],
                hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>%{y:.2f}"
                f"<extra>{in_figure(group)}</extra>",
            )
        )
        figure.add_scatter(
            x=middle,
            y=own.mean(),
            mode="markers",
            marker={"symbol": "line-ew", "size": 44, "line": {"width": 3, "color": NEUTRAL}},
            name="mean",
            customdata=tissues,
            hovertemplate=f"%{{customdata}}<br>mean %{{y:.2f}}<extra>{in_figure(group)}</extra>",
            showlegend=side == 0,
        )
    figure.update_xaxes(
        tickmode="array",
        tickvals=list(range(len(tissues))),
        ticktext=tissues,
        range=[-0.6, len(tissues) - 0.4],
        showgrid=False,
    )
    figure.update_yaxes(title=scale)
    return finish(figure, height=400)
