"""One gene in every sample, group beside group, tissue by tissue."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import (
    ACCENT,
    CONTRAST,
    MOST_OF_SAMPLES,
    NEUTRAL,
    finish,
    jitter,
    scatter_of,
)
from mtm_core.figures.shared.thinning import n_drawn, name_of_drawn, spread_evenly

_LOOKS = ((CONTRAST, "triangle-up"), (ACCENT, "circle"))
"""Colour and symbol of cases and of controls; symbols separate them without colour."""
_OFFSET, _WIDTH = 0.2, 0.28
"""Distance of a group's strip from the middle of its tissue, and its width, in tissues."""


def group_strips(
    values: pd.DataFrame, groups: pd.Series, *, case: str, control: str, scale: str
) -> go.Figure:
    """Draw the samples of two groups with the mean of each.

    Of more samples than can be seen some are drawn (:mod:`mtm_core.figures.shared.thinning`); means
    are of all.

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
    labels = groups.reindex(values.index)
    n_compared = int(labels.isin([case, control]).sum())
    figure = go.Figure()
    for side, (group, (colour, symbol)) in enumerate(zip((case, control), _LOOKS, strict=True)):
        own = values.loc[(labels == group).to_numpy()]
        middle = np.arange(len(tissues)) + (_OFFSET if side else -_OFFSET)
        n = n_drawn(len(own), len(tissues), len(own) / max(n_compared, 1))
        strips = np.broadcast_to(np.arange(len(tissues)), own.shape)
        of_sample, of_tissue = np.divmod(
            np.flatnonzero(spread_evenly(own, strips, n)), len(tissues)
        )
        names = np.empty((len(of_sample), 2), dtype=object)
        names[:, 0] = own.index.astype(str).to_numpy(dtype=object)[of_sample]
        names[:, 1] = np.asarray(tissues, dtype=object)[of_tissue]
        figure.add_trace(
            scatter_of(len(of_sample), MOST_OF_SAMPLES)(
                x=middle[of_tissue] + jitter(len(own), _WIDTH)[of_sample],
                y=own.to_numpy(dtype=float)[of_sample, of_tissue],
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.75},
                name=name_of_drawn(f"{group} (n = {len(own)})", n, len(own)),
                customdata=names,
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
