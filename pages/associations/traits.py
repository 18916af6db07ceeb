"""Traits: which genes are correlated with age, sex, or any other variable of the samples."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.traits_views import (
    TraitView,
    choose_trait,
    need_tested,
    show_against_reference,
    show_every_tissue,
    show_genes,
)
from mtm_core.dashboard.widgets.cohort_genes import genes_of_cohort
from mtm_core.dashboard.widgets.cohort_view import (
    begin_with_samples,
    need_metadata,
    own_cohort,
    say_where_it_comes_from,
    show_comparison,
)
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.escaping import plain
from mtm_core.reporting.command_line import Comparison
from mtm_core.workflows.comparisons import traits_of

session, model = begin_with_samples(
    "Traits",
    lambda session, _model: (
        "Which genes are correlated with age, sex or another trait of your samples: measured in"
        f" {plain(session.source_in_words)}, and"
        " predicted in other tissues.  \nExpression rises with the trait in red cells, and falls "
        "in blue ones."
    ),
)
metadata, columns = need_metadata(session, traits_of, "numbers, or two groups,")
cohort = own_cohort(session, model)
held_out = GeneAccuracy.of(model, session.sources)
names = genes_of_cohort(session, model, cohort)
say_where_it_comes_from(session, model)

choice = choose_trait(metadata, columns)
view = TraitView(session, model, cohort, held_out, choice)
measured = need_tested(view)
show_every_tissue(view, measured)
tissue, gene, shown = show_genes(view, measured, names)
own = {tissue: shown, session.source: measured}
show_against_reference(view, metadata, own, tissue=tissue, gene=gene)
with st.expander("The same from the command line"):
    show_comparison(
        session,
        model,
        Comparison(
            traits=(choice.trait,),
            covariates=choice.covariates,
            shuffle=choice.seed,
            references=choice.references,
        ),
    )
