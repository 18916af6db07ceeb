"""Predicted expression of one gene over what the reference donors have."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

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

_ROW = 54
_JITTER = 0.62
"""Height of the strip of samples, in rows."""


def expression_strips(
    predicted: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    unit: str,
    colours: Mapping[str, str],
    accuracy: Mapping[str, str],
    highlighted: str | None = None,
    interval: pd.DataFrame | None = None,
) -> go.Figure:
    """Draw, tissue by tissue, the samples over the reference distribution.

    Of more samples than can be seen some are drawn (:mod:`mtm_core.figures.shared.thinning`).

    Parameters
    ----------
    predicted
        (samples, tissues) predicted log2(1 + expression) of one gene.
    reference
        (tissues, levels) quantiles of the reference donors on the same scale; levels are numbers
        in (0, 1) and hold 0.05, 0.25, 0.5, 0.75 and 0.95.
    unit
        Unit of linear expression.
    colours
        GTEx's colour of each tissue. Names are written beside them.
    accuracy
        Text at the right of each tissue: its held-out accuracy, in words.
    highlighted
        Sample to mark.
    interval
        ``lower`` and ``upper`` ends of the marked sample's values, by tissue; ``None`` draws none.
    """
    tissues = [str(tissue) for tissue in predicted.columns]
    samples = [str(sample) for sample in predicted.index]
    rows = np.arange(len(tissues), dtype=float)[::-1]
    figure = go.Figure()
    levels = reference.loc[tissues]
    for low, high, width, opacity in ((0.05, 0.95, 10, 0.35), (0.25, 0.75, 24, 0.6)):
        figure.add_bar(
            base=levels[low].to_numpy(),
            x=(levels[high] - levels[low]).to_numpy(),
            y=rows,
            width=width / _ROW,
            orientation="h",
            marker={"color": [colours[tissue] for tissue in tissues], "line": {"width": 0}},
            opacity=opacity,
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        x=levels[0.5].to_numpy(),
        y=rows,
        mode="markers",
        marker={
            "symbol": "line-ns",
            "size": 24,
            "line": {"width": 2.5, "color": NEUTRAL},
        },
        name="reference median",
        customdata=np.column_stack(
            [tissues, *(levels[q].round(2) for q in (0.05, 0.25, 0.5, 0.75, 0.95))]
        ),
        hovertemplate="%{customdata[0]}, reference donors<br>median %{customdata[3]}<br>"
        "half of them %{customdata[2]} to %{customdata[4]}<br>"
        "90 % of them %{customdata[1]} to %{customdata[5]}<extra></extra>",
    )
    # A place of its own for each sample, the same in every tissue.
    offsets = jitter(len(samples), _JITTER)
    others = [sample != highlighted for sample in samples]
    for chosen, name, marker in (
        (
            others,
            "your samples, predicted",
            {"size": 7, "color": ACCENT, "opacity": 0.85, "line": {"width": 1, "color": "white"}},
        ),
        (
            [not other for other in others],
            str(highlighted),
            {
                "size": 14,
                "symbol": "star",
                "color": CONTRAST,
                "line": {"width": 1, "color": "white"},
            },
        ),
    ):
        if not any(chosen):
            continue
        values = predicted.loc[chosen].to_numpy(dtype=np.float32)
        n = n_drawn(len(values), len(tissues))
        at = np.flatnonzero(spread_evenly(values, np.broadcast_to(rows, values.shape), n))
        of_sample, of_tissue = np.divmod(at, len(tissues))
        names = np.empty((len(at), 2), dtype=object)
        names[:, 0] = np.asarray(samples, dtype=object)[chosen][of_sample]
        names[:, 1] = np.asarray(tissues, dtype=object)[of_tissue]
        figure.add_trace(
            scatter_of(len(at), MOST_OF_SAMPLES)(
                x=values.ravel()[at],
                y=(rows[of_tissue] + offsets[chosen][of_sample]).astype(np.float32),
                mode="markers",
                marker=marker,
                name=name_of_drawn(name, n, len(values)),
                customdata=names,
                hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>%{x:.2f}<extra></extra>",
            )
        )
    if highlighted is not None and interval is not None:
        drawn = [tissue for _, tissue in figure.data[-1].customdata]
        marked, ends = predicted.loc[highlighted, drawn], interval.loc[drawn]
        figure.data[-1].error_x = {
            "array": (ends["upper"] - marked).to_numpy(),
            "arrayminus": (marked - ends["lower"]).to_numpy(),
            "color": CONTRAST,
            "thickness": 2,
            "width": 5,
        }
    figure.update_yaxes(
        tickmode="array",
        tickvals=rows,
        ticktext=tissues,
        range=[-0.6, len(tissues) - 0.4],
        showgrid=False,
    )
    figure.update_xaxes(title=f"log2(1 + {unit})")
    finish(figure, height=130 + _ROW * len(tissues))
    figure.update_layout(
        barmode="overlay",
        margin={"r": 130},
        annotations=[
            {
                "x": 1.01,
                "xref": "paper",
                "y": row,
                "text": accuracy[tissue],
                "showarrow": False,
                "xanchor": "left",
                "align": "left",
            }
            for tissue, row in zip(tissues, rows, strict=True)
        ],
    )
    return figure
