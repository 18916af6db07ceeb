"""Metadata: what is known of the samples, and whether it is of these samples."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.metadata import choose_roles, show_found
from mtm_core.dashboard.screens.metadata_tables import (
    columns_table,
)
from mtm_core.dashboard.state.background import start_once, watch
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.saved_session import save
from mtm_core.dashboard.widgets.cohort_view import begin_with_samples
from mtm_core.dashboard.widgets.layout import (
    DIFFERENTIAL_PAGE,
    TRAITS_PAGE,
    download_table,
    show_notes,
)
from mtm_core.data.people.metadata_file import metadata_template

TEXT = ["csv", "tsv", "txt"]
FORMATS = [*TEXT, *(f"{ending}.gz" for ending in TEXT), "xlsx", "parquet"]
session, model = begin_with_samples(
    "Metadata",
    "What you know about the samples: age, sex, groups, anything you measured.  \n"
    "Groups can be compared and numbers correlated, in your samples and in the predicted tissues.",
    with_unit=False,
)
samples = session.sample_names

left, right = st.columns([2, 1], gap="large")
with left:
    upload = st.file_uploader(
        "Metadata table",
        type=FORMATS,
        key=f"metadata_{session.table_sha256[:12]}_{session.n_deleted}",
        help="One row per sample, named as in the expression table; one column for each variable.",
    )
    st.caption("csv, tsv or txt, also gzipped; xlsx or parquet.")
with right:
    st.markdown("**Template**")
    st.caption(f"Your {len(samples):,} sample names with empty columns for age, sex and group.")
    download_table(metadata_template(samples), key="metadata_template", label="Template")

if upload is not None:
    start_once(session, session.reading_metadata(upload.getvalue(), upload.name))
is_reading = watch(session, "metadata")

metadata = session.metadata
if metadata is None:
    if not is_reading:
        st.info(
            "No metadata yet. Upload a table, or fill in the template.",
            icon=":material/arrow_upward:",
        )
    end_page()

show_found(session, metadata)
chosen = choose_roles(metadata)
if chosen.roles != metadata.roles:
    session.metadata = chosen
    st.rerun()

save(session)

st.subheader("Notes")
show_notes(metadata.notes)

st.subheader("Columns")
described = columns_table(metadata)
st.dataframe(described, hide_index=True, key="columns_found")
download_table(described, key="metadata_columns", label="Columns")

with st.container(horizontal=True):
    st.page_link(DIFFERENTIAL_PAGE, label="Compare two groups", icon=":material/scatter_plot:")
    st.page_link(TRAITS_PAGE, label="Correlate with a trait", icon=":material/trending_up:")
