"""Activity scores of many samples at a glance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.figures.samples.heatmap import scale_end
from mtm_core.figures.shared.style import DIVERGING, finish

MOST_SOURCES = 40
_LONGEST_NAME = 44
_ROW = 22
_SHARE = 99.0
"""Percentile of the scores' sizes that the ends of the colours are at."""


def sources_to_draw(scores: pd.DataFrame, n_sources: int = MOST_SOURCES) -> list[str]:
    """Return the sources whose scores vary most among the samples, the most varying first."""
    spread = scores.dropna(axis=1, how="all").std(ddof=0).fillna(0)
    ordered = spread.sort_values(ascending=False, kind="stable")
    return [str(name) for name in ordered.index[:n_sources]]


def activity_heatmap(scores: pd.DataFrame, groups: pd.Series | None = None) -> go.Figure:
    """Draw scores: sources in rows, those that vary most first; samples in columns, by group.

    Parameters
    ----------
    scores
        (samples, sources); at most ``MOST_SOURCES`` are drawn.
    groups
        Group by sample, NaN where not known: samples are ordered by it, and named with it.
    """
    order = scores.index
    if groups is not None:
        known = groups.reindex(scores.index).astype(object).fillna("")
        order = known.sort_values(kind="stable").index
    names = sources_to_draw(scores)
    drawn = scores.loc[order, names]
    end = scale_end(pd.DataFrame([np.nanpercentile(np.abs(drawn), _SHARE)] if names else [1.0]))
    named = [f"{sample} {known[sample]}" if groups is not None else str(sample) for sample in order]
    figure = go.Figure()
    # A trace a row: as the data of each cell its names were nine tenths of what a browser got.
    for row, name in enumerate(names):
        figure.add_heatmap(
            z=drawn[[name]].to_numpy(dtype=np.float32).T,
            x0=0,
            dx=1,
            y=[row],
            name=name,
            coloraxis="coloraxis",
            hovertemplate=f"{in_figure(name)}<br>%{{x}}<br>score %{{z:.2f}}<extra></extra>",
        )
    figure.update_layout(
        coloraxis={
            "colorscale": DIVERGING,
            "cmin": -end,
            "cmax": end,
            "colorbar": {"title": {"text": "score"}, "thickness": 12, "len": 0.8},
        }
    )
    figure.update_xaxes(
        title="sample",
        tickvals=list(range(len(named))),
        ticktext=named,  # also what is written over a cell
        showticklabels=len(order) <= _ROW * 3,
        showgrid=False,
        ticks="",
    )
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        ticktext=[n if len(n) <= _LONGEST_NAME else f"{n[: _LONGEST_NAME - 1]}…" for n in names],
        autorange="reversed",
        showgrid=False,
    )
    return finish(figure, height=160 + _ROW * max(len(names), 6))
