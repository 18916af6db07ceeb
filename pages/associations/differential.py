"""Differential expression: two groups of the samples, in blood and in the predicted tissues."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.differential import COUNTS, LINEAR, choose_test
from mtm_core.dashboard.screens.differential_counts import show_count_models
from mtm_core.dashboard.screens.differential_designs import show_linear_models
from mtm_core.dashboard.screens.differential_groups import (
    choose_comparison,
    need_changes,
    show_command,
    show_figure_and_rows,
    show_gene_of_samples,
)
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.cohort_genes import genes_of_cohort
from mtm_core.dashboard.widgets.cohort_view import (
    begin_with_samples,
    need_metadata,
    own_cohort,
    say_where_it_comes_from,
)
from mtm_core.escaping import plain
from mtm_core.workflows.comparisons import groups_of

session, model = begin_with_samples(
    "Differential expression",
    lambda session, _model: (
        f"Which genes differ between groups of your samples, or change with a number, adjusted for "
        f"what else you know: measured in {plain(session.source_in_words)}, and predicted in other"
        " tissues.  \nEach point is a gene: further right, higher in cases; further up, less "
        "likely to be chance."
    ),
)
metadata, columns = need_metadata(session, groups_of, "two groups or more")
cohort = own_cohort(session, model)
names = genes_of_cohort(session, model, cohort)
say_where_it_comes_from(session, model)

test = choose_test()
if test == LINEAR:
    show_linear_models(session, model, metadata, cohort, names)
    end_page()
if test == COUNTS:
    show_count_models(session, model, metadata, cohort, names)
    end_page()

view = choose_comparison(session, model, metadata, columns, cohort, names)
table = need_changes(view)
show_figure_and_rows(view, table)
show_gene_of_samples(view)
with st.expander("The same from the command line"):
    show_command(view)
