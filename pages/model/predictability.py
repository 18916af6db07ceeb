"""Predictability: in which tissues, and of which genes, predictions can be trusted.

The chosen view, method, tissue and gene stand in the page's address.
"""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.widgets.body_map import Organ, body_map
from mtm_core.dashboard.widgets.evaluated import (
    bring_along,
    choose_sources,
    evaluation_of,
    rank_in_words,
)
from mtm_core.dashboard.widgets.gene_choice import choose_gene, mark_gene
from mtm_core.dashboard.widgets.layout import begin, download_table, show_figure
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.escaping import plain
from mtm_core.evaluation.comparison import size_correlation
from mtm_core.evaluation.predictability import (
    GeneChoice,
    distribution_of_rho,
    genes_of_tissue,
    matrix_of,
    rank_tissues,
    select_genes,
    tissues_of_gene,
)
from mtm_core.figures.accuracy.gene_rho import MOST_POINTS, gene_over_tissues, rho_boxes
from mtm_core.figures.accuracy.tissue_ranking import rho_against_size, tissue_ranking

TISSUES, GENES, SPREAD = "Tissues", "Genes", "Distributions"
CHOICES: dict[GeneChoice, str] = {
    "all": "All",
    "predictable": "Predictable (pooled rho > 0.3)",
    "survives FDR": "Predictable, FDR ≤ 5 %",
}


def press(organ: Organ) -> None:
    """Choose a tissue of an organ that was pressed."""
    st.session_state["tissue"] = organ.following(st.session_state["tissue"])


def press_to_draw(organ: Organ) -> None:
    """Draw the tissues of an organ that was pressed, or no longer."""
    st.session_state["tissues_drawn"] = organ.toggle(st.session_state["tissues_drawn"])


session, model = begin(
    "Predictability",
    "Which genes can be predicted in which tissues: the correlation (rho) of predicted and "
    "measured expression over held-out donors. 0 is chance, 1 is perfect.",
)
evaluated = choose_sources(model, evaluation_of(model))
tables = evaluated.tables
st.caption(evaluated.setting)

view = st.segmented_control(
    "View",
    [TISSUES, GENES, SPREAD],
    default=TISSUES,
    required=True,
    key="accuracy_of",
    help="All tissues, the genes of one tissue, or the distribution of rho over genes.",
    bind="query-params",
)
for key, options in (
    ("method", evaluated.methods),
    ("tissue", evaluated.tissues),
):
    bring_along(key, options)
method_column, tissue_column, gene_column = st.columns([2, 3, 2])
method = method_column.selectbox(
    "Method",
    evaluated.methods,
    key="method",
    bind="query-params",
    help="The model's own method comes first; the others were evaluated on the same donors.",
)
tissue = tissue_column.selectbox(
    "Tissue",
    evaluated.tissues,
    key="tissue",
    help="Predicted tissue. Type to search.",
    bind="query-params",
    disabled=view == SPREAD,
)
with gene_column:
    label, gene_id = choose_gene(
        evaluated.genes, help="Highlighted in every tissue.", disabled=view == TISSUES
    )

if view != SPREAD:
    body_map(evaluated.tissues, [tissue], press, key="accuracy", one=True)

ranking = rank_tissues(tables.tissues, method)
has_adjusted = "gene_adjusted_rho_by_fold" in ranking
ADJUSTED = (
    f" Adjusted rho: after {evaluated.adjusted_for} are regressed out of both sides, so that "
    f"correlation caused by these does not count."
)

COMPOSITION_ADJUSTED = (
    " Adjusted for composition: the pooled rho of the donors whose blood composition is known, "
    "after the shares of blood cells are regressed out of both sides."
)

