"""A row for each tissue, the first on top: its height, its name beside it, spans along it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import FAINT, OWN_MARK


def row_heights(n_rows: int) -> NDArray[np.float64]:
    """Return the heights (n_rows,) of rows from the top to 0."""
    return np.arange(n_rows, dtype=float)[::-1]


def name_rows(
    figure: go.Figure, names: Sequence[object], *, chosen: str | None = None, above: float = 0.8
) -> None:
    """Name the rows from the top, ``chosen`` in bold, with room for ``above`` rows over them."""
    figure.update_yaxes(
        tickmode="array",
        tickvals=row_heights(len(names)),
        ticktext=[
            f"{OWN_MARK}<b>{in_figure(name)}</b>" if name == chosen else str(name) for name in names
        ],
        range=[-0.8, len(names) - 1 + above],
        showgrid=False,
    )


def add_spans(
    figure: go.Figure, low: ArrayLike, high: ArrayLike, heights: ArrayLike, **place: int
) -> None:
    """Draw a broad pale line in each row, from ``low`` to ``high``."""
    heights = np.asarray(heights, dtype=float)
    gap = np.full(len(heights), np.nan)
    figure.add_scatter(
        x=np.column_stack([low, high, gap]).ravel(),
        y=np.column_stack([heights, heights, gap]).ravel(),
        mode="lines",
        line={"color": FAINT, "width": 4},
        hoverinfo="skip",
        showlegend=False,
        **place,
    )
