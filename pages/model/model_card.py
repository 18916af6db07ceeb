"""Model card and training: what the model is made from, its intervals, its limits, its card."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.model_card import (
    show_accuracy,
    show_card,
    show_summary,
    show_training,
    show_training_data,
)
from mtm_core.dashboard.widgets.layout import begin
from mtm_core.reporting.model_card import LIMITS

session, model = begin(
    "Model card and training",
    "What the model was trained on, whether its intervals are calibrated, and its limits.",
)
artefact = model.predictor.artefact
show_summary(artefact)
show_accuracy(model)
show_training(model)
show_training_data(artefact)

st.header("Limits")
st.markdown(LIMITS)
show_card(model)
