"""Tables and volcano plots of a cohort's genes: columns, names, and the genes that are selected."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler
from streamlit.elements.lib.column_types import ColumnConfig

from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.gene_choice import mark_gene
from mtm_core.dashboard.widgets.p_column import p_column
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.escaping import in_figure
from mtm_core.figures.associations.volcano import genes_within
from mtm_core.workflows.comparisons import OwnCohort

MOST_STYLED = 20_000
"""Rows of a table that are greyed one by one."""
FIGURES: dict[str, ColumnConfig | str | None] = {
    "gene_id": "gene id",
    "log2_fold_change": st.column_config.NumberColumn("log2 fold change", format="%.3f"),
    "fdr": p_column("FDR"),
    "p": p_column("p"),
    "fdr_tissue": p_column("FDR (tissue)"),
    "p_tissue": p_column("p (tissue)"),
    "auc": st.column_config.NumberColumn(
        "AUC", format="%.2f", help="Probability that a random case is above a random control."
    ),
    "rho": st.column_config.NumberColumn("rho with trait", format="%.3f"),
    "slope": st.column_config.NumberColumn("slope", format="%.4f"),
    "mean_case": p_column(
        "mean, cases",
        digits=4,
        help="Mean of log2 expression, on the scale named below the figure.",
    ),
    "mean_control": p_column("mean, controls", digits=4),
    "rho_by_fold": st.column_config.NumberColumn(
        "held-out rho",
        format="%.2f",
        help="The model's correlation of predicted and measured expression on held-out donors, "
        "by fold.",
    ),
    "rho_pooled": st.column_config.NumberColumn("held-out rho, pooled", format="%.2f"),
}
"""How columns of the cohort's tables are shown."""


def greyed(table: pd.DataFrame) -> pd.DataFrame | Styler:
    """Grey the rows of genes that cannot be predicted, unless there are too many rows to style."""
    if len(table) > MOST_STYLED or not (table["predictable"] == "no").any():
        return table
    is_grey = (table["predictable"] == "no").to_numpy()[:, None]
    cells = np.where(np.broadcast_to(is_grey, table.shape), "color: #8794A1", "")
    return table.style.apply(lambda _: pd.DataFrame(cells, table.index, table.columns), axis=None)


def genes_of_cohort(session: Session, model: ServedModel, cohort: OwnCohort) -> GeneNames:
    """Name the genes of the model, then those that were measured alone; made once.

    Without any of the latter these are the model's own names, which all sessions share.
    """
    others = session.remember(
        "genes measured alone", lambda: measured_alone(cohort.measured.symbols, model.genes)
    )
    if others.empty:
        return model.genes
    return session.remember(
        "genes of the cohort",
        lambda: GeneNames(labels_of(others, model.genes), model.genes.entrez),
    )


def measured_alone(symbols: pd.Series, names: GeneNames) -> pd.Series:
    """Return the symbols, by gene id, of the genes that are not among ``names``."""
    return symbols[~symbols.index.isin(list(names.by_id))]


def labels_of(others: pd.Series, names: GeneNames) -> dict[str, str]:
    """Return gene ids by label: those of the model, then those that were measured alone.

    Parameters
    ----------
    others
        Result of :func:`measured_alone`.
    """
    shared = others.duplicated(keep=False) | others.isin(list(names))
    more = {
        f"{symbol} ({gene})" if both and symbol != gene else str(symbol): str(gene)
        for gene, symbol, both in zip(others.index, others, shared, strict=True)
    }
    return dict(names) | {label: more[label] for label in sorted(more) if label not in names}


def take_points(chart: str, store: str, drawn: pd.DataFrame, names: GeneNames) -> None:
    """Store the genes selected in ``chart``, a volcano of ``drawn``; one alone is the gene.

    The selection itself is lost when the figure is drawn anew, so the genes are stored under
    ``store``. A box or a lasso selects all genes within, those too that are no points of their own.
    """
    selection = st.session_state[chart]["selection"]
    genes = genes_within(drawn, selection)
    if not genes:
        by_drawn = {in_figure(gene): gene for gene in names.by_id}
        marked = dict.fromkeys(str(point["customdata"]) for point in selection["points"])
        genes = [by_drawn[name] for name in marked if name in by_drawn]
    st.session_state[store] = genes
    if len(genes) == 1:
        mark_gene(names, genes[0])


def chart_of_points(name: str, store: str) -> str:
    """Return the key of a chart whose points are in ``store``: a new key once they are cleared.

    A chart that is shown again still has the same points selected, and does not report when they
    are selected anew.
    """
    n_cleared = st.session_state.get(f"{store}_cleared", 0)
    return f"{name}_{n_cleared}" if n_cleared else name


def selected_rows(table: pd.DataFrame, store: str, *, clear: str, every: str) -> pd.DataFrame:
    """Return the rows of the genes that are selected in the figure, or all; say which.

    Parameters
    ----------
    store
        Where :func:`take_points` stores the genes.
    clear
        Key of the button that shows all genes again.
    every
        Caption where no gene is selected.
    """
    chosen = st.session_state.get(store, [])
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{len(chosen)} genes selected in the figure." if chosen else every)
        if chosen:
            st.button("Show all genes", key=clear, on_click=_clear_points, args=(store,))
    return table[table["gene_id"].isin(chosen)] if chosen else table


def _clear_points(store: str) -> None:
    """Forget the points that :func:`take_points` has stored."""
    st.session_state.pop(store, None)
    st.session_state[f"{store}_cleared"] = st.session_state.get(f"{store}_cleared", 0) + 1


def show_gene_rows(
    rows: pd.DataFrame, names: GeneNames, *, key: str, height: int, listed: str
) -> pd.DataFrame:
    """Show ``rows`` of genes; marking one makes its gene the one that all screens share.

    Parameters
    ----------
    listed
        Names the order that they have.

    Returns
    -------
    pandas.DataFrame
        All of them, in the order that was chosen.
    """
    ids = rows["gene_id"]
    return show_rows(
        rows,
        key=key,
        height=height,
        columns=FIGURES,
        listed=listed,
        on_row=lambda place: mark_gene(names, str(ids.iloc[place])),
        style=greyed,
    )
