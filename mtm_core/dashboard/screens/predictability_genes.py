"""The screen of predictability's view of genes: those of one tissue, and one gene everywhere."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from mtm_core.dashboard.screens.predictability import Chosen, adjusted_in_words
from mtm_core.dashboard.widgets.evaluated import Evaluated
from mtm_core.dashboard.widgets.gene_choice import mark_gene
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.dashboard.widgets.p_column import p_column
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.escaping import plain
from mtm_core.evaluation.predictability import (
    GeneChoice,
    genes_of_tissue,
    select_genes,
    tissues_of_gene,
)
from mtm_core.figures.accuracy.gene_rho import gene_over_tissues

CHOICES: dict[GeneChoice, str] = {
    "all": "All",
    "predictable": "Predictable (pooled rho > 0.3)",
    "survives FDR": "Predictable, FDR ≤ 5 %",
}
_COMPOSITION_ADJUSTED = (
    " Adjusted for composition: the pooled rho of the donors whose blood composition is known, "
    "after the shares of blood cells are regressed out of both sides."
)
_COLUMNS: dict[str, ColumnConfig | str | None] = {
    "gene_id": "gene id",
    **{
        column: st.column_config.NumberColumn(name, format=form)
        for column, name, form in (
            ("n", "n", "%d"),
            ("rho_by_fold", "rho, by fold", "%.3f"),
            ("rho_pooled", "rho, pooled", "%.3f"),
            ("rho_low", "95 % from", "%.3f"),
            ("rho_high", "95 % to", "%.3f"),
            ("adjusted_rho_by_fold", "adjusted rho, by fold", "%.3f"),
            ("n_composition", "donors, composition known", "%d"),
            ("rho_composition_known", "rho, composition known", "%.3f"),
            ("rho_adjusted_for_composition", "adjusted for composition", "%.3f"),
            ("r2", "R2", "%.3f"),
        )
    },
    "p": p_column("p"),
    "fdr": p_column("FDR"),
}


def show_genes(evaluated: Evaluated, chosen: Chosen) -> None:
    """List the genes of the chosen tissue, and mark the gene whose row is selected."""
    method, tissue = chosen.method, chosen.tissue
    st.header(f"Genes of {plain(tissue)}")
    table = genes_of_tissue(evaluated.tables.genes_of(method, tissue), method, tissue)
    table.insert(0, "gene", table.index.map(evaluated.genes.label_of))
    shown = _select(table).reset_index().rename(columns={"is_predictable": "predictable"})
    shown["predictable"] = shown["predictable"].map({True: "yes", False: "no"})
    shown = shown.drop(columns="survives_fdr", errors="ignore")
    ids = shown["gene_id"]
    shown = show_rows(
        shown,
        key="gene_rows",
        height=420,
        listed="rho, by fold",
        is_searched=False,  # above, with what the table shows
        on_row=lambda place: mark_gene(evaluated.genes, str(ids.iloc[place])),
        order=["gene", *(name for name in shown if name != "gene")],
        columns=_COLUMNS,
    )
    n_predictable, n_shown = int(table["is_predictable"].sum()), len(shown)
    st.caption(
        f"{n_shown:,} of {len(table):,} genes shown; {n_predictable:,} are predictable by the"
        f" paper's rule, a pooled rho above 0.3 ({plain(method)}, {plain(tissue)}). Select a row "
        f"to see its gene below. The interval is that of the pooled rho; p tests a pooled rho of "
        f"0; FDR is over the genes of the tissue (Benjamini and "
        f"Hochberg)."
        + (adjusted_in_words(evaluated) if "adjusted_rho_by_fold" in table else "")
        + (_COMPOSITION_ADJUSTED if "rho_adjusted_for_composition" in table else "")
    )
    if shown.empty:
        st.info(
            "No gene matches. Clear the search, or show all genes.", icon=":material/search_off:"
        )
    download_table(shown, key="gene_rows", name=f"genes_{tissue}_{method}", label="These rows")


def _select(table: pd.DataFrame) -> pd.DataFrame:
    """Let the user choose genes by predictability and by name."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        choice = st.segmented_control(
            "Show",
            [key for key in CHOICES if key != "survives FDR" or "survives_fdr" in table],
            format_func=CHOICES.__getitem__,
            default="all",
            required=True,
            key="gene_choice",
            help="Which genes the table lists.",
            persist_state="session",
        )
        text = st.text_input(
            "Search",
            key="gene_search",
            persist_state="session",
            placeholder="symbols or gene ids",
            type="search",
            width=280,
            help="One or more symbols or Ensembl ids, or parts of them, separated by spaces or "
            "commas.",
        )
    return select_genes(table, choice, text)


def show_gene_everywhere(evaluated: Evaluated, chosen: Chosen) -> None:
    """Show the rho of the chosen gene in every tissue."""
    method, label = chosen.method, chosen.label
    st.header(f"{plain(label)} in every tissue")
    of_gene = tissues_of_gene(
        evaluated.tables.genes_of(method, genes=chosen.gene_id), method, chosen.gene_id
    )
    undefined = [str(name) for name in of_gene.index[of_gene["rho_pooled"].isna()]]
    show_figure(
        gene_over_tissues(of_gene, evaluated.colours, chosen=chosen.tissue),
        key="gene_over_tissues",
        name=f"{label}_over_tissues_{method}",
        caption=f"{label}, {method}: rho in each tissue, over {of_gene['n'].min()} to"
        f" {of_gene['n'].max()} donors. The filled circle is the pooled rho with its 95 % interval,"
        " the tick the rho by fold, the open diamond the adjusted rho. A gene with a pooled rho "
        "right of the dashed line (0.3) is predictable."
        + (
            f" Undefined in {', '.join(undefined)}: measured or predicted values do not vary there."
            if undefined
            else ""
        ),
        data=of_gene,
    )
