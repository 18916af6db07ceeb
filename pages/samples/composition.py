"""Composition: which cells the RNA of whole blood comes from."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.composition import (
    can_be_estimated,
    estimated,
    markers_of,
    offer_as_covariates,
    show_adjusted_for_composition,
    show_shares,
)
from mtm_core.dashboard.widgets.cohort_view import begin_with_samples
from mtm_core.data.notes import name_some
from mtm_core.escaping import plain

session, model = begin_with_samples(
    "Blood composition",
    "Which cell types the RNA of your blood samples comes from. Much of what blood says about other"
    " tissues may reflect its neutrophils.  \nShares are of RNA, not of cells, and associations can"
    " be adjusted for them.",
)

if can_be_estimated(session, markers_of(session)):
    composition = estimated(session, model)
    if composition.poor:
        st.warning(
            f"{len(composition.poor)} of {len(composition.fit)} samples do not resemble a "
            f"mixture of blood cells: {plain(name_some(composition.poor))}. Their shares are "
            f"unreliable.",
            icon=":material/warning:",
        )
    st.header("Estimated shares")
    offer_as_covariates(session, composition)
    show_shares(
        session,
        composition.shares,
        key="composition",
        caption=f"By non-negative least squares on mean profiles of sorted cells, over"
        f" {composition.n_found} of {composition.n_genes} genes. In people left out of the "
        f"profiles, rho with known mixtures was .94 to .99. Protocols differ, so differences "
        f"between your samples are more reliable than the shares themselves.",
    )

metadata = session.metadata
numbers = [] if metadata is None else [c.name for c in metadata.columns if c.kind == "number"]
if metadata is not None and numbers:
    st.header("Shares in your metadata")
    chosen = st.multiselect(
        "Columns that are shares of cells",
        numbers,
        key="own_shares",
        persist_state="session",
        help="Shares that you counted or estimated elsewhere, as fractions or per cent. "
        "Associations on Traits can be adjusted for them.",
    )
    if chosen:
        own = metadata.shares(chosen)
        show_shares(session, own, key="own_composition", caption="As in the metadata.")

st.header("Accuracy adjusted for composition")
show_adjusted_for_composition(session, model)
