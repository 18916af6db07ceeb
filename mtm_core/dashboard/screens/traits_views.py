"""The parts of the screen of traits: the choice, every tissue, genes, and the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.traits import TraitOverview, rho_rows
from mtm_core.dashboard.screens.traits_tables import table_of_tissues
from mtm_core.dashboard.state.background import is_done, remember
from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.jobs import Progress
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.agreement_view import (
    MOST_AT_ONCE,
    choose_adjustment,
    say_no_associations,
    show_agreement,
)
from mtm_core.dashboard.widgets.cohort_genes import show_gene_rows
from mtm_core.dashboard.widgets.cohort_view import choose_tissue, compared_people
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.gene_choice import choose_gene
from mtm_core.dashboard.widgets.group_choice import choose_reference, offer_shuffle
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.escaping import plain
from mtm_core.figures.accuracy.rho_heatmap import rho_heatmap
from mtm_core.workflows.comparisons import (
    OwnCohort,
    TraitEffects,
    beside_reference,
    correlate_trait,
    covariate_numbers,
    reference_trait,
    shuffled,
    trait_in_tissue,
    trait_numbers,
)

FDR = 0.05
MOST_LINES = 8
"""Tissues that are summed up on the page; more are in an expander."""


@dataclass(frozen=True)
class TraitChoice:
    """A trait, and what is regressed out of it.

    Attributes
    ----------
    trait, covariates
        Columns of the metadata.
    seed
        Seed of the shuffle; ``None`` if the values are the true ones.
    values, meaning
        The trait as numbers, and what they are in words.
    others
        The covariates as numbers; ``None`` without any.
    reference
        Group of the trait that is 0, as it was chosen; empty for numbers, and for sex.
    """

    trait: str
    covariates: tuple[str, ...]
    seed: int | None
    values: pd.Series
    meaning: str
    others: pd.DataFrame | None
    reference: str = ""

    @property
    def references(self) -> tuple[tuple[str, str], ...]:
        """The reference by column, as a command takes it."""
        return ((self.trait, self.reference),) if self.reference else ()


def choose_trait(metadata: SampleMetadata, columns: list[str]) -> TraitChoice:
    """Let the user choose a trait, columns to adjust for, and to shuffle the trait."""
    trait_column, covariate_column = st.columns(2)
    with trait_column:
        first = metadata.age_column if metadata.age_column in columns else columns[0]
        trait = st.selectbox(
            "Trait",
            columns,
            index=columns.index(first),
            key="trait",
            persist_state="session",
            help="A column of numbers, or of two groups, which are coded 1 and 0.",
        )
        reference = choose_reference(metadata, trait)
    with covariate_column:
        possible = [
            column.name
            for column in metadata.columns
            if column.name != trait and (column.has_groups or column.name in columns)
        ]
        covariates = st.multiselect(
            "Adjust for",
            possible,
            key="covariates",
            persist_state="session",
            help="These columns are regressed out of both expression and trait (partial "
            "correlation).",
        )
        covariates = [name for name in covariates if name in possible]
    seed = offer_shuffle()
    values, meaning = trait_numbers(metadata, trait, reference)
    if seed is not None:
        values = shuffled(values, seed)
    others = covariate_numbers(metadata, covariates)
    return TraitChoice(trait, tuple(covariates), seed, values, meaning, others, reference)


@dataclass(frozen=True)
class TraitView:
    """The user's cohort and a trait: each tissue's correlations, made once for all parts.

    Attributes
    ----------
    session, model, cohort
        Session of the samples, model that predicted them, and the samples with their tissues.
    held_out
        Accuracy of the genes.
    choice
        The trait.
    """

    session: Session
    model: ServedModel
    cohort: OwnCohort
    held_out: GeneAccuracy
    choice: TraitChoice

    @property
    def key(self) -> tuple[object, ...]:
        """Key of this choice within the session."""
        choice, people = self.choice, compared_people(self.session)
        return (
            *("trait", choice.trait, choice.reference, choice.covariates, choice.seed),
            people,
        )

    @property
    def prefix(self) -> str:
        """Beginning of the names of files."""
        return f"{self.session.file_stem}{'shuffled_' if self.choice.seed is not None else ''}"

    @property
    def is_wide(self) -> bool:
        """Whether all genes of all tissues take long."""
        return len(self.cohort.tissues) * len(self.model.genes) > MOST_AT_ONCE

    def correlated(self, name: str) -> pd.DataFrame:
        """Correlate every gene of one tissue, also in a thread of its own."""
        return trait_in_tissue(
            self.cohort,
            name,
            self.choice.values,
            self.choice.others,
            accuracy=self.held_out.of_tissues([name]),
        )

    def correlated_once(self, name: str) -> pd.DataFrame:
        """Return the same, made once, behind the page: of 1,000 samples it takes a second."""
        return remember(
            self.session,
            (*self.key, name),
            lambda _: self.correlated(name),
            slot="trait of a tissue",
            words=f"Correlating {name} with {self.choice.trait}",
        )

    def overview(self, tell: Progress) -> TraitOverview:
        """Correlate every tissue, one after the other."""
        tissues = self.cohort.tissues

        def tables() -> Iterator[pd.DataFrame]:
            for i, name in enumerate(tissues):
                tell(i, len(tissues))
                yield self.correlated(name)

        return TraitOverview.of(tables(), self.cohort.predicted_genes, self.model.genes, FDR)


def need_tested(view: TraitView) -> pd.DataFrame:
    """Correlate the measured tissue; where no gene can be tested, say why and end the page."""
    measured = view.correlated_once(view.session.source)
    if measured["rho"].isna().all():
        st.warning(
            f"No gene was tested: {plain(measured['outcome'].iloc[0])}"
            f" (n = {measured['n'].iloc[0]}).",
            icon=":material/warning:",
        )
        end_page()
    return measured


def show_every_tissue(view: TraitView, measured: pd.DataFrame) -> None:
    """Show the correlations of every tissue as a heatmap and in words, once they are made."""
    session, cohort, choice = view.session, view.cohort, view.choice
    trait, n_genes = choice.trait, len(view.model.genes)
    key = ("overview", *view.key)
    task = session.remembering(
        key,
        view.overview,
        slot="trait",
        words=f"Correlating every tissue with {trait}",
        is_long=view.is_wide,
    )
    if not is_done(session, task, patience=0 if view.is_wide else None):
        return
    overview = cast("TraitOverview", session.recall(key))
    rho = overview.rho
    without = f", adjusted for {' and '.join(choice.covariates)}" if choice.covariates else ""
    show_figure(
        rho_heatmap(rho, overview.pale, trait=trait),
        key="trait_rho",
        name=f"{view.prefix}rho_with_{trait}",
        caption=f"Pearson correlation of log2 expression with {trait} ({choice.meaning}){without},"
        f" over n = {measured['n'].max()} samples. Genes of the model are ordered by their mean."
        f" Measured {session.source}: {cohort.measured.meaning} The table below has its other"
        " genes too."
        + (
            " Faded cells: the model cannot predict that gene there."
            if view.held_out.exists
            else ""
        )
        + (
            f" Shown: the {rho.shape[1]} of {n_genes:,} genes with the largest rho in any tissue."
            if n_genes > rho.shape[1]
            else ""
        ),
        data=rho,
    )
    n_tissues = len(overview.summary)
    many = n_tissues > MOST_LINES
    with st.expander(f"All {n_tissues} tissues in words") if many else st.container():
        for line in overview.summary:
            st.markdown(f"- {line}")


def show_genes(
    view: TraitView, measured: pd.DataFrame, names: GeneNames
) -> tuple[str, str, pd.DataFrame]:
    """List the genes of a tissue that the user chooses, or of all.

    Returns
    -------
    tuple
        The tissue, the id of the gene that all screens share, and the tissue's correlations.
    """
    session, cohort, choice = view.session, view.cohort, view.choice
    st.header("Genes")
    tissue_column, gene_column, toggle_column = st.columns(3, vertical_alignment="bottom")
    with tissue_column:
        tissue = choose_tissue(cohort.predicted_tissues)
    with gene_column:
        _, gene = choose_gene(names, help="Circled in the figure below.")
    with toggle_column:
        everywhere = st.toggle(
            "All tissues",
            key="traits_everywhere",
            help=f"List every predicted tissue, not only the chosen one and "
            f"{plain(session.source_in_words)}.",
            persist_state="session",
        )
    shown = view.correlated_once(tissue)
    named = choice.trait, choice.meaning
    if everywhere:
        table = remember(
            session,
            ("every row", *view.key),
            lambda tell: rho_rows(  # in order: a million rows are not sorted anew at each look
                table_of_tissues(
                    cohort,
                    lambda one: correlate_trait(one, choice.values, choice.others),
                    view.held_out,
                    tell,
                ),
                *named,
            ),
            slot="trait rows",
            words=f"Listing every tissue's correlations with {choice.trait}",
            is_long=view.is_wide,
        )
    else:
        table = rho_rows(pd.concat([measured, shown], ignore_index=True), *named)
    rows = show_gene_rows(table, names, key="trait_rows", height=320, listed="p")
    download_table(
        rows,
        key="trait_table",
        name=f"{view.prefix}{choice.trait}_associations",
        label="These rows",
    )
    return tissue, gene, shown


def show_against_reference(
    view: TraitView,
    metadata: SampleMetadata,
    own: dict[str, pd.DataFrame],
    *,
    tissue: str,
    gene: str,
) -> None:
    """Compare the correlations with those in GTEx donors, where the trait is age or sex.

    Parameters
    ----------
    own
        Correlations of tissues that are there already.
    tissue, gene
        The tissue that the figure shows, and the gene that it circles.
    """
    cohort, choice, associations = view.cohort, view.choice, view.model.associations
    trait = choice.trait
    st.header("Against the GTEx reference")
    known = reference_trait(metadata, trait)
    if known is None:
        st.info(
            f"The reference has only age and sex of its donors, not {plain(repr(trait))}. Choose "
            f"the columns of age and sex on the page Metadata.",
            icon=":material/info:",
        )
        return
    if associations is None:
        say_no_associations()
        return
    adjusted_for = choose_adjustment(associations, known)

    def points_of(of_tissue: str, **columns: Any) -> pd.DataFrame:  # noqa: ANN401
        """Set the genes of one tissue beside the reference."""
        table = own.get(of_tissue)
        return beside_reference(view.correlated(of_tissue) if table is None else table, **columns)

    show_agreement(
        view.session,
        cohort.tissues,
        partial(
            points_of,
            reference=associations,
            trait=known,
            adjusted_for=adjusted_for,
            own_column="rho",
            reference_column="rho",
        ),
        TraitEffects(cohort, choice.values, choice.others),
        n_genes=len(view.model.predictor.artefact.genes),
        key=(*view.key, adjusted_for),
        tissue=tissue,
        gene=gene,
        own=f"rho with {trait}, your samples",
        reference=f"rho with {known}, GTEx donors",
        name=f"{view.prefix}{trait}_against_reference",
        equal=True,
        caption=f"Each point is a gene: x, its correlation with {known} in {tissue} of GTEx "
        f"donors; y, its correlation with {trait} in your samples, predicted for {tissue}.",
    )
