"""The parts of the screen of an external cohort: the contrast, and the two cohorts beside it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.agreement_view import choose_adjustment, show_agreement
from mtm_core.dashboard.widgets.association_words import contrast_in_words
from mtm_core.dashboard.widgets.cohort_view import choose_tissue, compared_people
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.gene_choice import choose_gene
from mtm_core.dashboard.widgets.group_choice import GroupChoice
from mtm_core.escaping import plain
from mtm_core.workflows.comparisons import (
    GroupEffects,
    OwnCohort,
    ReferenceAssociations,
    beside_reference,
    groups_in_tissue,
)

FEWEST = 3
"""Samples of a group that a test needs."""


def choose_contrast(associations: ReferenceAssociations) -> tuple[str, str]:
    """Let the user choose a contrast of GTEx donors, and what it is adjusted for."""
    traits = associations.traits
    contrast_column, adjustment_column = st.columns(2)
    with contrast_column:
        trait = st.selectbox(
            "Reference contrast",
            sorted(traits, key=lambda name: traits[name]["kind"] != "two groups"),
            key="contrast",
            persist_state="session",
            format_func=lambda name: contrast_in_words(name, traits[name]),
            help="The contrast of GTEx donors in each tissue. Ventilator: donors who were on a "
            "ventilator when they died, against all others.",
        )
    with adjustment_column:
        adjusted_for = choose_adjustment(associations, trait)
    return trait, adjusted_for


def choose_tissue_and_gene(model: ServedModel, cohort: OwnCohort) -> tuple[str, str]:
    """Let the user choose the tissue that the figure shows, and a gene to circle; return its id."""
    tissue_column, gene_column = st.columns(2)
    with tissue_column:
        tissue = choose_tissue(cohort.predicted_tissues)
    with gene_column:
        _, gene = choose_gene(model.genes, help="Circled in the figure.")
    return tissue, gene


def need_enough_samples(choice: GroupChoice) -> None:
    """End the page where a group has too few samples to be tested."""
    if min(choice.n_case, choice.n_control) < FEWEST:
        st.warning(
            f"No gene was tested both in your samples and in the reference. {plain(choice.case)}: "
            f"{choice.n_case} samples,"
            f" {plain(choice.control)}: {choice.n_control}; at least three of each are needed.",
            icon=":material/warning:",
        )
        end_page()


def show_beside_contrast(
    session: Session,
    model: ServedModel,
    cohort: OwnCohort,
    choice: GroupChoice,
    associations: ReferenceAssociations,
    *,
    trait: str,
    adjusted_for: str,
    tissue: str,
    gene: str,
) -> None:
    """Show the user's cases against controls beside the contrast ``trait`` of GTEx donors."""
    held_out = GeneAccuracy.of(model, session.sources)

    def points_of(name: str) -> pd.DataFrame:
        """Compare the groups in one tissue, and set its genes beside the reference."""
        return beside_reference(
            groups_in_tissue(
                cohort,
                name,
                choice.groups,
                case=choice.case,
                control=choice.control,
                accuracy=held_out.of_tissues([name]),
            ),
            associations,
            trait,
            adjusted_for=adjusted_for,
            own_column="log2_ratio",
            reference_column="effect",
        )

    prefix = f"{session.file_stem}{'shuffled_' if choice.seed is not None else ''}"
    contrast = contrast_in_words(trait, associations.traits[trait])
    show_agreement(
        session,
        cohort.tissues,
        points_of,
        GroupEffects(cohort, choice.groups, choice.case, choice.control),
        n_genes=len(model.genes),
        key=(choice.key, compared_people(session), trait, adjusted_for),
        tissue=tissue,
        gene=gene,
        own=f"log2 ratio of means, {choice.case} against {choice.control}",
        reference=f"GTEx: {contrast}",
        name=f"{prefix}{choice.case}_against_{trait}",
        equal=associations.traits[trait]["kind"] == "two groups",
        caption=f"Each point is a gene of {tissue}: x, the change between GTEx donors "
        f"({contrast}); y, the log2 ratio of predicted means of {choice.case} (n = {choice.n_case})"
        f" against {choice.control} (n = {choice.n_control}). In 'Every tissue' below, measured "
        f"{session.source} is as in your table, without alignment; only genes in both are "
        f"compared.",
    )
