"""One gene in every sample against a number of the metadata, tissue beside tissue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, CONTRAST, finish, scatter_of

MOST_PANELS = 9
_COLUMNS = 3
_ROW = 300


def number_scatter(
    values: pd.DataFrame,
    number: pd.Series,
    slopes: Mapping[str, float],
    *,
    name: str,
    scale: str,
) -> go.Figure:
    """Draw a panel for each tissue: the samples, and a line through their means.

    Parameters
    ----------
    values
        (samples, tissues) log2 expression of one gene; the first ``MOST_PANELS`` are drawn.
    number
        By sample; samples without one are left out.
    slopes
        Slope of the line by tissue, such as one adjusted for other columns; no line without.
    name
        Name of the number.
    scale
        Scale of ``values``, in words.
    """
    tissues = [str(tissue) for tissue in values.columns[:MOST_PANELS]]
    x = pd.to_numeric(number.reindex(values.index)).to_numpy(dtype=np.float64)
    n_columns = min(len(tissues), _COLUMNS)
    n_rows = -(-len(tissues) // n_columns)
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        subplot_titles=[in_figure(tissue) for tissue in tissues],
        horizontal_spacing=0.07,
        vertical_spacing=0.16 if n_rows > 1 else 0,
    )
    for i, tissue in enumerate(tissues):
        y = values[tissue].to_numpy(dtype=np.float64)
        known = np.isfinite(x) & np.isfinite(y)
        place = {"row": i // n_columns + 1, "col": i % n_columns + 1}
        figure.add_trace(
            scatter_of(len(tissues) * len(values))(
                x=x[known],
                y=y[known],
                mode="markers",
                marker={"color": ACCENT, "size": 7, "opacity": 0.75},
                name="samples",
                legendgroup="samples",
                showlegend=i == 0,
                customdata=[str(sample) for sample in values.index[known]],
                hovertemplate=f"%{{customdata}}<br>{in_figure(name)} %{{x:.4g}}<br>%{{y:.2f}}"
                f"<extra>{in_figure(tissue)}</extra>",
            ),
            **place,
        )
        slope = slopes.get(tissue, float("nan"))
        if known.any() and np.isfinite(slope):
            ends = np.array([x[known].min(), x[known].max()])
            figure.add_scatter(
                x=ends,
                y=y[known].mean() + slope * (ends - x[known].mean()),
                mode="lines",
                line={"color": CONTRAST, "width": 2.5},
                name="fitted line",
                legendgroup="line",
                showlegend=i == 0,
                hovertemplate=f"{slope:.4g} per 1<extra>{in_figure(tissue)}</extra>",
                **place,
            )
        figure.update_xaxes(title=name, **place)
        if place["col"] == 1:
            figure.update_yaxes(title=scale, **place)
    return finish(figure, height=120 + _ROW * n_rows)
