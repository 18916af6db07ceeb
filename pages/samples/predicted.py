"""Predicted expression: choose tissues, predict, look at all samples or at one gene, take it home.

The chosen tissue, gene and view stand in the page's address; data never do.
"""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.predicted import Predicted
from mtm_core.dashboard.screens.predicted_choice import choose_shown
from mtm_core.dashboard.state.background import start, watch
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.saved_session import save
from mtm_core.dashboard.widgets.cohort_view import begin_with_samples, warn_of_one_sex
from mtm_core.dashboard.widgets.target_choice import choose_targets
from mtm_core.data.notes import counted
from mtm_core.escaping import plain
from mtm_core.inference.together import explain_sources, sources_of

session, model = begin_with_samples(
    "Predicted expression",
    "Expected expression in other tissues of the same people. How far to trust a value depends "
    "on the held-out accuracy (rho) of its gene in its tissue.",
)
predictor = model.predictor

choice, action = st.columns([5, 1], vertical_alignment="bottom")
with choice:
    choose_targets(session, predictor)
with action:
    go_on = st.button("Predict", type="primary", icon=":material/play_arrow:", key="predict")
if go_on:
    start(session, session.predicting(predictor))
is_predicting = watch(session, "prediction")

save(session)

prediction = session.prediction
if prediction is None:
    if not is_predicting:
        st.info("Choose tissues, then press **Predict**.", icon=":material/arrow_upward:")
    end_page()
if is_predicting:
    st.caption("The previous prediction is shown until the new one is ready.")
elif not session.is_current(predictor):
    st.warning(
        "Your choice has changed. The results below are the previous prediction. Press"
        " **Predict** to update them.",
        icon=":material/update:",
    )

predicted = Predicted.of(prediction, session, model)
sources = sources_of(prediction)
attrs, n_with_age_sex = prediction.attrs, int(prediction["used_age_sex"].sum())
with_age_sex = (
    f" · with age and sex of {n_with_age_sex:,} samples (the held-out rho shown is for "
    f"expression alone, a little lower)"
    if n_with_age_sex
    else " · from expression alone; metadata with age and sex improves predictions a little"
)
st.caption(
    f"{counted(len(predicted.samples), 'sample', 'samples')} of {plain(explain_sources(sources))} ·"
    f" {counted(len(predicted.tissues), 'tissue', 'tissues')} ·"
    f" {len(predicted.genes):,} genes · expression in {plain(attrs['unit'])}, z-scores against"
    " the GTEx"
    f" donors of the tissue · alignment: {attrs['alignment']}"
    + (with_age_sex if predictor.covariates else "")
)
warn_of_one_sex(session, predicted.tissues)
shown = choose_shown(
    predicted.samples, predicted.tissues, predicted.genes, evaluated=predicted.held_out.exists
)
if not predicted.held_out.exists:
    st.caption(
        f":material/help: Predictions of this model from {plain(explain_sources(sources))}"
        f"{' together' if len(sources) > 1 else ''} were **not evaluated**: no held-out rho is "
        f"shown beside the values, and no gene is greyed out."
    )
predicted.show(shown)
predicted.offer_everything(session.predicted_by, session.predicted_from)
predicted.offer_by_tissue(shown.tissue, session.predicted_by, session.predicted_from)
predicted.show_command(session.predicted_by, session.predicted_from)
