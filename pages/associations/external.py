"""External cohort: the user's cases and controls against a contrast of the GTEx donors."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.agreement_view import (
    choose_adjustment,
    need_associations,
    show_agreement,
)
from mtm_core.dashboard.widgets.association_words import contrast_in_words
from mtm_core.dashboard.widgets.cohort_view import (
    begin_with_samples,
    choose_tissue,
    compared_people,
    need_metadata,
    own_cohort,
    say_where_it_comes_from,
    show_comparison,
)
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.gene_choice import choose_gene
from mtm_core.dashboard.widgets.group_choice import choose_groups, offer_shuffle
from mtm_core.escaping import plain
from mtm_core.reporting.command_line import Comparison
from mtm_core.workflows.comparisons import (
    GroupEffects,
    beside_reference,
    groups_in_tissue,
    groups_of,
)

FEWEST = 3
"""Samples of a group that a test needs."""

session, model = begin_with_samples(
    "External cohort",
    "Your cases against your controls in predicted tissue, beside a contrast of GTEx donors in the"
    " measured tissue.  \nRho says how well the two agree over genes; compare it with what shuffled"
    " labels give.",
)
metadata, columns = need_metadata(session, groups_of, "two groups or more")
associations = need_associations(model)
cohort = own_cohort(session, model)
held_out = GeneAccuracy.of(model, session.sources)
say_where_it_comes_from(session, model)

choice = choose_groups(metadata, columns)
choice = choice.shuffled(offer_shuffle())
contrast_column, adjustment_column = st.columns(2)
traits = associations.traits
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
tissue_column, gene_column = st.columns(2)
with tissue_column:
    tissue = choose_tissue(cohort.predicted_tissues)
with gene_column:
    _, gene = choose_gene(model.genes, help="Circled in the figure.")

if min(choice.n_case, choice.n_control) < FEWEST:
    st.warning(
        f"No gene was tested both in your samples and in the reference. {plain(choice.case)}: "
        f"{choice.n_case} samples,"
        f" {plain(choice.control)}: {choice.n_control}; at least three of each are needed.",
        icon=":material/warning:",
    )
    end_page()


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
contrast = contrast_in_words(trait, traits[trait])
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
    equal=traits[trait]["kind"] == "two groups",
    caption=f"Each point is a gene of {tissue}: x, the change between GTEx donors ({contrast}); "
    f"y, the log2 ratio of predicted means of {choice.case} (n = {choice.n_case})"
    f" against {choice.control} (n = {choice.n_control}). In 'Every tissue' below, measured "
    f"{session.source} is as in your table, without alignment; only genes in both are compared.",
)

with st.expander("The same from the command line"):
    show_comparison(
        session,
        model,
        Comparison((choice.column, choice.case, choice.control), shuffle=choice.seed),
    )
