"""Which tissues are predicted: chosen on one page, read by all."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.body_map import Organ, body_map
from mtm_core.inference.predictor import Predictor

_LIST = "targets_list"
"""Name of the present list: another once the body has chosen, so that it starts from that."""


def choose_targets(session: Session, predictor: Predictor) -> None:
    """Let the user choose the tissues to predict, in a list or on a body, for the session."""
    tissues = [tissue for tissue in predictor.tissues if tissue not in session.sources]
    session.targets = tuple(
        st.multiselect(
            "Tissues to predict",
            tissues,
            default=session.chosen_targets(predictor),
            key=st.session_state.setdefault(_LIST, "targets"),
            help="Type to search. 'Select all' is at the top of the list.",
        )
    )

    def press(organ: Organ) -> None:
        session.targets = tuple(organ.toggle(session.chosen_targets(predictor)))
        stem, _, number = st.session_state[_LIST].partition("_")
        st.session_state[_LIST] = f"{stem}_{int(number or 0) + 1}"

    body_map(tissues, session.targets, press, key="targets")
