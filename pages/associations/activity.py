"""Activity: scores of pathways and transcription factors in each sample and tissue."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.activity_views import (
    choose_compared,
    choose_scoring,
    need_scores,
    show_command,
    show_differences,
    show_samples,
    show_sources,
)
from mtm_core.dashboard.widgets.cohort_view import (
    begin_with_samples,
    prediction_from_expression,
    say_where_it_comes_from,
)
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy

session, model = begin_with_samples(
    "Activity",
    "How active pathways and transcription factors are in each sample, judged by the genes that"
    " respond to them: in measured and in predicted tissues.  \nA score above 0 (red) means that"
    " target genes lie above the other genes of the sample; below 0 (blue), below them.",
)
prediction, prepared = prediction_from_expression(session, model)
say_where_it_comes_from(session, model)

held_out = GeneAccuracy.of(model, session.sources)
tissues = [prepared.source, *prediction["tissue"].to_numpy().astype(str)]
asked = choose_scoring(session, tissues, held_out)
parts = need_scores(session, model, prediction, prepared, held_out, asked)

choice = choose_compared(session.own_metadata)
compared = None if choice is None else show_differences(session, model, parts, asked, choice)
show_samples(session, parts, asked, choice)
show_sources(session, parts, asked, choice, compared)
with st.expander("The same from the command line"):
    show_command(session, model, prepared, asked, choice)
