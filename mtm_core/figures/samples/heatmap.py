"""Predicted z-scores of many samples at a glance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, DIVERGING, FAINT, NEUTRAL, OWN_MARK, finish

_ROW = 15
_TALLEST = 900
_MOST_WITH_GAPS = 150
"""Rows up to which a gap is drawn between two: thinner ones would be nothing but gap."""
_STEPS = (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 20)
"""Ends that the colour scale may have."""


def z_heatmap(
    z: pd.DataFrame,
    rho: pd.Series | None,
    *,
    column: str,
    unpredictable: Sequence[str] = (),
) -> go.Figure:
    """Draw ``z`` with the held-out accuracy of each column above it.

    Parameters
    ----------
    z
        (samples, columns) predicted z-scores; columns are genes or tissues.
    rho
        Held-out correlation of each column, NaN where it has none; ``None`` leaves the bars out.
    column
        Meaning of a column: "gene" or "tissue".
    unpredictable
        Columns to be greyed: their name and their cells.
    """
    names = [str(name) for name in z.columns]
    grey = set(unpredictable)
    end = scale_end(z)
    figure = make_subplots(
        rows=2 if rho is not None else 1,
        cols=1,
        shared_xaxes=True,
        row_heights=[0.14, 0.86] if rho is not None else [1],
        vertical_spacing=0.015,
    )
    if rho is not None:
        values = rho.reindex(z.columns).to_numpy(dtype=float)
        figure.add_bar(
            x=names,
            y=values,
            marker_color=[NEUTRAL if name in grey else ACCENT for name in names],
            hovertemplate=f"%{{x}}<br>held-out rho %{{y:.2f}}<extra>{column}</extra>",
            name="held-out rho",
            showlegend=False,
            row=1,
            col=1,
        )
        lowest = float(np.nanmin([0.0, *values])) if len(values) else 0.0
        figure.update_yaxes(title="held-out rho", range=[min(lowest, 0), 1], row=1, col=1)
    last = 2 if rho is not None else 1
    # Two layers over one axis: cells of columns that cannot be predicted are drawn paler.
    for shown, opacity in ((False, 1.0), (True, 0.35)):
        is_grey = [name in grey for name in names]
        cells = np.where([k == shown for k in is_grey], z.to_numpy(np.float32), np.float32(np.nan))
        if not np.isfinite(cells).any():
            continue
        figure.add_heatmap(
            x=names,
            y=[str(sample) for sample in z.index],
            z=cells,
            coloraxis="coloraxis",
            opacity=opacity,
            hoverongaps=False,
            xgap=1,
            ygap=1 if len(z) <= _MOST_WITH_GAPS else 0,
            hovertemplate=f"%{{y}}<br>%{{x}}<br>z %{{z:.2f}}<extra>{column}</extra>",
            row=last,
            col=1,
        )
    figure.update_yaxes(title="sample", autorange="reversed", type="category", row=last, col=1)
    figure.update_xaxes(
        type="category",
        tickmode="array",
        tickvals=names,
        ticktext=[
            f'{OWN_MARK}<span style="color:{NEUTRAL}">{in_figure(n)}</span>' if n in grey else n
            for n in names
        ],
        tickangle=-60 if column == "gene" else -40,
        row=last,
        col=1,
    )
    figure.update_layout(
        coloraxis={
            "colorscale": DIVERGING,
            "cmin": -end,
            "cmax": end,
            "cmid": 0,
            "colorbar": {
                "title": {"text": "predicted z", "side": "right"},
                "thickness": 12,
                "len": 0.7,
                "outlinewidth": 0,
            },
        },
        bargap=0.25,
    )
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(showgrid=False, row=last, col=1)
    if rho is not None:
        figure.update_yaxes(gridcolor=FAINT, row=1, col=1)
    height = 240 + _ROW * len(z) + (90 if rho is not None else 0)
    return finish(figure, height=int(np.clip(height, 380, _TALLEST)))


def scale_end(z: pd.DataFrame) -> float:
    """Return the end of the colour scale: the smallest round number that holds every value."""
    largest = float(np.nanmax(np.abs(z.to_numpy(dtype=float)), initial=0.0))
    return next((float(step) for step in _STEPS if step >= largest), largest)
