"""Two groups compared in every gene: fold change against FDR, one panel a tissue."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from mtm_core.escaping import in_figure
from mtm_core.figures.style import ACCENT, CONTRAST, FAINT, NEUTRAL, RING, finish, scatter_of
from mtm_core.studies.own_cohort import HIGHER, LOWER, UNCHANGED, UNPREDICTABLE

SMALLEST_FDR = 1e-300
"""An FDR below, as of 0, is drawn here: its logarithm would be infinite."""
_MARKERS = {
    UNPREDICTABLE: {"color": FAINT, "symbol": "circle-open", "size": 6},
    UNCHANGED: {"color": NEUTRAL, "symbol": "circle", "size": 6, "opacity": 0.7},
    LOWER: {"color": ACCENT, "symbol": "triangle-down", "size": 9},
    HIGHER: {"color": CONTRAST, "symbol": "triangle-up", "size": 9},
}
"""Kinds of points in the order they are drawn; symbols tell them apart without colour."""
_SIDES = {
    f"{up} {right}": (x, y)
    for up, y in (("top", 1), ("bottom", -1), ("middle", 0))
    for right, x in (("left", -1), ("right", 1))
}
"""Where the name of a point can go: right of it (1) or left (-1), above it (1) or below (-1)."""
_LETTER = (0.025, 0.05)
"""Width and height that a letter takes, as shares of a panel's."""
_PANEL = 380
_COLUMNS = 2


def volcano(
    table: pd.DataFrame,
    *,
    fold_change: float,
    fdr: float,
    n_labels: int,
    marked: Collection[str] = (),
) -> go.Figure:
    """Draw log2 fold change against -log10 FDR.

    Parameters
    ----------
    table
        The genes tested: ``tissue``, ``origin``, ``gene_id``, ``gene``, ``log2_fold_change``,
        ``fdr``, ``kind`` (of :func:`mtm_core.studies.own_cohort.kind_of_change`) and ``accuracy``,
        words.
    fold_change, fdr
        Thresholds of ``kind``, drawn as lines.
    n_labels
        Changed genes to name in each panel, the smallest FDR first.
    marked
        Gene ids to ring and name.

    Returns
    -------
    go.Figure
        Each point's ``customdata`` is its gene id.
    """
    tissues = table[["tissue", "origin"]].drop_duplicates()
    n_rows = max(1, ceil(len(tissues) / _COLUMNS))
    n_columns = min(_COLUMNS, max(1, len(tissues)))
    figure = make_subplots(
        rows=n_rows,
        cols=n_columns,
        subplot_titles=[f"{in_figure(row.tissue)} ({row.origin})" for row in tissues.itertuples()],
        horizontal_spacing=0.08,
        vertical_spacing=0.16 / n_rows,
    )
    named: set[str] = set()
    for number, tissue in enumerate(tissues["tissue"]):
        place = {"row": number // _COLUMNS + 1, "col": number % _COLUMNS + 1}
        panel = table[table["tissue"] == tissue]
        height = -np.log10(panel["fdr"].clip(lower=SMALLEST_FDR))
        draw = scatter_of(len(panel))
        for kind, marker in _MARKERS.items():
            points = panel[panel["kind"] == kind]
            if points.empty:
                continue
            figure.add_trace(
                draw(
                    x=points["log2_fold_change"].astype("float32"),
                    y=height[points.index].astype("float32"),
                    mode="markers",
                    marker=marker,
                    name=kind,
                    legendgroup=kind,
                    showlegend=kind not in named,
                    text=points["gene"] + ", " + points["accuracy"],
                    customdata=points["gene_id"],
                    hovertemplate="<b>%{text}</b><br>log2 fold change %{x:.2f}<br>"
                    f"-log10 FDR %{{y:.2f}}<extra>{in_figure(tissue)}</extra>",
                ),
                **place,
            )
            named.add(kind)
        _name_points(figure, panel, height, n_labels, marked, place)
        for x in {fold_change, -fold_change}:
            figure.add_vline(x=x, line={"color": NEUTRAL, "dash": "dot", "width": 1}, **place)
        figure.add_hline(
            y=-np.log10(fdr), line={"color": NEUTRAL, "dash": "dot", "width": 1}, **place
        )
    figure.update_xaxes(title="log2 fold change")
    figure.update_yaxes(title="-log10 FDR", rangemode="tozero")
    finish(figure, height=90 + _PANEL * n_rows)
    figure.update_layout(
        margin={"t": 70},
        legend={"y": 1 + 40 / (_PANEL * n_rows)},
        modebar={"remove": ["autoScale2d"]},
        dragmode="select",
    )
    return figure


def _sides(at: NDArray[np.float64], letters: Sequence[int]) -> list[str]:
    """Choose where the names of points go so that none lies on another, or on another's point.

    Parameters
    ----------
    at
        Points (n, 2) in shares of the panel; of two that are in each other's way, the first stays.
    letters
        Length of each name.
    """
    taken = [(point, np.zeros(2)) for point in at]
    sides = []
    for i, n in enumerate(letters):
        size = np.array([n, 1]) * _LETTER
        middles = {side: at[i] + np.array(way) * size / 2 for side, way in _SIDES.items()}
        hidden = {
            side: sum(
                bool((np.abs(middle - other) < (size + its_size) / 2).all())
                for j, (other, its_size) in enumerate(taken)
                if j != i
            )
            for side, middle in middles.items()
        }
        side = min(hidden, key=hidden.__getitem__)
        sides.append(side)
        taken.append((middles[side], size))
    return sides


def _name_points(
    figure: go.Figure,
    panel: pd.DataFrame,
    height: pd.Series,
    n_labels: int,
    marked: Collection[str],
    place: dict[str, int],
) -> None:
    """Write the names of the foremost genes; ring and name those that are marked."""
    changed = panel[panel["kind"].isin([HIGHER, LOWER])]
    foremost = changed.sort_values(["fdr", "gene"], kind="stable").head(n_labels)
    ringed = panel[panel["gene_id"].isin(set(marked))]
    foremost = foremost.drop(index=ringed.index, errors="ignore")
    named = panel.loc[ringed.index.append(foremost.index)]
    spread = np.array([np.ptp(panel["log2_fold_change"]) or 1.0, height.max() or 1.0])
    at = np.column_stack([named["log2_fold_change"], height[named.index]]) / spread
    sides = pd.Series(_sides(at, [len(name) for name in named["gene"]]), index=named.index)
    for points, marker in (
        (foremost, {"opacity": 0}),
        (ringed, {"size": 15, **RING}),
    ):
        if points.empty:
            continue
        figure.add_trace(
            go.Scatter(
                x=points["log2_fold_change"],
                y=height[points.index],
                mode="markers+text",
                marker=marker,
                text=points["gene"],
                customdata=points["gene_id"],
                textposition=sides[points.index],
                hoverinfo="skip",
                showlegend=False,
                cliponaxis=False,
            ),
            **place,
        )