if view == TISSUES:
    headline = evaluated.headline(method)
    for column, (name, value) in zip(st.columns(len(headline)), headline.items(), strict=True):
        column.metric(
            name,
            value,
            border=True,
            help=f"{plain(method)}, mean over tissues; in brackets a 95 % interval, if there is"
            " one.",
        )
    st.header("Tissues, best predicted first")
    show_figure(
        tissue_ranking(ranking, evaluated.colours, n_genes=len(evaluated.genes), chosen=tissue),
        key="tissue_ranking",
        name=f"tissues_{method}",
        caption=f"{method}: mean over {len(evaluated.genes):,} genes of the rho by fold, in each"
        " tissue. At the right, predictable genes (pooled rho above 0.3) and donors."
        + (ADJUSTED if has_adjusted else ""),
        data=ranking,
    )
    st.header("Accuracy and sample size")
    size = size_correlation(ranking["gene_rho_by_fold"], ranking["n"])
    show_figure(
        rho_against_size(ranking, evaluated.colours, evaluated.abbreviations),
        key="rho_against_size",
        name=f"rho_against_n_{method}",
        caption=f"{method}: each point is a tissue, with its GTEx abbreviation and colour. "
        f"Accuracy against sample size: {rank_in_words(size)}. Compare tissues of about the "
        "same size: accuracy also depends on the tissue.",
        data=ranking[["n", "gene_rho_by_fold"]],
    )

elif view == GENES:
    st.header(f"Genes of {plain(tissue)}")
    table = genes_of_tissue(tables.genes_of(method, tissue), method, tissue)
    table.insert(0, "gene", table.index.map(evaluated.genes.label_of))
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
    selected = select_genes(table, choice, text)
    shown = selected.reset_index().rename(columns={"is_predictable": "predictable"})
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
        columns={
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
                    ("p", "p", "%.2g"),
                    ("fdr", "FDR", "%.2g"),
                    ("r2", "R2", "%.3f"),
                )
            },
        },
    )
    n_predictable, n_shown = int(table["is_predictable"].sum()), len(shown)
    st.caption(
        f"{n_shown:,} of {len(table):,} genes shown; {n_predictable:,} are predictable by the"
        f" paper's rule, a pooled rho above 0.3 ({plain(method)}, {plain(tissue)}). Select a row "
        f"to see its gene below. The interval is that of the pooled rho; p tests a pooled rho of "
        f"0; FDR is over the genes of the tissue (Benjamini and "
        f"Hochberg)."
        + (ADJUSTED if "adjusted_rho_by_fold" in table else "")
        + (COMPOSITION_ADJUSTED if "rho_adjusted_for_composition" in table else "")
    )
    if shown.empty:
        st.info(
            "No gene matches. Clear the search, or show all genes.", icon=":material/search_off:"
        )
    download_table(shown, key="gene_rows", name=f"genes_{tissue}_{method}", label="These rows")

    st.header(f"{plain(label)} in every tissue")
    of_gene = tissues_of_gene(tables.genes_of(method, genes=gene_id), method, gene_id)
    undefined = [str(name) for name in of_gene.index[of_gene["rho_pooled"].isna()]]
    show_figure(
        gene_over_tissues(of_gene, evaluated.colours, chosen=tissue),
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

else:
    chosen = st.multiselect(
        "Tissues to draw",
        evaluated.tissues,
        placeholder="all tissues",
        key="tissues_drawn",
        help="Type to search. None chosen: all are shown.",
        persist_state="session",
    )
    body_map(evaluated.tissues, chosen, press_to_draw, key="drawn")
    order = [str(name) for name in ranking.index if not chosen or name in chosen]
    rho = matrix_of(tables, method, "rho_by_fold", order).reindex(order)
    distribution = distribution_of_rho(rho)
    one_by_one = rho.shape[1] <= MOST_POINTS
    show_figure(
        rho_boxes(
            distribution,
            rho,
            evaluated.colours,
            evaluated.genes.by_id,
            gene_id=gene_id,
        ),
        key="rho_boxes",
        name=f"rho_of_genes_{method}",
        caption=f"{method}: rho by fold of the genes of each tissue, best predicted first. The "
        f"box holds half of the genes, its line is the median, the whiskers hold 90 %."
        + (" Each point is a gene." if one_by_one else "")
        + f" The star is {label}. A box around 0 means that most genes of the tissue cannot be "
        f"predicted from blood.",
        data=distribution.join(rho if one_by_one else rho[[gene_id]]).rename(columns=str),
    )
