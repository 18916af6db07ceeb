"""Quality: the samples looked at before anything is predicted from them."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.quality import (
    reviewed,
    show_components,
    show_every_sample,
    show_outliers,
    show_sex,
    show_tissue,
)
from mtm_core.dashboard.screens.quality_swaps import show_swaps
from mtm_core.dashboard.widgets.cohort_view import begin_with_samples
from mtm_core.dashboard.widgets.layout import show_notes
from mtm_core.dashboard.widgets.uploads import TABLE_ENDINGS
from mtm_core.escaping import plain

session, model = begin_with_samples(
    "Quality",
    "Check your samples before you predict: outliers, sex, tissue, and what explains their"
    " principal components.  \nEvery gene of your table is used; a figure is not computed if its"
    " genes are missing.",
)
review = reviewed(session, model)

n_samples, n_genes, to_look_at, tissue = st.columns(4)
n_samples.metric("Samples", f"{len(review.samples):,}")
n_genes.metric("Genes in the table", f"{review.n_genes:,}")
to_look_at.metric("Flagged", f"{len(review.outliers):,}")
alike = int((review.samples["nearest_tissue"] == review.source).sum())
tissue.metric(f"Most like {plain(session.source_in_words)}", f"{alike:,}")

st.header("Flagged samples")
show_outliers(session, review)
st.header("Components")
show_components(session, review, source=session.source)
st.header("Sex")
show_sex(session, review)
st.header("Is it the stated tissue?")
show_tissue(session, review)
st.header("Every sample")
show_every_sample(session, review)
st.subheader("Notes")
show_notes(review.notes)
st.header("Sample swaps")
show_swaps(session, model, TABLE_ENDINGS)
