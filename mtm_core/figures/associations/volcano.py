"""Two groups compared in every gene: fold change against FDR, one panel a tissue."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, CONTRAST, FAINT, NEUTRAL, RING, finish, scatter_of
from mtm_core.studies.change_labels import HIGHER, LOWER, UNCHANGED, UNPREDICTABLE

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
"""Places for the name of a point: right of it (1) or left (-1), above it (1) or below (-1)."""
_LETTER = (0.025, 0.05)
"""Width and height that a letter takes, as shares of a panel's."""
_PANEL = 380
_DRAWN = ["tissue", "gene_id", "gene", "log2_fold_change", "fdr", "kind"]
_DRAWN += ["rho_by_fold", "predictable"]
_COLUMNS = 2
MOST_POINTS, _LEAST_POINTS = 8_000, 400
"""Points of a figure, shared by its panels, and how many a panel has at least."""
_BINS = (72, 48)
_SHADES = [[0, "rgba(135, 148, 161, 0.18)"], [1, "rgba(135, 148, 161, 0.95)"]]


def volcano(
    table: pd.DataFrame,
    *,
    fold_change: float,
    fdr: float,
    n_labels: int,
    marked: Collection[str] = (),
    kinds: Mapping[str, str] | None = None,
) -> go.Figure:
    """Draw log2 fold change against -log10 FDR.

    Of more genes than a panel has points for (:func:`points_of_panel`) those that changed are
    drawn, the smallest FDR first; all others are counted in cells.

    Parameters
    ----------
    table
        The genes tested: ``tissue``, ``origin``, ``gene_id``, ``gene``, ``log2_fold_change``,
        ``fdr``, ``kind`` (of
        :func:`mtm_core.studies.change_labels.kind_of_change`), ``rho_by_fold`` and ``predictable``.
    fold_change, fdr
        Thresholds of ``kind``, drawn as lines.
    n_labels
        Changed genes to name in each panel, the smallest FDR first.
    marked
        Gene ids to ring and name.
    kinds
        Names of ``kind`` in the legend, where they differ.

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
    most = points_of_panel(len(tissues))
    for number, (tissue, panel) in enumerate(_panels(table[_DRAWN])):
        place = {"row": number // _COLUMNS + 1, "col": number % _COLUMNS + 1}
        height = _height(panel)
        drawn, counted = _split(panel, most)
        if not counted.empty:
            figure.add_trace(_density(counted, height[counted.index], tissue), **place)
        draw = scatter_of(len(drawn))
        for kind, marker in _MARKERS.items():
            points = drawn[drawn["kind"] == kind]
            if points.empty:
                continue
            figure.add_trace(
                draw(
                    x=points["log2_fold_change"].astype("float32"),
                    y=height[points.index].astype("float32"),
                    mode="markers",
                    marker=marker,
                    name=(kinds or {}).get(kind, kind),
                    legendgroup=kind,
                    showlegend=kind not in named,
                    text=points["gene"] + ", " + accuracy_words(points),
                    customdata=points["gene_id"],
                    hovertemplate="<b>%{text}</b><br>log2 fold change %{x:.2f}<br>"
                    f"-log10 FDR %{{y:.2f}}<extra>{in_figure(tissue)}</extra>",
                ),
                **place,
            )
            named.add(kind)
        _name_points(figure, panel, height, n_labels, marked, place)
    figure.update_xaxes(title="log2 fold change")
    figure.update_yaxes(title="-log10 FDR", rangemode="tozero")
    finish(figure, height=90 + _PANEL * n_rows)
    figure.update_layout(
        shapes=[
            line
            for number in range(len(tissues))
            for line in _thresholds(number, fold_change, -float(np.log10(fdr)))
        ],
        margin={"t": 70},
        legend={"y": 1 + 40 / (_PANEL * n_rows)},
        modebar={"remove": ["autoScale2d"]},
        dragmode="select",
    )
    return figure


def accuracy_words(table: pd.DataFrame) -> pd.Series:
    """Say the held-out accuracy of each gene of a table in a few words."""
    words = "held-out rho " + table["rho_by_fold"].map("{:.2f}".format)
    words = words.mask(table["rho_by_fold"].isna(), "held-out rho undefined")
    return words.mask(
        table["predictable"].isin(["measured", "not evaluated"]), table["predictable"]
    )


def points_of_panel(n_panels: int) -> int:
    """Return how many genes a panel draws one by one, of a figure of so many panels."""
    return max(_LEAST_POINTS, MOST_POINTS // max(n_panels, 1))


def n_counted(table: pd.DataFrame) -> int:
    """Return how many genes of ``table`` the figure counts in cells, over all its panels."""
    panels, _ = pd.factorize(table["tissue"])
    sizes = np.bincount(panels)
    most = points_of_panel(len(sizes))
    changed = np.bincount(panels[table["kind"].isin([HIGHER, LOWER])], minlength=len(sizes))
    return int((sizes - np.minimum(changed, most))[sizes > most].sum())


def genes_within(table: pd.DataFrame, selection: Mapping[str, Any]) -> list[str]:
    """Return the ids of all genes that lie within the boxes and lassos of a selection.

    Parameters
    ----------
    table
        Table that was drawn.
    selection
        As Streamlit gives it: ``box`` and ``lasso``, each a list of shapes with ``xref``, ``x`` and
        ``y``. Genes count that are drawn as a point and those that are counted in a cell.
    """
    found: dict[str, None] = {}
    tissues = table["tissue"].drop_duplicates().tolist()
    for shapes, within in ((selection.get("box"), _in_box), (selection.get("lasso"), _in_lasso)):
        for shape in shapes or ():
            number = int(str(shape["xref"]).removeprefix("x") or 1) - 1
            if not 0 <= number < len(tissues):
                continue
            panel = table[table["tissue"] == tissues[number]]
            at = np.column_stack([panel["log2_fold_change"], _height(panel)]).astype(float)
            inside = within(at, np.column_stack([shape["x"], shape["y"]]).astype(float))
            found |= dict.fromkeys(panel.loc[inside, "gene_id"].astype(str))
    return list(found)


def _panels(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each tissue with its rows; without a copy of them where they follow each other."""
    panels, tissues = pd.factorize(table["tissue"])
    follow = bool((np.diff(panels) >= 0).all())
    for number, tissue in enumerate(tissues):
        rows = slice(*np.searchsorted(panels, [number, number + 1])) if follow else panels == number
        yield str(tissue), table[rows]


