"""Preserved associations with a contrast or a trait: two views of one screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.disease_tables import (
    adjusted_words,
    adjustments_of,
    genes_of_tissue,
    panel_titles,
    settings_in_words,
    summary_rows,
    tissue_in_words,
    tissue_rows,
    trait_in_words,
)
from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.widgets.evaluated import bring_along
from mtm_core.dashboard.widgets.gene_choice import choose_gene, mark_gene
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.dashboard.widgets.p_column import p_column
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.escaping import plain
from mtm_core.figures.associations.preserved_changes import changes_scatter, preserved_by_tissue
from mtm_core.grouped_table import GroupedTable
from mtm_core.statistics.outcome import TESTED
from mtm_core.workflows.model_tables import Shipped
from mtm_core.workflows.study_predictions import RHO, SIGN, DiseaseStudy, TraitStudy

_SIDES = (("observed", "measured"), ("predicted", "predicted"))
_GENE_COLUMNS: dict[str, Any] = {
    "panel": "adjusted",
    "gene": "gene",
    "gene_id": "gene id",
    **{side: st.column_config.NumberColumn(name, format="%.3f") for side, name in _SIDES},
    **{
        f"{figure}_{side}": p_column(f"{words}, {name}")
        for side, name in _SIDES
        for figure, words in (("p", "p"), ("fdr", "FDR"))
    },
    "significant": "FDR ≤ 5 %",
}
_SLOPE = {
    "effect": "predicted changes are mostly smaller",
    "rho": "predictions contain less noise, so that their correlations can be larger",
}
_SUMMARY_FORMAT = {
    name: st.column_config.NumberColumn(format="%.2f")
    for name in ("median rho", "median rho, shuffled", "median F1, up", "median F1, down")
}


@dataclass(frozen=True)
class Preserved:
    """A study as its view shows it.

    Attributes
    ----------
    key
        Prefix of its widgets' keys and of its files.
    tissues, genes
        Tables of the study: agreement of predicted and measured, one row a tissue; one row a gene.
    value
        Quantity of a gene that is compared: a change, or a correlation with the trait.
    summary, settings
        Summary and settings of the study.
    """

    key: str
    tissues: pd.DataFrame
    genes: pd.DataFrame | GroupedTable
    value: Literal["effect", "rho"]
    summary: pd.DataFrame
    settings: Mapping[str, Any]

    @classmethod
    def of_contrasts(cls, shipped: Shipped[DiseaseStudy]) -> Preserved:
        """Take the study of two groups of donors."""
        study, settings = shipped.study, shipped.settings
        summary = study.summary(settings["minimum_degs"])
        return cls("contrast", study.pairs, study.gene_rows, "effect", summary, settings)

    @classmethod
    def of_traits(cls, shipped: Shipped[TraitStudy]) -> Preserved:
        """Take the study of donors' traits."""
        study = shipped.study
        summary = study.summary()
        return cls("trait", study.tissues, study.gene_rows, "rho", summary, shipped.settings)

    @property
    def traits(self) -> list[str]:
        """Names of the traits, those that were tested in a tissue."""
        tested = self.tissues[self.tissues["outcome"] == TESTED]
        return [str(name) for name in tested["trait"].unique()]

    def axis(self, trait: str) -> str:
        """Say what is drawn of a gene."""
        return "change (log2)" if self.value == "effect" else f"rho with {trait}"

    def in_words(self, trait: str) -> str:
        """Say what a gene's place means."""
        if self.value == "rho":
            return f"its correlation with {trait} over donors"
        return (
            "its log2 fold change between the two groups; where adjusted, the difference of "
            "log2(1 + expression) after the covariates are regressed out"
        )


def choose_trait(preserved: Preserved, model: ServedModel) -> tuple[str, list[str]]:
    """Let the user choose a trait and what it is adjusted for; return both, raw first."""
    trait_column, adjustment_column = st.columns([3, 2])
    with trait_column:
        trait: str = st.selectbox(
            "Contrast" if preserved.value == "effect" else "Trait",
            preserved.traits,
            key=f"preserved_{preserved.key}",
            persist_state="session",
            format_func=lambda name: trait_in_words(name, model.associations),
            help="A comparison of GTEx donors in each tissue. Ventilator: whether a donor was on "
            "a ventilator at death, which changes most genes in most tissues. It is not a disease.",
        )
    possible = adjustments_of(preserved.tissues, trait)
    with adjustment_column:
        chosen = st.segmented_control(
            "Side by side",
            possible,
            selection_mode="multi",
            default=possible,
            format_func=adjusted_words,
            key=f"preserved_adjusted_{preserved.key}_{trait}",
            persist_state="session",
            help="What is regressed out of both sides. The Hardy scale says how a donor died; "
            "effects of that are not effects of the trait.",
        )
    return trait, [name for name in possible if name in chosen] or possible


