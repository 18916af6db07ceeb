"""What the screen of predictability chooses, and its views of all tissues."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from mtm_core.dashboard.widgets.body_map import Organ, body_map
from mtm_core.dashboard.widgets.evaluated import Evaluated, bring_along, rank_in_words
from mtm_core.dashboard.widgets.gene_choice import choose_gene
from mtm_core.dashboard.widgets.layout import show_figure
from mtm_core.escaping import plain
from mtm_core.evaluation.comparison import size_correlation
from mtm_core.evaluation.predictability import distribution_of_rho, matrix_of, rank_tissues
from mtm_core.figures.accuracy.gene_rho import MOST_POINTS, rho_boxes
from mtm_core.figures.accuracy.tissue_ranking import rho_against_size, tissue_ranking

TISSUES, GENES, SPREAD = "Tissues", "Genes", "Distributions"


@dataclass(frozen=True)
class Chosen:
    """What the user chose of an evaluation.

    Attributes
    ----------
    method, tissue
        Method and tissue of the evaluation.
    label, gene_id
        The gene that all screens share.
    """

    method: str
    tissue: str
    label: str
    gene_id: str


def choose_view() -> str:
    """Let the user choose all tissues, the genes of one, or distributions over genes."""
    return str(
        st.segmented_control(
            "View",
            [TISSUES, GENES, SPREAD],
            default=TISSUES,
            required=True,
            key="accuracy_of",
            help="All tissues, the genes of one tissue, or the distribution of rho over genes.",
            bind="query-params",
        )
    )


def choose_shown(evaluated: Evaluated, view: str) -> Chosen:
    """Let the user choose a method, a tissue, also on a body, and a gene."""
    bring_along("method", evaluated.methods)
    bring_along("tissue", evaluated.tissues)
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
        body_map(evaluated.tissues, [tissue], _press, key="accuracy", one=True)
    return Chosen(method, tissue, label, gene_id)


def _press(organ: Organ) -> None:
    """Choose a tissue of an organ that was pressed."""
    st.session_state["tissue"] = organ.following(st.session_state["tissue"])


def _press_to_draw(organ: Organ) -> None:
    """Draw the tissues of an organ that was pressed, or no longer."""
    st.session_state["tissues_drawn"] = organ.toggle(st.session_state["tissues_drawn"])


def adjusted_in_words(evaluated: Evaluated) -> str:
    """Say what the adjusted rho is, in a sentence that follows a caption."""
    return (
        f" Adjusted rho: after {evaluated.adjusted_for} are regressed out of both sides, so that "
        f"correlation caused by these does not count."
    )


def show_tissues(evaluated: Evaluated, chosen: Chosen) -> None:
    """Show the headline of a method, its ranking of tissues, and accuracy by sample size."""
    method = chosen.method
    ranking = rank_tissues(evaluated.tables.tissues, method)
    headline = evaluated.headline(method)
    n = len(headline)
    columns = st.columns(n) if n < 4 else [*st.columns(2), *st.columns(2)]  # four are cut off
    for column, (name, value) in zip(columns, headline.items(), strict=True):
        column.metric(
            name,
            value,
            border=True,
            help=f"{plain(method)}, mean over tissues; in brackets a 95 % interval, if there is"
            " one.",
        )
    st.header("Tissues, best predicted first")
    n_genes = len(evaluated.genes)
    show_figure(
        tissue_ranking(ranking, evaluated.colours, n_genes=n_genes, chosen=chosen.tissue),
        key="tissue_ranking",
        name=f"tissues_{method}",
        caption=f"{method}: mean over {n_genes:,} genes of the rho by fold, in each"
        " tissue. At the right, predictable genes (pooled rho above 0.3) and donors."
        + (adjusted_in_words(evaluated) if "gene_adjusted_rho_by_fold" in ranking else ""),
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


def show_distributions(evaluated: Evaluated, chosen: Chosen) -> None:
    """Show the distribution of rho over genes in each tissue that the user chooses to draw."""
    method = chosen.method
    drawn = st.multiselect(
        "Tissues to draw",
        evaluated.tissues,
        placeholder="all tissues",
        key="tissues_drawn",
        help="Type to search. None chosen: all are shown.",
        persist_state="session",
    )
    body_map(evaluated.tissues, drawn, _press_to_draw, key="drawn")
    ranking = rank_tissues(evaluated.tables.tissues, method)
    order = [str(name) for name in ranking.index if not drawn or name in drawn]
    rho = matrix_of(evaluated.tables, method, "rho_by_fold", order).reindex(order)
    distribution = distribution_of_rho(rho)
    one_by_one = rho.shape[1] <= MOST_POINTS
    show_figure(
        rho_boxes(
            distribution,
            rho,
            evaluated.colours,
            evaluated.genes.by_id,
            gene_id=chosen.gene_id,
        ),
        key="rho_boxes",
        name=f"rho_of_genes_{method}",
        caption=f"{method}: rho by fold of the genes of each tissue, best predicted first. The "
        f"box holds half of the genes, its line is the median, the whiskers hold 90 %."
        + (" Each point is a gene." if one_by_one else "")
        + f" The star is {chosen.label}. A box around 0 means that most genes of the tissue cannot "
        f"be predicted from blood.",
        data=distribution.join(rho if one_by_one else rho[[chosen.gene_id]]).rename(columns=str),
    )
