"""Metadata: what is known of the samples, and whether it is of these samples."""

from __future__ import annotations

import streamlit as st

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
from mtm_core.dashboard.widgets.metadata_view import (
    columns_table,
    difference_table,
    near_table,
    words_for_none,
)
from mtm_core.data.people.metadata_file import metadata_template
from mtm_core.data.people.phenotypes import Sex
from mtm_core.escaping import plain

TEXT = ["csv", "tsv", "txt"]
FORMATS = [*TEXT, *(f"{ending}.gz" for ending in TEXT), "xlsx", "parquet"]
NOT_KNOWN = "not known"
SEXES: tuple[Sex, ...] = ("female", "male")

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

match = metadata.match
st.header(f"What was found in {plain(metadata.file)}")
matched, columns, aged, sexed = st.columns(4)
phenotypes = metadata.phenotypes()
matched.metric("Samples with metadata", f"{len(match.matched):,} of {len(samples):,}")
columns.metric("Columns", f"{len(metadata.columns):,}")
aged.metric("Age known", f"{phenotypes['age'].notna().sum():,}")
sexed.metric("Sex known", f"{phenotypes['sex'].notna().sum():,}")

if match.near:
    st.subheader("Nearly the same names")
    st.dataframe(near_table(match), hide_index=True, key="near")
    if st.button(
        f"Yes, these {len(match.near):,} are the same samples",
        icon=":material/link:",
        key="accept_near",
        help="Similar names are matched only if you confirm it.",
    ):
        session.metadata = metadata.with_near_matches()
        st.rerun()
if match.metadata_only or match.expression_only:
    with st.expander("Names that do not match", expanded=not match.matched):
        difference = difference_table(match)
        st.dataframe(difference, hide_index=True, height=260, key="difference")
        download_table(difference, key="names_that_do_not_match", label="These names")

st.subheader("Age and sex for the model")
st.caption(
    "Age and sex improve the predictions of models that use them; other models ignore them. "
    "Samples without age and sex are predicted from expression alone."
)
names = [column.name for column in metadata.columns]
age_choice, sex_choice = st.columns(2, gap="large")
file_key = metadata.sha256[:12]
with age_choice:
    age_column = st.selectbox(
        "Column of ages",
        names,
        index=names.index(metadata.age_column) if metadata.age_column else None,
        placeholder="none",
        key=f"age_column_{file_key}",
        help="In years. For age bands (60-69) the middle is used.",
    )
with sex_choice:
    sex_column = st.selectbox(
        "Column of sexes",
        names,
        index=names.index(metadata.sex_column) if metadata.sex_column else None,
        placeholder="none",
        key=f"sex_column_{file_key}",
        help="female and male, or f and m. You are asked what numbers mean: 1 is male in some "
        "files and female in others.",
    )
    asked = metadata.with_roles(age_column=age_column, sex_column=sex_column).unclear_sex_codes
    answers = {
        code: st.segmented_control(
            f"What does {plain(code)} mean?",
            [*SEXES, NOT_KNOWN],
            default=NOT_KNOWN,
            required=True,
            key=f"sex_code_{file_key}_{sex_column}_{code}",
            help="Not known: these samples are predicted without sex.",
        )
        for code in asked
    }
unknown = st.multiselect(
    "Words for unknown values",
    words_for_none(metadata),
    default=metadata.unknown,
    placeholder="none",
    key=f"unknown_{file_key}",
    accept_new_options=True,
    help="Cells with such a word count as blank, in every column. NA or None is read as a group "
    "unless you name it here, because in some files it is one.",
)
chosen = metadata.with_roles(
    age_column=age_column,
    sex_column=sex_column,
    unknown=unknown,
    sex_codes={code: sex for code in asked for sex in SEXES if answers[code] == sex},
)
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
