"""Tables of many rows: sorted on the server and shown a page at a time; a download has them all.

Up to ``MOST_WHOLE`` rows a browser has the whole table and sorts it by a press on a column's head.
Of more it has one page, and the order is chosen beside it, so that it is that of all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler
from streamlit.elements.lib.column_types import ColumnConfig

MOST_WHOLE = 2_500
"""Rows up to which a table is shown whole."""
PAGE_ROWS = 200
AS_LISTED = "as listed"

Columns = Mapping[str, ColumnConfig | str | None]


def show_rows(
    table: pd.DataFrame,
    *,
    key: str,
    height: int,
    columns: Columns,
    order: Sequence[str] | None = None,
    listed: str = AS_LISTED,
    on_row: Callable[[int], None] | None = None,
    style: Callable[[pd.DataFrame], pd.DataFrame | Styler] | None = None,
) -> pd.DataFrame:
    """Show ``table``, whole or a page at a time; give it in the order that was chosen.

    Parameters
    ----------
    table
        Without its index, which is not shown.
    key
        Key of the table on the page; also part of the keys of its widgets.
    height
        In pixels.
    columns
        How columns are headed and formatted.
    order
        Columns to show, in this order; all of them if ``None``.
    listed
        Names the order that ``table`` has.
    on_row
        Called with the place in the table that was given when a row of it is marked.
    style
        Makes a page of it a styled one.
    """
    ordered, first = table, 0
    page_key = key
    if len(table) > MOST_WHOLE:
        shown = [name for name in (order or table.columns) if name in table]
        heads = {name: _head(name, columns) for name in shown}
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            by = st.selectbox(
                "Sort by",
                [AS_LISTED, *shown],
                format_func=lambda name: heads.get(name, listed),
                key=f"{key}_order",
                persist_state="session",
                width=240,
                help="Sorts all rows, not only those on this page.",
            )
            falling = st.toggle(
                "Largest first",
                key=f"{key}_falling",
                persist_state="session",
                disabled=by == AS_LISTED,
                help="Starts from the largest number, or from the end of the alphabet.",
            )
            n_pages = -(-len(table) // PAGE_ROWS)
            st.session_state[f"{key}_page"] = min(st.session_state.get(f"{key}_page", 1), n_pages)
            page = st.pagination(n_pages, key=f"{key}_page", max_visible_pages=5)
        if by != AS_LISTED:
            ordered = table.sort_values(
                by, ascending=not falling, kind="stable", na_position="last"
            )
        first = (page - 1) * PAGE_ROWS
        page_key = f"{key}_{page}_{by}_{falling}"
    part = ordered.iloc[first : first + PAGE_ROWS] if len(table) > MOST_WHOLE else ordered

    def take() -> None:
        rows = st.session_state[page_key]["selection"]["rows"]
        if rows and on_row is not None:
            on_row(int(table.index.get_indexer([part.index[rows[0]]])[0]))

    st.dataframe(
        part if style is None else style(part),
        hide_index=True,
        height=height,
        key=page_key,
        on_select="ignore" if on_row is None else take,
        selection_mode="single-row",
        column_order=order,
        column_config=dict(columns),
        placeholder="-",
    )
    if len(part) < len(table):
        st.caption(f"Rows {first + 1:,} to {first + len(part):,} of {len(table):,}.")
    return ordered


def _head(name: str, columns: Columns) -> str:
    """Return what a column is headed by."""
    config = columns.get(name)
    if isinstance(config, str):
        return config
    label = config.get("label") if isinstance(config, dict) else None
    return str(label) if label else str(name)
