"""What predictions keep of a contrast or a trait: two views of one screen show it alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.concordance_view import (
    adjustments_of,
    genes_of_tissue,
    left_out,
    panel_titles,
    settings_in_words,
    summary_rows,
    tissue_in_words,
    tissue_rows,
    trait_in_words,
)
from mtm_core.dashboard.screens.evaluated import bring_along
from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.widgets.gene_choice import choose_gene, mark_gene
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.escaping import plain
from mtm_core.figures.associations.kept_changes import changes_scatter, kept_by_tissue
from mtm_core.grouped_table import GroupedTable
from mtm_core.statistics.outcome import TESTED
from mtm_core.studies.disease import RHO, SIGN, DiseaseStudy
from mtm_core.studies.shipped import Shipped
from mtm_core.studies.traits import TraitStudy

_GENE_COLUMNS: dict[str, Any] = {
    "panel": "left out",
    "gene": "gene",
    "gene_id": "gene id",
    **{
        f"{figure}{side}": st.column_config.NumberColumn(f"{words}{name}", format=form)
        for side, name in (("observed", "measured"), ("predicted", "predicted"))
        for figure, words, form in (
            ("", "", "%.3f"),
            ("p_", "p, ", "%.2g"),
            ("fdr_", "FDR, ", "%.2g"),
        )
    },
    "significant": "FDR ≤ 5 %",
}
_SLOPE = {
    "effect": "predicted changes are mostly smaller",
    "rho": "predictions hold less noise, and correlations with them can be larger",
}
_SUMMARY_FORMAT = {
    name: st.column_config.NumberColumn(format="%.2f")
    for name in ("median rho", "median rho, shuffled", "median F1, up", "median F1, down")
}


@dataclass(frozen=True)
class Kept:
    """A study as its view shows it.

    Attributes
    ----------
    key
        What tells its widgets and files from those of others.
    tissues, genes
        Of the study: agreement of predicted and measured, one row a tissue; one row a gene.
    value
        What is predicted and measured of a gene: a change, or a correlation with the trait.
    summary
        Of the study.
    settings
        Of the study.
    """

    key: str
    tissues: pd.DataFrame
    genes: pd.DataFrame | GroupedTable
    value: Literal["effect", "rho"]
    summary: pd.DataFrame
    settings: Mapping[str, Any]

    @classmethod
    def of_contrasts(cls, shipped: Shipped[DiseaseStudy]) -> Kept:
        """Take the study of two groups of donors."""
        study, settings = shipped.study, shipped.settings
        summary = study.summary(settings["minimum_degs"])
        return cls("contrast", study.pairs, study.gene_rows, "effect", summary, settings)

    @classmethod
    def of_traits(cls, shipped: Shipped[TraitStudy]) -> Kept:
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
            "its log2 fold change between the two groups; where covariates are left out, the"
            " difference of log2(1 + expression) that they leave"
        )


def choose_trait(kept: Kept, model: ServedModel) -> tuple[str, list[str]]:
    """Let the user choose a trait and what is left out of it; give both, raw first."""
    trait_column, adjustment_column = st.columns([3, 2])
    with trait_column:
        trait: str = st.selectbox(
            "Contrast" if kept.value == "effect" else "Trait",
            kept.traits,
            key=f"kept_{kept.key}",
            persist_state="session",
            format_func=lambda name: trait_in_words(name, model.associations),
            help="Between GTEx donors, tissue by tissue. Ventilator: whether a donor was on one at"
            " death, which changes most genes in most tissues and is no disease.",
        )
    possible = adjustments_of(kept.tissues, trait)
    with adjustment_column:
        chosen = st.segmented_control(
            "Side by side",
            possible,
            selection_mode="multi",
            default=possible,
            format_func=left_out,
            key=f"kept_left_out_{kept.key}_{trait}",
            persist_state="session",
            help="What is regressed out of both sides. The Hardy class says how a donor died. What"
            " goes with it is not tissue biology of the trait.",
        )
    return trait, [name for name in possible if name in chosen] or possible


def show_kept(kept: Kept, model: ServedModel, colours: Mapping[str, str]) -> None:
    """Show genes of one tissue, all tissues, and the summary of every trait."""
    if not kept.traits:
        st.info("In no tissue were there enough donors of both groups.", icon=":material/info:")
        return
    trait, adjustments = choose_trait(kept, model)
    tissues = sorted(str(name) for name in kept.tissues["tissue"].unique())
    bring_along("tissue", tissues)
    tissue_column, gene_column = st.columns([3, 2])
    tissue = tissue_column.selectbox(
        "Tissue", tissues, key="tissue", bind="query-params", help="In bold among all tissues."
    )
    with gene_column:
        _, gene = choose_gene(model.genes, help="Ringed, where it is predictable in the tissue.")
    st.header(f"Predictable genes of {plain(tissue)}")
    _show_genes(kept, trait, tissue, adjustments, model.genes, gene)
    st.header("Every tissue")
    rows = tissue_rows(kept.tissues, trait, adjustments)
    show_figure(
        kept_by_tissue(
            rows,
            {name: left_out(name) for name in adjustments},
            colours,
            title="rho of predicted and measured",
            chosen=tissue,
        ),
        key=f"kept_tissues_{kept.key}",
        name=f"{trait}_kept_by_tissue",
        caption=f"{trait}: correlation over genes of predicted and measured, in each tissue; the"
        " bar is its 95 % interval, genes taken as independent. Judge it by the orange tick, which"
        " is what shuffled labels give: predicted and measured share their donors, so that chance"
        " is not 0. Filled circles are beyond 95 % of the shuffles.",
        data=rows.drop(columns="panel"),
        index=False,
    )
    st.header("All of them")
    summary = summary_rows(kept.summary)
    st.dataframe(
        summary, hide_index=True, key=f"kept_summary_{kept.key}", column_config=_SUMMARY_FORMAT
    )
    st.caption(f"Over tissues. {_counting(kept)}{settings_in_words(kept.settings)}.")
    download_table(
        summary, key=f"kept_summary_rows_{kept.key}", name=f"{kept.key}s_kept", label="These rows"
    )


def _show_genes(
    kept: Kept,
    trait: str,
    tissue: str,
    adjustments: Sequence[str],
    names: GeneNames,
    gene: str,
) -> None:
    genes = genes_of_tissue(kept.genes, trait, tissue, adjustments, names.by_id, value=kept.value)
    rows = kept.tissues[
        (kept.tissues["trait"] == trait)
        & (kept.tissues["tissue"] == tissue)
        & kept.tissues["adjusted_for"].isin(adjustments)
    ]
    if genes.empty:
        minimum = kept.settings.get("minimum_group")
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
            x=f"measured {kept.axis(trait)}",
            y=f"predicted {kept.axis(trait)}",
            marked=[gene],
        ),
        key=f"kept_genes_{kept.key}",
        name=f"{trait}_{tissue}_kept",
        caption=f"{tissue}, {trait}: each point a predictable gene (pooled rho above 0.3 on the"
        f" donors of other folds); across, {kept.in_words(trait)}, as measured, and up, as"
        " predicted. What is kept lies along the dotted line, or along one of another slope:"
        f" {_SLOPE[kept.value]}.",
        data=genes.rename(columns={"panel": "left_out"}),
        index=False,
    )
    for _, row in rows[rows["outcome"] == TESTED].iterrows():
        st.markdown(f"- {tissue_in_words(row)}")
    shown = genes.assign(panel=[left_out(name) for name in genes["panel"]])
    shown = shown.sort_values("p_observed", kind="stable").reset_index(drop=True)
    show_rows(
        shown,
        key=f"kept_rows_{kept.key}",
        height=320,
        columns=_GENE_COLUMNS,
        listed="p, measured",
        on_row=lambda place: mark_gene(names, str(shown["gene_id"].iloc[place])),
    )


def _counting(kept: Kept) -> str:
    if kept.value == "rho":
        return "The rule rho > 0.3, p < 0.05 is the paper's, and knows no shuffling. "
    return (
        f"Changed genes: {kept.settings['minimum_degs']} or more at an FDR of 5 % in measured"
        f" tissue. Kept: same sign in more than {SIGN:.0%} of the genes, rho above {RHO:g}. Found"
        " again: predicted and measured changed genes overlap beyond chance (p < 0.05). "
    )
