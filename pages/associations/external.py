"""External cohort: the user's cases and controls against a contrast of the GTEx donors."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.external import (
    choose_contrast,
    choose_tissue_and_gene,
    need_enough_samples,
    show_beside_contrast,
)
from mtm_core.dashboard.widgets.agreement_view import need_associations
from mtm_core.dashboard.widgets.cohort_view import (
    begin_with_samples,
    need_metadata,
    own_cohort,
    say_where_it_comes_from,
    show_comparison,
)
from mtm_core.dashboard.widgets.group_choice import choose_groups, offer_shuffle
from mtm_core.reporting.command_line import Comparison
from mtm_core.workflows.comparisons import groups_of

session, model = begin_with_samples(
    "External cohort",
    "Your cases against your controls in predicted tissue, beside a contrast of GTEx donors in the"
    " measured tissue.  \nRho says how well the two agree over genes; compare it with what shuffled"
    " labels give.",
)
metadata, columns = need_metadata(session, groups_of, "two groups or more")
associations = need_associations(model)
cohort = own_cohort(session, model)
say_where_it_comes_from(session, model)

choice = choose_groups(metadata, columns)
choice = choice.shuffled(offer_shuffle())
trait, adjusted_for = choose_contrast(associations)
tissue, gene = choose_tissue_and_gene(model, cohort)
need_enough_samples(choice)
show_beside_contrast(
    session,
    model,
    cohort,
    choice,
    associations,
    trait=trait,
    adjusted_for=adjusted_for,
    tissue=tissue,
    gene=gene,
)
with st.expander("The same from the command line"):
    show_comparison(
        session,
        model,
        Comparison((choice.column, choice.case, choice.control), shuffle=choice.seed),
    )
