"""The metadata column that names the person of each sample, where people have several."""

from __future__ import annotations

import streamlit as st

from mtm_core.data.people.metadata import SampleMetadata

_MOST_OF_ONE = 20
"""Samples of one person on average, above which a column names groups rather than people."""


def choose_person(metadata: SampleMetadata, *, key: str, explanation: str) -> str | None:
    """Offer the columns of ``metadata`` that may name people; return the one chosen.

    Nothing is shown, and ``None`` returned, if no column repeats a name.
    """
    columns = [
        one.name
        for one in metadata.columns
        if (metadata.values[one.name].value_counts() >= 2).any()
        and metadata.values[one.name].nunique() > len(metadata.values) / _MOST_OF_ONE
    ]
    if not columns:
        return None
    return st.selectbox(
        "Column that names the person of each sample",
        columns,
        index=None,
        placeholder="one sample per person",
        key=key,
        persist_state="session",
        help=explanation,
    )
