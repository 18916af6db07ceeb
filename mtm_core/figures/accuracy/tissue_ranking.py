"""In which tissues a method predicts, and what the number of donors has to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.shared.style import CONTRAST, NEUTRAL, finish
from mtm_core.figures.shared.tissue_marks import tissue_marks
from mtm_core.figures.shared.tissue_rows import add_spans, name_rows, row_heights

_ROW = 19


def tissue_ranking(
    ranking: pd.DataFrame,
    colours: Mapping[str, str],
    *,
    n_genes: int,
    chosen: str | None = None,
) -> go.Figure:
    """Draw each tissue's mean gene-wise rho, raw and adjusted, joined by a line.

    Parameters
    ----------
    ranking
        Result of :func:`mtm_core.evaluation.predictability.rank_tissues`; without
        ``gene_adjusted_rho_by_fold`` the raw one is alone.
    colours
        GTEx's colour of each tissue. Names are written beside them.
    n_genes
        Number of genes scored in each tissue.
    chosen
        Tissue whose name is set in bold.
    """
    rows = row_heights(len(ranking))
    raw = ranking["gene_rho_by_fold"].to_numpy(float)
    figure = go.Figure()
    about = np.column_stack([ranking.index, ranking["n"], ranking["n_predictable"]])
    hover = (
        "%{customdata[0]}<br>%{customdata[2]:.0f} of "
        f"{n_genes:,} genes predictable<br>%{{customdata[1]:.0f}} donors<br>"
    )
    if "gene_adjusted_rho_by_fold" in ranking:
        adjusted = ranking["gene_adjusted_rho_by_fold"].to_numpy(float)
        add_spans(figure, adjusted, raw, rows)
        figure.add_scatter(
            x=adjusted,
            y=rows,
            mode="markers",
            marker={
                "symbol": "diamond-open",
                "size": 9,
                "color": CONTRAST,
                "line": {"width": 2},
            },
            name="adjusted",
            customdata=about,
            hovertemplate=hover + "adjusted %{x:.3f}<extra></extra>",
        )
    figure.add_scatter(
        x=raw,
        y=rows,
        mode="markers",
        marker={
            "size": 12,
            "color": [colours.get(str(tissue), NEUTRAL) for tissue in ranking.index],
            "line": {"width": 1.5, "color": NEUTRAL},
        },
        name="by fold (tissue's GTEx colour)",
        customdata=about,
        hovertemplate=hover + "by fold %{x:.3f}<extra></extra>",
    )
    notes = [f"{n_predictable:.0f} · {n:,.0f}" for _, n, n_predictable in about]
    # All at once: plotly looks through those there are with each that is added.
    figure.update_layout(
        annotations=[
            *(_note(row, note) for row, note in zip(rows, notes, strict=True)),
            _note(len(rows), "genes · donors"),
        ]
    )
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    name_rows(figure, ranking.index, chosen=chosen, above=1.4)
    figure.update_xaxes(title="mean gene-wise rho, by fold")
    finish(figure, height=130 + _ROW * len(ranking))
    figure.update_layout(margin={"r": 110})
    return figure


def rho_against_size(
    ranking: pd.DataFrame, colours: Mapping[str, str], abbreviations: Mapping[str, str]
) -> go.Figure:
    """Draw each tissue's mean gene-wise rho, by fold, over its number of donors."""
    figure = go.Figure()
    known = ranking.dropna(subset="gene_rho_by_fold")
    figure.add_scatter(
        customdata=[str(tissue) for tissue in known.index],
        hovertemplate="%{customdata}<br>by fold %{y:.3f}<br>%{x:.0f} donors<extra></extra>",
        **tissue_marks(known["n"], known["gene_rho_by_fold"], colours, abbreviations),
    )
    figure.update_xaxes(title="donors of the tissue (n)")
    figure.update_yaxes(title="mean gene-wise rho, by fold", rangemode="tozero")
    return finish(figure, height=420)


def _note(row: float, text: str) -> dict[str, Any]:
    return {
        "x": 1.01,
        "xref": "paper",
        "y": row,
        "text": text,
        "showarrow": False,
        "xanchor": "left",
        "font": {"size": 12, "color": NEUTRAL},
    }
