"""Components of a user's samples, with the reference behind them, and what goes with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.shared.style import (
    ACCENT,
    FAINT,
    NEUTRAL,
    OVER_LEGEND,
    add_rings,
    finish,
    look,
    scatter_of,
)
from mtm_core.studies.sample_components import Components, ellipse

OUTLINES = (0.9, 0.5)
"""Shares of the reference's donors within the outlines that are drawn."""
_ROW = 34


def component_scatter(
    components: Components,
    first: int,
    second: int,
    *,
    values: pd.Series | None = None,
    marked: Collection[str] = (),
    reference: bool = True,
) -> go.Figure:
    """Draw samples along two components, over the mean and the outline of the reference.

    Parameters
    ----------
    first, second
        Components, from 0.
    values
        Numbers or groups by sample, that colour them; NaN where not known.
    marked
        Samples to ring.
    reference
        Whether to draw it.
    """
    figure = go.Figure()
    scores = components.scores
    x, y = scores.columns[first], scores.columns[second]
    if reference and np.isfinite(components.centre).all():
        _add_reference(figure, components, first, second)
    if values is None:
        _add(figure, scores[x], scores[y], "samples", {"color": ACCENT, "symbol": "circle"})
    elif pd.api.types.is_numeric_dtype(values):
        known = values.reindex(scores.index)
        own = known.notna()
        _add(figure, scores.loc[~own, x], scores.loc[~own, y], "not known",
             {"color": NEUTRAL, "symbol": "circle-open"})  # fmt: skip
        _add(
            figure,
            scores.loc[own, x],
            scores.loc[own, y],
            str(values.name),
            {
                "color": known[own].to_numpy(),
                "colorscale": "Viridis",
                "showscale": True,
                "colorbar": {"title": {"text": str(values.name)}, "thickness": 12},
            },
        )
    else:
        groups = values.reindex(scores.index).astype(object)
        for i, level in enumerate(sorted(groups.dropna().unique(), key=str)):
            own = groups == level
            _add(figure, scores.loc[own, x], scores.loc[own, y], str(level), look(i))
        own = groups.isna()
        _add(figure, scores.loc[own, x], scores.loc[own, y], "not known",
             {"color": NEUTRAL, "symbol": "circle-open"})  # fmt: skip
    ringed = scores[scores.index.isin(set(marked))]
    if len(ringed):
        add_rings(figure, ringed[x], ringed[y], name="flagged")
    for axis, place, name in ((figure.update_xaxes, first, x), (figure.update_yaxes, second, y)):
        axis(title=f"{name} ({components.shares[place]:.0%} of the variance)")
    return finish(figure, height=510, top=OVER_LEGEND)


def _add_reference(figure: go.Figure, components: Components, first: int, second: int) -> None:
    for share in OUTLINES:
        line = ellipse(components, first, second, share)
        if len(line):
            figure.add_scatter(
                x=line["x"],
                y=line["y"],
                mode="lines",
                fill="toself",
                fillcolor=FAINT,
                line={"color": NEUTRAL, "width": 1, "dash": "solid" if share > 0.5 else "dot"},
                name=f"{share:.0%} of reference donors",
                hoverinfo="skip",
            )
    figure.add_scatter(
        x=[components.centre[first]],
        y=[components.centre[second]],
        mode="markers",
        marker={"size": 12, "symbol": "cross-thin", "line": {"width": 2.5, "color": NEUTRAL}},
        name="mean of the reference",
        hovertemplate="mean of the reference<extra></extra>",
    )


def _add(
    figure: go.Figure, x: pd.Series, y: pd.Series, name: str, marker: Mapping[str, object]
) -> None:
    if x.empty:
        return
    figure.add_trace(
        scatter_of(len(x))(
            x=x,
            y=y,
            mode="markers",
            marker={"size": 9, "opacity": 0.85, **marker},
            name=name,
            customdata=[str(sample) for sample in x.index],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )


def component_heatmap(tests: pd.DataFrame, fdr: float = 0.05) -> go.Figure:
    """Draw how much of each component goes with each column of the metadata.

    Parameters
    ----------
    tests
        Result of :func:`mtm_core.studies.sample_components.component_tests`.
    fdr
        At or below which a cell is starred.
    """
    columns = list(dict.fromkeys(tests["column"]))
    components = list(dict.fromkeys(tests["component"]))
    shares = tests.pivot(index="column", columns="component", values="explained")
    rates = tests.pivot(index="column", columns="component", values="fdr")
    shares, rates = (part.reindex(index=columns, columns=components) for part in (shares, rates))
    stars = np.where(rates.to_numpy(float) <= fdr, "*", "")
    figure = go.Figure(
        go.Heatmap(
            x=components,
            y=list(range(len(columns))),
            z=shares.to_numpy(float),
            text=stars,
            texttemplate="%{text}",
            customdata=rates.to_numpy(float),
            colorscale="Blues",
            zmin=0,
            zmax=1,
            colorbar={"title": {"text": "explained"}, "thickness": 12, "tickformat": ".0%"},
            hovertemplate="%{x}: %{z:.0%} explained, FDR %{customdata:.2g}<extra></extra>",
        )
    )
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(columns))), ticktext=columns, autorange="reversed"
    )
    return finish(figure, height=110 + _ROW * len(columns))
