"""Many genes at once: how many of them lie where, in hexagons (paper, section 3.5)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.colors import sample_colorscale

from mtm_core.figures.associations.association_scatter import add_axes
from mtm_core.figures.shared.style import finish

_ACROSS = 40
"""Hexagons from the left to the right."""
_SCALE = "Viridis"
"""Rises in brightness evenly: safe for every kind of colour vision. Its darkest fifth is left out,
which cannot be seen on dark ground."""
_STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096, 16_384)
_CORNERS = np.pi / 6 + np.pi / 3 * np.arange(7)


def hexbin(points: pd.DataFrame, *, x: str, y: str, equal: bool) -> go.Figure:
    """Draw the number of genes in each hexagon, in doubling steps.

    Parameters
    ----------
    points
        ``reference`` (across) and ``own`` (up), finite.
    x, y, equal
        As in :func:`mtm_core.figures.associations.association_scatter.association_scatter`.
    """
    values = points[["reference", "own"]].to_numpy(dtype=float)
    centres, counts, size = hexagons(values)
    steps = [step for step in _STEPS if step <= counts.max()]
    colours = sample_colorscale(_SCALE, np.linspace(0.2, 1, max(2, len(steps))))
    level = np.searchsorted(steps, counts, side="right") - 1
    figure = go.Figure()
    add_axes(figure, points, x=x, y=y, equal=equal)
    outline = np.column_stack([np.cos(_CORNERS), np.sin(_CORNERS)]) * size
    for i, step in enumerate(steps):
        own = centres[level == i]
        if not len(own):
            continue
        gap = np.full((len(own), 1, 2), np.nan)
        path = np.concatenate([own[:, None, :] + outline, gap], axis=1).reshape(-1, 2)
        end = steps[i + 1] - 1 if i + 1 < len(steps) else int(counts.max())
        figure.add_scatter(
            x=path[:, 0],
            y=path[:, 1],
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=colours[i],
            name=f"{step} gene{'s' * (step > 1)}" if end <= step else f"{step} to {end} genes",
            hoverinfo="name",
        )
    finish(figure, height=560)
    figure.update_layout(margin={"t": 96})  # two rows of legend, below the buttons
    return figure


def hexagons(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Count points in hexagons with a corner at the top.

    Each point goes to the nearer centre of two lattices of rectangles, one shifted by half
    (Carr et al. 1987).

    Parameters
    ----------
    values
        (N, 2).

    Returns
    -------
    tuple
        Centres (H, 2) of the hexagons that are not empty, points (H,) in each, and the distance
        (2,) of a corner from the centre, across and up.
    """
    low, spread = values.min(axis=0), np.ptp(values, axis=0)
    width = np.where(spread > 0, spread, 1.0) / _ACROSS
    step = np.array([1.0, np.sqrt(3)])  # of a lattice, in units of the width, of regular hexagons
    unit = (values - low) / width
    first = np.round(unit / step)
    second = np.floor(unit / step) + 0.5
    nearer = ((unit - second * step) ** 2).sum(axis=1) < ((unit - first * step) ** 2).sum(axis=1)
    cell = np.where(nearer[:, None], second, first)
    found, counts = np.unique(cell, axis=0, return_counts=True)
    return found * step * width + low, counts, width / np.sqrt(3)
