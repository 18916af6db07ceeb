"""Preserved changes of a contrast: genes of one tissue, and the figures of every tissue."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mtm_core.escaping import in_figure
from mtm_core.figures.associations.association_scatter import add_equal_line, add_zero_lines
from mtm_core.figures.shared.style import ACCENT, CONTRAST, NEUTRAL, OVER_LEGEND, RING, finish
from mtm_core.figures.shared.tissue_rows import add_spans, name_rows, row_heights

BOTH, MEASURED, PREDICTED, NEITHER = (
    "FDR ≤ 5 % in both",
    "in measured only",
    "in predicted only",
    "in neither",
)
_LOOKS = {
    NEITHER: {"color": NEUTRAL, "symbol": "circle-open", "opacity": 0.7},
    MEASURED: {"color": CONTRAST, "symbol": "diamond", "opacity": 0.85},
    PREDICTED: {"color": "#CC79A7", "symbol": "triangle-up", "opacity": 0.85},
    BOTH: {"color": ACCENT, "symbol": "circle", "opacity": 0.85},
}
_ROW = 19
_GRID_ROW = 22
_F1_SCALE = [[0, "#D3E3F0"], [1, "#08306B"]]
"""Its low end is visible on white ground, its high end from dark."""


def changes_scatter(
    genes: pd.DataFrame,
    panels: Mapping[str, str],
    *,
    x: str,
    y: str,
    marked: Collection[str] = (),
) -> go.Figure:
    """Draw each gene's predicted change over its measured one, a panel for each adjustment.

    Parameters
    ----------
    genes
        ``panel``, ``gene_id``, ``gene``, ``observed``, ``predicted``, ``fdr_observed``,
        ``fdr_predicted`` and ``significant`` (one of the four names of this module).
    panels
        Title of each panel that ``genes`` names, in the order to draw.
    x, y
        Titles of the axes.
    marked
        Gene ids to ring and name.
    """
    figure = _panels(panels)
    named: set[str] = set()
    for column, panel in enumerate(panels, start=1):
        part = genes[genes["panel"] == panel]
        place = {"row": 1, "col": column}
        add_zero_lines(figure, **place)
        if len(part):
            ends = part[["observed", "predicted"]]
            add_equal_line(figure, ends, **_once("equal", named), **place)
        for name, look in _LOOKS.items():
            own = part[part["significant"] == name]
            if own.empty:
                continue
            figure.add_scatter(
                x=own["observed"],
                y=own["predicted"],
                mode="markers",
                marker={"size": 9, **look},
                name=name,
                **_once(name, named),
                text=own["gene"],
                customdata=own[["gene_id", "fdr_observed", "fdr_predicted"]],
                hovertemplate="<b>%{text}</b><br>measured %{x:.3f} (FDR %{customdata[1]:.2g})<br>"
                "predicted %{y:.3f} (FDR %{customdata[2]:.2g})"
                + f"<extra>{in_figure(name)}</extra>",
                **place,
            )
        ringed = part[part["gene_id"].isin(set(marked))]
        if len(ringed):
            figure.add_scatter(
                x=ringed["observed"],
                y=ringed["predicted"],
                mode="markers+text",
                marker={"size": 16, **RING, "color": NEUTRAL},
                text=ringed["gene"],
                textposition="top center",
                cliponaxis=False,
                hoverinfo="skip",
                showlegend=False,
                **place,
            )
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y, col=1)
    return _with_titles(figure, height=500)


def preserved_by_tissue(
    rows: pd.DataFrame,
    panels: Mapping[str, str],
    colours: Mapping[str, str],
    *,
    title: str,
    chosen: str | None = None,
) -> go.Figure:
    """Draw each tissue's agreement with its interval, beside what shuffled labels give.

    Parameters
    ----------
    rows
        ``panel``, ``tissue``, ``rho``, ``rho_low``, ``rho_high``, ``shuffled``, ``shuffle_p``,
        ``n_genes`` and ``people``, a text. Tissues are drawn in the order in which they come.
    panels
        As :func:`changes_scatter`.
    colours
        GTEx's colour of each tissue. Names are written beside them.
    title
        Title of the axis of rho.
    chosen
        Tissue whose name is set in bold.
    """
    tissues = list(dict.fromkeys(str(name) for name in rows["tissue"]))
    place_of = dict(zip(tissues, row_heights(len(tissues)), strict=True))
    figure = _panels(panels)
    named: set[str] = set()
    for column, panel in enumerate(panels, start=1):
        part = rows[rows["panel"] == panel]
        height = part["tissue"].map(place_of)
        place = {"row": 1, "col": column}
        figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1}, **place)
        add_spans(figure, part["rho_low"], part["rho_high"], height, **place)
        figure.add_scatter(
            x=part["shuffled"],
            y=height,
            mode="markers",
            marker={
                "symbol": "line-ns-open",
                "size": 11,
                "color": CONTRAST,
                "line": {"width": 2.5},
            },
            name="labels shuffled, median",
            **_once("shuffled", named),
            customdata=part["tissue"],
            hovertemplate="%{customdata}<br>shuffled %{x:.2f}<extra></extra>",
            **place,
        )
        for beyond, name in ((True, "beyond shuffled (5 %)"), (False, "not beyond shuffled")):
            own = part[(part["shuffle_p"] < 0.05) == beyond]
            if own.empty:
                continue
            tint = [colours.get(str(tissue), NEUTRAL) for tissue in own["tissue"]]
            figure.add_scatter(
                x=own["rho"],
                y=own["tissue"].map(place_of),
                mode="markers",
                marker={
                    "size": 11,
                    # A ring in the tissue's colour would be lost on ground of that colour.
                    "symbol": "circle" if beyond else "circle-open",
                    "color": tint if beyond else NEUTRAL,
                    "line": {"width": 2, "color": NEUTRAL},
                },
                name=name,
                **_once(name, named),
                customdata=own[["tissue", "n_genes", "people", "shuffled", "shuffle_p"]],
                hovertemplate="<b>%{customdata[0]}</b><br>rho %{x:.2f} over %{customdata[1]} genes"
                "<br>%{customdata[2]}<br>shuffled %{customdata[3]:.2f}, p = %{customdata[4]:.3f}"
                "<extra></extra>",
                **place,
            )
    figure.update_xaxes(title=title)
    name_rows(figure, tissues, chosen=chosen)
    return _with_titles(figure, height=200 + _ROW * len(tissues))


def overlap_grid(f1: pd.DataFrame, stars: pd.DataFrame, notes: pd.DataFrame) -> go.Figure:
    """Draw how well changed genes are found again (paper, Figure 3b).

    Parameters
    ----------
    f1
        (tissues, contrasts) F1 score; NaN where there is nothing to find.
    stars
        (tissues, contrasts) text in the cell: how sure the overlap is.
    notes
        (tissues, contrasts) text when pointed at.
    """
    columns = [str(name) for name in f1.columns]
    figure = go.Figure()
    figure.add_heatmap(
        x=columns,
        y=[str(name) for name in f1.index],
        z=f1.to_numpy(dtype=float),
        text=stars.to_numpy(dtype=str),
        texttemplate="%{text}",
        customdata=notes.to_numpy(dtype=str),
        zmin=0,
        zmax=1,
        colorscale=_F1_SCALE,
        hoverongaps=False,
        xgap=2,
        ygap=1,
        colorbar={"title": {"text": "F1", "side": "right"}, "thickness": 12, "outlinewidth": 0},
        hovertemplate="<b>%{y}</b><br>%{x}<br>F1 %{z:.2f}<br>%{customdata}<extra></extra>",
    )
    figure.update_xaxes(type="category", tickangle=-35, showgrid=False, dtick=1, side="bottom")
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, dtick=1)
    return finish(figure, height=200 + _GRID_ROW * len(f1))


def _panels(titles: Mapping[str, str]) -> go.Figure:
    """Return panels side by side, their axes of one range: so that they can be compared."""
    figure = make_subplots(
        cols=len(titles),
        subplot_titles=list(titles.values()),
        shared_yaxes=True,
        horizontal_spacing=0.03,
    )
    return figure.update_xaxes(matches="x")


def _with_titles(figure: go.Figure, *, height: int) -> go.Figure:
    """Finish a figure of panels: the legend over their titles."""
    finish(figure, height=height)
    figure.update_annotations(font={"size": 13})
    return figure.update_layout(
        margin={"t": OVER_LEGEND + 46},
        legend={"y": 1 - 34 / height, "yref": "container", "yanchor": "top"},
    )


def _once(name: str, named: set[str]) -> dict[str, Any]:
    """Name a trace in the legend the first time it is drawn, for all panels."""
    first = name not in named
    named.add(name)
    return {"legendgroup": name, "showlegend": first}
