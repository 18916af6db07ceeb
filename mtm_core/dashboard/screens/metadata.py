"""What was found in metadata, and what of it is for the model."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.metadata_tables import (
    difference_table,
    near_table,
    words_for_none,
)
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.layout import (
    download_table,
)
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.phenotypes import Sex
from mtm_core.escaping import plain

NOT_KNOWN = "not known"
SEXES: tuple[Sex, ...] = ("female", "male")


def show_found(session: Session, metadata: SampleMetadata) -> None:
    """Show how the metadata fit the samples, and let the user match nearly the same names."""
    samples = session.sample_names
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


def choose_roles(metadata: SampleMetadata) -> SampleMetadata:
    """Let the user say which columns are age and sex, and which words are no values."""
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
        help="Cells with such a word count as blank, in every column. NA or None is read as a "
        "group unless you name it here, because in some files it is one.",
    )
    return metadata.with_roles(
        age_column=age_column,
        sex_column=sex_column,
        unknown=unknown,
        sex_codes={code: sex for code in asked for sex in SEXES if answers[code] == sex},
    )
