"""How far a user's samples lie from the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.shared.style import (
    ACCENT,
    CONTRAST,
    FAINT,
    NEUTRAL,
    finish,
    jitter,
    scatter_of,
)


def distance_strips(distance: pd.DataFrame, reference: pd.Series) -> go.Figure:
    """Draw each sample's distance before and after alignment over the reference's own range.

    Parameters
    ----------
    distance
        ``distance_before``, ``distance_after`` by sample.
    reference
        Quantiles of the reference samples' distance, by level; holds 0.05, 0.5 and 0.95.
    """
    figure = _over_reference(reference)
    figure.add_vline(x=reference[0.5], line={"color": NEUTRAL, "dash": "dot", "width": 1.5})
    for row, (column, name, colour, symbol) in enumerate(
        (
            ("distance_after", "after alignment", ACCENT, "circle"),
            ("distance_before", "before alignment", CONTRAST, "diamond"),
        )
    ):
        figure.add_trace(
            scatter_of(len(distance))(
                x=distance[column],
                y=row + jitter(len(distance), 0.5),
                mode="markers",
                marker={"size": 8, "color": colour, "symbol": symbol, "opacity": 0.75},
                name=name,
                customdata=[str(sample) for sample in distance.index],
                hovertemplate=f"%{{customdata}}<br>{name}: %{{x:.2f}}<extra></extra>",
                showlegend=False,
            )
        )
    figure.update_yaxes(
        tickmode="array",
        tickvals=[0, 1],
        ticktext=["after alignment", "before alignment"],
        range=[-0.55, 1.55],
        showgrid=False,
    )
    return finish(figure, height=260)


def distance_by_batch(
    distance: pd.DataFrame, batches: Sequence[str], reference: pd.Series
) -> go.Figure:
    """Draw each sample's distance before and after alignment in a row for its batch.

    Parameters
    ----------
    distance, reference
        As in :func:`distance_strips`.
    batches
        Batch of each sample.
    """
    names = sorted(set(batches))
    row_of = {name: row for row, name in enumerate(reversed(names))}
    own_row = np.array([row_of[name] for name in batches], dtype=np.float64)
    figure = _over_reference(reference)
    for column, name, colour, symbol, below in (
        ("distance_before", "before alignment", CONTRAST, "diamond", 0.2),
        ("distance_after", "after alignment", ACCENT, "circle", -0.2),
    ):
        figure.add_trace(
            scatter_of(len(distance))(
                x=distance[column],
                y=own_row + below + jitter(len(distance), 0.3),
                mode="markers",
                marker={"size": 7, "color": colour, "symbol": symbol, "opacity": 0.75},
                name=name,
                customdata=[
                    [str(sample), str(batch)]
                    for sample, batch in zip(distance.index, batches, strict=True)
                ],
                hovertemplate="%{customdata[0]}, batch %{customdata[1]}"
                f"<br>{name}: %{{x:.2f}}<extra></extra>",
            )
        )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(row_of.values()),
        ticktext=[str(name) for name in row_of],
        range=[-0.6, len(names) - 0.4],
        showgrid=False,
    )
    return finish(figure, height=min(1200, 170 + 46 * len(names)))


def _over_reference(reference: pd.Series) -> go.Figure:
    """Return a figure whose horizontal axis is distance, with the reference's own range."""
    figure = go.Figure()
    figure.add_vrect(
        x0=reference[0.05],
        x1=reference[0.95],
        fillcolor=FAINT,
        line_width=0,
        annotation_text="90 % of reference donors",
        annotation_position="outside top left",
        annotation_font_color=NEUTRAL,
    )
    return figure.update_xaxes(
        title="root mean square of the sample's z-scores (1: a typical reference sample)",
        rangemode="tozero",
    )