def _in_box(at: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    low, high = corners.min(axis=0), corners.max(axis=0)
    return np.asarray(((at >= low) & (at <= high)).all(axis=1))


def _in_lasso(at: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which points (n, 2) a polygon holds: a ray from them crosses its sides an odd time."""
    inside = np.zeros(len(at), dtype=bool)
    x, y = at.T
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def _height(panel: pd.DataFrame) -> pd.Series:
    height: pd.Series = -np.log10(panel["fdr"].clip(lower=SMALLEST_FDR))
    return height


def _split(panel: pd.DataFrame, most: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split a panel into genes drawn as points and genes that are counted; none where all fit."""
    if len(panel) <= most:
        return panel, panel.iloc[:0]
    changed = panel[panel["kind"].isin([HIGHER, LOWER])]
    drawn = changed.sort_values("fdr", kind="stable").head(most)
    return drawn, panel.drop(index=drawn.index)


def _thresholds(number: int, fold_change: float, height: float) -> list[dict[str, Any]]:
    """Return the lines of a panel's thresholds.

    All are given to the figure at once: ``add_vline`` looks through the whole figure for each, a
    third of a second of eight panels.
    """
    x, y = (f"{axis}{number + 1 if number else ''}" for axis in "xy")
    shape = {"type": "line", "line": {"color": NEUTRAL, "dash": "dot", "width": 1}}
    upright = {**shape, "xref": x, "yref": f"{y} domain", "y0": 0, "y1": 1}
    return [
        *({**upright, "x0": at, "x1": at} for at in sorted({fold_change, -fold_change})),
        {**shape, "xref": f"{x} domain", "yref": y, "x0": 0, "x1": 1, "y0": height, "y1": height},
    ]


def _density(counted: pd.DataFrame, height: pd.Series, tissue: str) -> go.Heatmap:
    """Count genes in cells: the darker, the more, by the logarithm of their number."""
    n, x, y = np.histogram2d(counted["log2_fold_change"], height, bins=_BINS)
    shade = np.full(n.shape, np.nan, dtype=np.float32)
    np.log10(n, out=shade, where=n > 0, casting="same_kind")
    return go.Heatmap(
        x=((x[1:] + x[:-1]) / 2).astype(np.float32),
        y=((y[1:] + y[:-1]) / 2).astype(np.float32),
        z=shade.T,
        customdata=n.T.astype(np.int32),
        colorscale=_SHADES,
        showscale=False,
        hoverongaps=False,
        name="other genes",
        hovertemplate="%{customdata} other genes<br>log2 fold change about %{x:.2f}<br>"
        f"-log10 FDR about %{{y:.2f}}<extra>{in_figure(tissue)}</extra>",
    )


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
