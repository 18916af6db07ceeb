"""Start: what the program does, how far to trust it, and where to go."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.start import show_tour, show_trust
from mtm_core.dashboard.state.resources import ServedModel, example_in_words
from mtm_core.dashboard.state.samples import words_of
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.layout import (
    UPLOAD_PAGE,
    begin,
    example_button,
)
from mtm_core.escaping import plain
from mtm_core.inference.example import default_source


def _lead(_session: Session, model: ServedModel) -> str:
    artefact = model.predictor.artefact
    return (
        f"Upload gene expression measured in **{plain(words_of(default_source(artefact)))}**, and "
        f"get the expected expression in up to **{len(artefact.tissues) - 1} other tissues** of "
        f"the same people.  \n"
        "The model was trained on donors of the GTEx project, in whom many tissues were "
        "measured.  \n"
        "Each prediction comes with the accuracy of its gene in its tissue, in donors not used in "
        "training."
    )


session, model = begin("Other tissues, from blood", _lead)
artefact = model.predictor.artefact

with st.container(horizontal=True):
    if st.button(
        "Upload your samples", type="primary", icon=":material/upload_file:", key="to_upload"
    ):
        st.switch_page(UPLOAD_PAGE)
    example_button(session, model)
st.caption(f"The example is {example_in_words(model.predictor)}")
show_trust(model)
show_tour(session, model)
