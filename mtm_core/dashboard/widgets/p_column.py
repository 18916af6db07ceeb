"""Columns of p, FDR and other numbers of any size."""

from __future__ import annotations

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

_LONGEST, _CHARACTER, _PADDING = "0.0000012", 8, 26


def p_column(label: str, *, digits: int = 2, help: str | None = None) -> ColumnConfig:
    """Return a column of numbers with so many significant digits, wide enough for any of them.

    A browser does not widen a column when its numbers become longer, as for another trait, and
    cuts off their beginnings: 0.0000018 was shown as 000018.
    """
    n_characters = max(len(label), len(_LONGEST) + digits - 2)
    return st.column_config.NumberColumn(
        label, format=f"%.{digits}g", width=_PADDING + _CHARACTER * n_characters, help=help
    )
