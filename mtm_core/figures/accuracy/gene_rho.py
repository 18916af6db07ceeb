"""How well single genes are predicted: all genes of some tissues, or one gene in all tissues."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.escaping import in_figure
from mtm_core.evaluation.accuracy import PREDICTABLE_RHO
from mtm_core.figures.shared.style import ACCENT, CONTRAST, NEUTRAL, finish, jitter
from mtm_core.figures.shared.tissue_rows import name_rows, row_heights

MOST_POINTS = 150
"""Genes of a tissue that are drawn one by one; of more, the box alone."""
_BOX_ROW, _GENE_ROW = 26, 20
_RULE = {"color": NEUTRAL, "width": 1.5, "dash": "dash"}


def rho_boxes(
    distribution: pd.DataFrame,
    rho: pd.DataFrame,
    colours: Mapping[str, str],
    labels: Mapping[str, str],
    *,
    gene_id: str,
) -> go.Figure:
    """Draw the distribution of gene-wise rho in each tissue; the whiskers hold 90 % of the genes.

    Parameters
    ----------
    distribution
        Result of :func:`mtm_core.evaluation.predictability.distribution_of_rho`, in the order to
        draw.
    rho
        (tissues, gene ids) of the same tissues; drawn if there are at most ``MOST_POINTS`` genes.
    colours
        GTEx's colour of each tissue. Names are written beside them.
    labels
        Label of each gene id.
    gene_id
        Gene that is marked by a star in each tissue.
    """
    rows = row_heights(len(distribution))
    figure = go.Figure()
    for row, (tissue, quantiles) in zip(rows, distribution.iterrows(), strict=True):
        if quantiles["n_genes"] == 0:
            continue
        figure.add_box(
            y=[row],
            orientation="h",
            lowerfence=[quantiles[0.05]],
            q1=[quantiles[0.25]],
            median=[quantiles[0.5]],
            q3=[quantiles[0.75]],
            upperfence=[quantiles[0.95]],
            width=0.7,
            line={"color": NEUTRAL, "width": 2},
            fillcolor=_pale(colours.get(str(tissue), NEUTRAL)),
            name=str(tissue),
            showlegend=False,
            hoverinfo="x",
        )
    if rho.shape[1] <= MOST_POINTS:
        figure.add_scatter(
            x=rho.to_numpy(float).ravel(),
            y=(rows[:, None] + jitter(rho.shape[1], 0.55)).ravel(),
            mode="markers",
            marker={"size": 4, "color": NEUTRAL},
            customdata=[
                (labels[str(gene)], str(tissue)) for tissue in rho.index for gene in rho.columns
            ],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>by fold %{x:.3f}<extra></extra>",
            showlegend=False,
        )
    if gene_id in rho:
        figure.add_scatter(
            x=rho[gene_id],
            y=rows,
            mode="markers",
            marker={
                "symbol": "star",
                "size": 12,
                "color": CONTRAST,
                "line": {"width": 1, "color": "white"},
            },
            name=labels[gene_id],
            customdata=[str(tissue) for tissue in rho.index],
            hovertemplate=f"{in_figure(labels[gene_id])}<br>%{{customdata}}<br>by fold %{{x:.3f}}"
            "<extra></extra>",
            showlegend=True,
        )
    figure.update_yaxes(
        tickmode="array",
        tickvals=rows,
        ticktext=[str(tissue) for tissue in distribution.index],
        range=[-0.7, len(rows) - 0.3],
        showgrid=False,
    )
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    figure.update_xaxes(title="gene-wise rho, by fold")
    return finish(figure, height=120 + _BOX_ROW * len(rows))


def gene_over_tissues(
    table: pd.DataFrame, colours: Mapping[str, str], *, chosen: str | None = None
) -> go.Figure:
    """Draw the rho of one gene in each tissue: pooled with its interval, by fold, adjusted.

    Parameters
    ----------
    table
        Result of :func:`mtm_core.evaluation.predictability.tissues_of_gene`; tissues in which the
        gene has no rho by fold keep an empty row.
    colours
        GTEx's colour of each tissue. Names are written beside them.
    chosen
        Tissue whose name is set in bold.
    """
    rows = row_heights(len(table))
    figure = go.Figure()
    about = np.column_stack([table.index, table["n"]])
    pooled = table["rho_pooled"]
    hover = "%{customdata[0]}, n = %{customdata[1]:.0f}<br>"
    has_interval = {"rho_low", "rho_high"} <= set(table)
    if has_interval:
        about = np.column_stack([about, table[["rho_low", "rho_high"]]])
    figure.add_scatter(
        x=pooled,
        y=rows,
        mode="markers",
        marker={
            "size": 11,
            "color": [colours.get(str(tissue), NEUTRAL) for tissue in table.index],
            "line": {"width": 1.5, "color": NEUTRAL},
        },
        error_x={
            "array": table["rho_high"] - pooled,
            "arrayminus": pooled - table["rho_low"],
            "color": NEUTRAL,
            "thickness": 1.5,
            "width": 3,
        }
        if has_interval
        else None,
        name="pooled, with 95 % interval" if has_interval else "pooled",
        customdata=about,
        hovertemplate=hover
        + "pooled %{x:.3f}"
        + (" (%{customdata[2]:.3f} to %{customdata[3]:.3f})" if has_interval else "")
        + "<extra></extra>",
    )
    for column, name, marker in (
        ("rho_by_fold", "by fold", {"symbol": "line-ns", "color": ACCENT, "size": 13}),
        (
            "adjusted_rho_by_fold",
            "adjusted rho, by fold",
            {"symbol": "diamond-open", "color": CONTRAST},
        ),
    ):
        if column in table:
            figure.add_scatter(
                x=table[column],
                y=rows,
                mode="markers",
                marker={"size": 8, **marker, "line": {"width": 2.5, "color": marker["color"]}},
                name=name,
                customdata=about,
                hovertemplate=f"{hover}{name} %{{x:.3f}}<extra></extra>",
            )
    figure.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    figure.add_vline(x=PREDICTABLE_RHO, line=_RULE)
    name_rows(figure, table.index, chosen=chosen)
    figure.update_xaxes(title="rho over held-out donors")
    return finish(figure, height=120 + _GENE_ROW * len(rows))


def _pale(colour: str) -> str:
    """Return ``colour`` (#RRGGBB) so that what lies on it can be seen, on light and dark ground."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.45)"
