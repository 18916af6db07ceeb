"""Latent space: what the model's codes and its decoding hold, and where your samples lie."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.latent_views import (
    show_decoding,
    show_donors,
    show_genes,
    show_samples,
)
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.layout import begin
from mtm_core.errors import SelectionError
from mtm_core.escaping import plain_message
from mtm_core.workflows.latent_codes import LatentModel, find_mtm

DONORS, DECODING, GENES, SAMPLES = "Donors", "Decoding", "Predictable genes", "Your samples"

session, model = begin(
    "Latent space",
    "MTM turns a sample of any tissue into a latent code of its donor, and decodes the code to "
    "every tissue. Do the codes distinguish donors, and does decoding reflect which tissues are "
    "alike?",
)
artefact, studies = model.predictor.artefact, model.studies
view = st.segmented_control(
    "View",
    [DONORS, DECODING, GENES, SAMPLES],
    default=DONORS,
    required=True,
    key="latent_of",
    help="Donors, tissues and genes of the model's cohort, or your own samples.",
    bind="query-params",
)
fitted: LatentModel | None = None
try:
    fitted = find_mtm(artefact.method)
except SelectionError as error:
    has_study = studies.latent is not None or studies.latent_held_out is not None
    if view in (DECODING, SAMPLES) or (view == DONORS and not has_study):
        st.info(plain_message(error), icon=":material/info:")
        end_page()

if view == DONORS:
    show_donors(model)
elif view == GENES:
    show_genes(model)
elif fitted is not None and view == DECODING:
    show_decoding(session, model, fitted)
elif fitted is not None:
    show_samples(session, model, fitted)
