"""Guides: how to use the program, and how far to trust it."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.guides import GUIDES, guide
from mtm_core.dashboard.widgets.layout import begin

begin("Guides", "How to use the program, and how far to trust its numbers.")
name = st.selectbox(
    "Guide",
    list(GUIDES),
    format_func=GUIDES.__getitem__,
    key="guide",
    bind="query-params",
    help="The same pages are in the folder 'docs' of the program.",
)
st.markdown(guide(name))
