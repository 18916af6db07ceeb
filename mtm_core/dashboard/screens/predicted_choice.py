"""The part of a prediction that its page shows: view, samples, tissues and genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import streamlit as st

from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.widgets.evaluated import bring_along
from mtm_core.dashboard.widgets.gene_choice import choose_gene

View = Literal["All samples", "One gene", "Table"]
HEATMAP: View = "All samples"
GENE: View = "One gene"
TABLE: View = "Table"
BY_GENE, BY_TISSUE = "Genes of one tissue", "Tissues of one gene"


@dataclass(frozen=True)
class Shown:
    """The part of a prediction that is shown.

    Attributes
    ----------
    view
        ``HEATMAP``, ``GENE`` or ``TABLE``.
    tissue
        Tissue that all screens share.
    label, gene
        Name and id of the gene that all screens share.
    predictable_only
        Whether to leave out what the model cannot predict.
    by_tissue
        Whether a heatmap has the tissues of one gene as columns, not the genes of one tissue.
    highlighted
        Sample that is marked among the points of a gene.
    samples
        Rows of the table are of these; of all where empty.
    all_tissues, all_genes
        Whether rows of the table are of all.
    """

    view: View
    tissue: str
    label: str
    gene: str
    predictable_only: bool
    by_tissue: bool = False
    highlighted: str | None = None
    samples: tuple[str, ...] = ()
    all_tissues: bool = False
    all_genes: bool = False


def choose_shown(
    samples: Sequence[str], tissues: Sequence[str], genes: GeneNames, *, evaluated: bool
) -> Shown:
    """Show the widgets and return what is chosen.

    Parameters
    ----------
    samples, tissues
        Samples and tissues of the prediction.
    genes
        Genes of the model.
    evaluated
        Whether it is known which genes are predictable.
    """
    by_tissue, highlighted = False, None
    chosen_samples: list[str] = []
    all_tissues = all_genes = False
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        view: View = st.segmented_control(
            "View",
            [HEATMAP, GENE, TABLE],
            default=HEATMAP,
            required=True,
            key="view",
            help="All samples as a heat map, one gene over the reference donors, or a table.",
            bind="query-params",
        )
        if view == HEATMAP:
            by_tissue = (
                st.segmented_control(
                    "Columns",
                    [BY_GENE, BY_TISSUE],
                    default=BY_GENE,
                    required=True,
                    key="columns",
                    help="Columns of the heat map. Its rows are your samples.",
                    persist_state="session",
                )
                == BY_TISSUE
            )
        elif view == GENE:
            highlighted = st.selectbox(
                "Mark a sample",
                samples,
                index=None,
                placeholder="none",
                key="highlighted",
                help="Drawn with its own symbol and its name.",
                persist_state="session",
                width=240,
            )
        else:
            chosen_samples = st.multiselect(
                "Samples",
                samples,
                placeholder="all samples",
                key="table_samples",
                help="None chosen: all samples are listed.",
                persist_state="session",
                width=220,
            )
            all_tissues = st.toggle(
                "All predicted tissues",
                key="all_tissues",
                help="List every predicted tissue, not only the chosen one.",
                persist_state="session",
            )
            all_genes = st.toggle(
                "All genes",
                True,
                key="all_genes",
                help="List every gene, not only the chosen one.",
                persist_state="session",
            )
    tissue_column, gene_column, toggle_column = st.columns(3, vertical_alignment="bottom")
    with tissue_column:
        bring_along("tissue", list(tissues))
        tissue = st.selectbox(
            "Tissue",
            tissues,
            key="tissue",
            help="One of the predicted tissues. Type to search.",
            bind="query-params",
            disabled=view == GENE or by_tissue or all_tissues,
        )
    with gene_column:
        label, gene = choose_gene(
            genes, disabled=(view == HEATMAP and not by_tissue) or (view == TABLE and all_genes)
        )
    with toggle_column:
        predictable_only = st.toggle(
            "Predictable genes only",
            key="predictable_only",
            persist_state="session",
            disabled=not evaluated or view == GENE,
            help="Genes with a pooled held-out rho above 0.3 in the tissue. Other genes are "
            "greyed out.",
        )
    return Shown(
        view,
        tissue,
        label,
        gene,
        predictable_only,
        by_tissue,
        highlighted,
        tuple(chosen_samples),
        all_tissues,
        all_genes,
    )
