"""Numbers and sets of predictable genes (pGenes) of several methods."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mtm_core.escaping import in_figure
from mtm_core.figures.shared.style import ACCENT, FAINT, NEUTRAL, finish
from mtm_core.figures.shared.tissue_marks import tissue_marks

_SET_ROW = 30


def predictable_scatter(
    counts: pd.DataFrame,
    first: str,
    other: str,
    colours: Mapping[str, str],
    abbreviations: Mapping[str, str],
) -> go.Figure:
    """Draw each tissue's number of pGenes, by one method over the other.

    Parameters
    ----------
    counts
        Result of :func:`mtm_core.evaluation.overlaps.predictable_by_tissue`.
    first, other
        The methods.
    colours, abbreviations
        GTEx's colour and abbreviation of each tissue.
    """
    figure = go.Figure()
    end = float(counts[["n_predictable", "n_predictable_other"]].to_numpy().max(initial=1)) * 1.05
    figure.add_scatter(
        x=[0, end],
        y=[0, end],
        mode="lines",
        line={"color": NEUTRAL, "width": 1, "dash": "dash"},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        customdata=np.column_stack([counts.index, counts["n"]]),
        hovertemplate=f"%{{customdata[0]}}<br>{in_figure(first)}: %{{y}}<br>"
        f"{in_figure(other)}: %{{x}}<br>"
        "%{customdata[1]:.0f} donors<extra></extra>",
        **tissue_marks(
            counts["n_predictable_other"], counts["n_predictable"], colours, abbreviations
        ),
    )
    figure.update_xaxes(title=f"predictable genes, {other}", rangemode="tozero")
    figure.update_yaxes(title=f"predictable genes, {first}", rangemode="tozero")
    return finish(figure, height=460)


def fold_change_over_size(
    counts: pd.DataFrame,
    first: str,
    other: str,
    colours: Mapping[str, str],
    abbreviations: Mapping[str, str],
) -> go.Figure:
    """Draw the fold change of pGenes, ``first`` over ``other``, over the tissue's donors.

    As :func:`predictable_scatter`. On a logarithmic axis; a tissue where either has no predictable
    gene has no place on it and is not drawn.
    """
    drawn = counts[counts["fold_change"] > 0]
    figure = go.Figure()
    figure.add_hline(y=1, line={"color": NEUTRAL, "width": 1, "dash": "dash"})
    figure.add_scatter(
        customdata=np.column_stack(
            [drawn.index, drawn["n_predictable"], drawn["n_predictable_other"]]
        ),
        hovertemplate="%{customdata[0]}<br>%{customdata[1]:.0f} over %{customdata[2]:.0f}: %{y:.2f}"
        "<br>%{x:.0f} donors<extra></extra>",
        **tissue_marks(drawn["n"], drawn["fold_change"], colours, abbreviations, log_y=True),
    )
    figure.update_xaxes(title="donors of the tissue (n)")
    figure.update_yaxes(
        title=f"fold change, {first} / {other}", type="log", dtick="D1", tickformat="~g"
    )
    return finish(figure, height=460)


def upset(sets: pd.DataFrame, sizes: pd.Series) -> go.Figure:
    """Draw how many genes are in each combination of sets (an UpSet plot).

    Parameters
    ----------
    sets
        A bool column a method and ``n``, one row a combination, in the order to draw: of
        :func:`mtm_core.evaluation.overlaps.shared_sets`.
    sizes
        Genes of each method, in all.
    """
    methods = [str(name) for name in sizes.index]
    rows = np.arange(len(methods), dtype=float)[::-1]
    columns = np.arange(len(sets), dtype=float)
    members = sets[methods].to_numpy(bool)
    names = [
        " and ".join(name for name, is_in in zip(methods, row, strict=True) if is_in) + " only"
        for row in members
    ]
    figure = make_subplots(
        rows=2,
        cols=2,
        row_heights=[0.6, 0.4],
        column_widths=[0.25, 0.75],
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=0.04,
        specs=[[None, {}], [{}, {}]],
    )
    figure.add_bar(
        x=columns,
        y=sets["n"],
        marker_color=ACCENT,
        text=[f"{n:,}" for n in sets["n"]],
        textposition="outside",
        cliponaxis=False,
        customdata=names,
        hovertemplate="%{customdata}<br>%{y:,}<extra></extra>",
        row=1,
        col=2,
    )
    inside = members.ravel()
    x, y = np.repeat(columns, len(methods)), np.tile(rows, len(sets))
    figure.add_scatter(
        x=x[~inside],
        y=y[~inside],
        mode="markers",
        marker={"size": 11, "color": FAINT},
        hoverinfo="skip",
        row=2,
        col=2,
    )
    figure.add_scatter(
        x=x[inside],
        y=y[inside],
        mode="markers",
        marker={"size": 11, "color": ACCENT},
        customdata=np.repeat(names, members.sum(axis=1)),
        hovertemplate="%{customdata}<extra></extra>",
        row=2,
        col=2,
    )
    for column, row in zip(columns, members, strict=True):
        if row.sum() > 1:
            figure.add_scatter(
                x=[column, column],
                y=[rows[row].min(), rows[row].max()],
                mode="lines",
                line={"color": ACCENT, "width": 3},
                hoverinfo="skip",
                row=2,
                col=2,
            )
    figure.add_bar(
        x=sizes.to_numpy(),
        y=rows,
        orientation="h",
        marker_color=NEUTRAL,
        width=0.6,
        customdata=methods,
        hovertemplate="%{customdata}: %{x:,} in all<extra></extra>",
        row=2,
        col=1,
    )
    figure.update_yaxes(
        title="genes", range=[0, float(sets["n"].max()) * 1.12], row=1, col=2, showticklabels=True
    )
    figure.update_yaxes(
        tickmode="array",
        tickvals=rows,
        ticktext=[f"{name} ({size:,})" for name, size in zip(methods, sizes, strict=True)],
        range=[-0.6, len(methods) - 0.4],
        showgrid=False,
        row=2,
    )
    figure.update_yaxes(showticklabels=False, row=2, col=2)
    figure.update_xaxes(showgrid=False, showticklabels=False, range=[-0.6, len(sets) - 0.4], col=2)
    figure.update_xaxes(title="in all", autorange="reversed", nticks=3, row=2, col=1)
    finish(figure, height=330 + _SET_ROW * len(methods))
    figure.update_layout(showlegend=False, bargap=0.3)
    return figure
