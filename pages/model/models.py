"""Models: what is here, the one to use in this session, and how to have one of all genes."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.models import (
    choose_model,
    models_here,
    show_genome_wide,
    show_models,
)
from mtm_core.dashboard.widgets.layout import begin

session, model = begin(
    "Models",
    "The installed models, what each predicts and how well, and the one that this session uses.",
)
here = models_here()
choose_model(session, here)
show_models(here)
st.caption(
    "Accuracy is the mean over each model's own genes. A model of more genes includes many that "
    "blood cannot predict, so a lower mean does not make it a worse model. Compare two models on "
    "the genes they share."
)
st.header("All genes")
show_genome_wide(here)
