"""The volcano plot that the tests on the screen of differential expression share."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.differential import Thresholds
from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_genes import chart_of_points, take_points
from mtm_core.dashboard.widgets.layout import show_figure
from mtm_core.figures.associations.volcano import n_counted, volcano


def rerun_for_another_gene(thresholds: Thresholds) -> None:
    """Draw the whole page again, from a fragment, where a point or row was marked."""
    if st.session_state["gene"] != thresholds.label:
        st.rerun()


def show_volcano(
    session: Session,
    tested: pd.DataFrame,
    names: GeneNames,
    thresholds: Thresholds,
    *,
    chart: str,
    store: str,
    key: tuple[Hashable, ...],
    name: str,
    caption: str,
    kinds: Mapping[str, str] | None = None,
    data: pd.DataFrame | None = None,
) -> None:
    """Show the volcano plot of the genes tested; those selected in it are stored.

    Parameters
    ----------
    chart, store
        Key of the chart, and where :func:`take_points` stores the genes.
    key
        Key of the table and its thresholds within the session.
    name, caption
        Name of the figure's file, and its caption.
    kinds
        Names of the kinds of change in the legend, where they are others.
    data
        Data of the figure to download; ``tested`` by default.
    """
    chart = chart_of_points(chart, store)
    n_others = n_counted(tested)
    show_figure(
        # Not drawn anew where points of it were selected: with all genes that takes a while.
        session.remember(
            (*key, thresholds.n_labels, thresholds.gene),
            lambda: volcano(
                tested,
                fold_change=thresholds.fold_change,
                fdr=thresholds.fdr,
                n_labels=thresholds.n_labels,
                marked=[thresholds.gene],
                kinds=kinds,
            ),
        ),
        key=chart,
        name=name,
        caption=f"{caption} Dotted lines are the thresholds."
        + (
            f" Grey cells count the other {n_others:,} genes: the darker, the more."
            if n_others
            else ""
        )
        + " Draw a box or a lasso around points to list only these genes in the table.",
        data=tested if data is None else data,
        index=False,
        on_select=lambda: take_points(f"figure_{chart}", store, tested, names),
    )
