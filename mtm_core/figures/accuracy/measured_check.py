"""Predictions held to measured samples: rho of the genes, and against what was promised."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.shared.style import ACCENT, CONTRAST, NEUTRAL, finish

MOST_POINTS = 3_000
"""Genes that are drawn one by one; of more, tenths of them."""
_TENTHS = 10


def rho_histogram(counts: pd.DataFrame) -> go.Figure:
    """Draw how many genes have which rho, and how many would among shuffled people.

    Parameters
    ----------
    counts
        ``low``, ``high``, ``genes`` and ``shuffled`` of each bin.
    """
    middle = (counts["low"] + counts["high"]) / 2
    figure = go.Figure()
    figure.add_bar(
        x=middle,
        y=counts["genes"],
        width=(counts["high"] - counts["low"]) * 0.9,
        marker={"color": ACCENT},
        name="your people",
        hovertemplate="rho %{x:.2f}: %{y:,} genes<extra></extra>",
    )
    figure.add_scatter(
        x=middle,
        y=counts["shuffled"],
        mode="lines",
        line={"color": CONTRAST, "width": 2.5, "shape": "hvh"},
        name="people shuffled (mean)",
        hovertemplate="rho %{x:.2f}: %{y:,.1f} genes, shuffled<extra></extra>",
    )
    figure.update_xaxes(title="rho of predicted and measured, by gene", range=[-1, 1])
    figure.update_yaxes(title="genes")
    return finish(figure, height=320)


def promised_table(genes: pd.DataFrame) -> pd.DataFrame:
    """Return what :func:`promised_rho` draws: each gene, or quartiles of tenths of many.

    Parameters
    ----------
    genes
        ``symbol``, ``rho``, ``out_of_fold_rho`` and ``holds``.
    """
    known = genes[genes["rho"].notna() & genes["out_of_fold_rho"].notna()]
    if len(known) <= MOST_POINTS:
        return known[["symbol", "out_of_fold_rho", "rho", "holds"]].reset_index()
    tenth = pd.qcut(known["out_of_fold_rho"], _TENTHS, labels=False, duplicates="drop")
    parts = known.groupby(tenth)
    table = parts["rho"].quantile([0.05, 0.25, 0.5, 0.75, 0.95]).unstack()
    table.columns = pd.Index([f"rho_{level:g}" for level in table.columns])
    return table.assign(
        out_of_fold_rho=parts["out_of_fold_rho"].median(),
        share_that_holds=parts["holds"].mean(),
        genes=parts.size(),
    ).reset_index(drop=True)


def promised_rho(table: pd.DataFrame) -> go.Figure:
    """Draw rho here over rho out of fold in GTEx; the line is where both are the same.

    Parameters
    ----------
    table
        Output of :func:`promised_table`.
    """
    figure = go.Figure()
    if "rho" in table:
        for holds, colour, name in ((True, ACCENT, "holds"), (False, NEUTRAL, "does not hold")):
            part = table[table["holds"] == holds]
            figure.add_scatter(
                x=part["out_of_fold_rho"],
                y=part["rho"],
                mode="markers",
                marker={"color": colour, "size": 8, "opacity": 0.8},
                name=name,
                customdata=part["symbol"],
                hovertemplate="%{customdata}<br>out of fold %{x:.2f}, here %{y:.2f}<extra></extra>",
            )
    else:
        figure.add_box(
            x=table["out_of_fold_rho"],
            lowerfence=table["rho_0.05"],
            q1=table["rho_0.25"],
            median=table["rho_0.5"],
            q3=table["rho_0.75"],
            upperfence=table["rho_0.95"],
            width=_width(table["out_of_fold_rho"]),
            line={"color": ACCENT},
            name="genes, a tenth each",
        )
    low, high = (float(f(table["out_of_fold_rho"].to_numpy(), initial=0)) for f in (np.min, np.max))
    figure.add_scatter(
        x=[low, high],
        y=[low, high],
        mode="lines",
        line={"color": CONTRAST, "dash": "dash"},
        name="the same",
        hoverinfo="skip",
    )
    figure.update_xaxes(title="out-of-fold rho in GTEx")
    figure.update_yaxes(title="rho in your people")
    return finish(figure, height=380)


def _width(x: pd.Series) -> float:
    return max(float(np.ptp(x)) / (2 * max(len(x), 1)), 0.005)
