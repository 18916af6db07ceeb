"""Which tissues are predicted: chosen on one page, read by all."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.session import Session
from mtm_core.inference.predictor import Predictor


def choose_targets(session: Session, predictor: Predictor) -> None:
    """Let the user choose the tissues to predict; the session keeps them."""
    session.targets = tuple(
        st.multiselect(
            "Tissues to predict",
            [tissue for tissue in predictor.tissues if tissue != session.source],
            default=session.chosen_targets(predictor),
            key="targets",
            help="Type to search. 'Select all' is at the top of the list.",
        )
    )