def show_preserved(preserved: Preserved, model: ServedModel, colours: Mapping[str, str]) -> None:
    """Show genes of one tissue, all tissues, and the summary of every trait."""
    if not preserved.traits:
        st.info("No tissue has enough donors of both groups.", icon=":material/info:")
        return
    trait, adjustments = choose_trait(preserved, model)
    tissues = sorted(str(name) for name in preserved.tissues["tissue"].unique())
    bring_along("tissue", tissues)
    tissue_column, gene_column = st.columns([3, 2])
    tissue = tissue_column.selectbox(
        "Tissue",
        tissues,
        key="tissue",
        bind="query-params",
        help="Shown in bold among all tissues.",
    )
    with gene_column:
        _, gene = choose_gene(
            model.genes, help="Circled in the figure, where it is predictable in the tissue."
        )
    st.header(f"Predictable genes of {plain(tissue)}")
    _show_genes(preserved, trait, tissue, adjustments, model.genes, gene)
    st.header("Every tissue")
    rows = tissue_rows(preserved.tissues, trait, adjustments)
    show_figure(
        preserved_by_tissue(
            rows,
            {name: adjusted_words(name) for name in adjustments},
            colours,
            title="rho of predicted and measured",
            chosen=tissue,
        ),
        key=f"preserved_tissues_{preserved.key}",
        name=f"{trait}_preserved_by_tissue",
        caption=f"{trait}: correlation over genes between predicted and measured associations, "
        f"in each tissue. The bar is its 95 % interval, as if genes were independent. The orange "
        f"tick is what shuffled labels give: predicted and measured values come from the same "
        f"donors, so chance is not 0. Filled circles lie beyond 95 % of the shuffles.",
        data=rows.drop(columns="panel"),
        index=False,
    )
    st.header("All contrasts" if preserved.value == "effect" else "All traits")
    summary = summary_rows(preserved.summary)
    st.dataframe(
        summary,
        hide_index=True,
        key=f"preserved_summary_{preserved.key}",
        column_config=_SUMMARY_FORMAT,
    )
    st.caption(
        f"Summary over tissues. {_counting(preserved)}{settings_in_words(preserved.settings)}."
    )
    download_table(
        summary,
        key=f"preserved_summary_rows_{preserved.key}",
        name=f"{preserved.key}s_preserved",
        label="These rows",
    )


def _show_genes(
    preserved: Preserved,
    trait: str,
    tissue: str,
    adjustments: Sequence[str],
    names: GeneNames,
    gene: str,
) -> None:
    genes = genes_of_tissue(
        preserved.genes, trait, tissue, adjustments, names.by_id, value=preserved.value
    )
    rows = preserved.tissues[
        (preserved.tissues["trait"] == trait)
        & (preserved.tissues["tissue"] == tissue)
        & preserved.tissues["adjusted_for"].isin(adjustments)
    ]
    if genes.empty:
        minimum = preserved.settings.get("minimum_group")
        needed = f" {minimum} donors of each group are needed, and" if minimum else ""
        st.info(
            f"{plain(trait)} was not tested in {plain(tissue)}:{needed} a gene that can be"
            " predicted. Choose"
            " another tissue.",
            icon=":material/info:",
        )
        return
    show_figure(
        changes_scatter(
            genes,
            panel_titles(rows, adjustments),
            x=f"measured {preserved.axis(trait)}",
            y=f"predicted {preserved.axis(trait)}",
            marked=[gene],
        ),
        key=f"preserved_genes_{preserved.key}",
        name=f"{trait}_{tissue}_preserved",
        caption=f"{tissue}, {trait}: each point is a predictable gene (pooled rho above 0.3 on "
        f"the donors of the other folds). The axes show {preserved.in_words(trait)}: x measured, "
        f"y predicted. Preserved associations lie along the dotted line, or along a line of "
        f"another slope: {_SLOPE[preserved.value]}.",
        data=genes.rename(columns={"panel": "adjusted_for"}),
        index=False,
    )
    for _, row in rows[rows["outcome"] == TESTED].iterrows():
        st.markdown(f"- {tissue_in_words(row)}")
    shown = genes.assign(panel=[adjusted_words(name) for name in genes["panel"]])
    shown = shown.sort_values("p_observed", kind="stable").reset_index(drop=True)
    listed = show_rows(
        shown,
        key=f"preserved_rows_{preserved.key}",
        height=320,
        columns=_GENE_COLUMNS,
        listed="p, measured",
        on_row=lambda place: mark_gene(names, str(shown["gene_id"].iloc[place])),
    )
    download_table(
        listed,
        key=f"preserved_gene_rows_{preserved.key}",
        name=f"{trait}_{tissue}_preserved_genes",
        label="These rows",
    )


def _counting(preserved: Preserved) -> str:
    if preserved.value == "rho":
        return "The criterion rho > 0.3, p < 0.05 is the paper's; it does not use shuffled labels. "
    return (
        f"With changed genes: tissues with {preserved.settings['minimum_degs']} or more at an "
        f"FDR of 5 % when measured. Preserved: the same sign in more than {SIGN:.0%} of the "
        f"genes, and rho above {RHO:g}. Found again: the overlap of predicted and measured "
        f"changed genes is beyond chance (p < 0.05). "
    )
