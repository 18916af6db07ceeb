"""Tables of many rows: searched and sorted on the server and shown a page at a time.

Up to ``MOST_WHOLE`` rows a browser has the whole table, sorts it by a press on a column's head, and
searches it by itself. Of more it has one page; names are searched and the order is chosen beside
it, so that both are of all rows. A download has all rows, or all that were found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from pandas.io.formats.style import Styler
from streamlit.elements.lib.column_types import ColumnConfig

from mtm_core.data.genes.ids import pattern_of

MOST_WHOLE = 2_500
"""Rows up to which a table is shown whole."""
PAGE_ROWS = 200
AS_LISTED = "as listed"
_GENES, _SETS, _SAMPLES = ("gene", "symbol", "gene_id"), ("set", "source"), ("sample", "tissue")
"""Columns of names that are searched: the first of these that a table has."""

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
    is_searched: bool = True,
) -> pd.DataFrame:
    """Show ``table``, whole or a page at a time; return what was searched in the order chosen.

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
    is_searched
        Whether a long table has a box to search its names.
    """
    ordered, first = table, 0
    page_key, is_long = key, len(table) > MOST_WHOLE
    if is_long:
        shown = [name for name in (order or table.columns) if name in table]
        heads = {name: _head(name, columns) for name in shown}
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            if is_searched:
                ordered = rows_with(table, _search(table, key))
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
            n_pages = max(1, -(-len(ordered) // PAGE_ROWS))
            if st.session_state.get(f"{key}_page", 1) > n_pages:
                st.session_state[f"{key}_page"] = n_pages
            page = st.pagination(n_pages, key=f"{key}_page", max_visible_pages=5)
        if by != AS_LISTED:
            ordered = ordered.sort_values(
                by, ascending=not falling, kind="stable", na_position="last"
            )
        first = (page - 1) * PAGE_ROWS
        page_key = f"{key}_{page}_{by}_{falling}"
    part = ordered.iloc[first : first + PAGE_ROWS] if is_long else ordered

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
    if ordered.empty and is_long:
        st.caption(f"None of {len(table):,} rows has such a name. Clear the search to see all.")
    elif len(part) < len(table):
        found = "" if len(ordered) == len(table) else f" found among {len(table):,}"
        st.caption(f"Rows {first + 1:,} to {first + len(part):,} of {len(ordered):,}{found}.")
    return ordered


def _named_by(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns of a table that are searched."""
    there = [[name for name in names if name in table] for names in (_GENES, _SETS, _SAMPLES)]
    return tuple(next(filter(None, there), []))


def _search(table: pd.DataFrame, key: str) -> str:
    """Ask what to search for; nothing where a table has no names."""
    columns = _named_by(table)
    if not columns:
        return ""
    of_genes = columns[0] in _GENES
    return str(
        st.text_input(
            "Search",
            key=f"{key}_search",
            persist_state="session",
            placeholder="symbols or gene ids" if of_genes else "part of a name",
            type="search",
            width=220,
            help="Searches all rows, not only those on this page. "
            + (
                "One or more symbols or Ensembl ids, or parts of them, separated by spaces or"
                " commas."
                if of_genes
                else "One or more names, or parts of them, separated by commas."
            ),
        )
    )


def rows_with(table: pd.DataFrame, text: str) -> pd.DataFrame:
    """Return the rows whose gene, or whose set, has a name that holds one of those in ``text``."""
    columns = _named_by(table)
    of_genes = bool(columns) and columns[0] in _GENES
    pattern = pattern_of(text) if of_genes else pattern_of(text, between="[,;]+")
    if not pattern:
        return table
    return table[np.any([_holds(table[name], pattern) for name in columns], axis=0)]


def _holds(names: pd.Series, pattern: str) -> NDArray[np.bool_]:
    """Tell which names match; of names that are held as codes, each is looked at once."""
    codes, different = pd.factorize(names)  # of a million rows there are 20,000 genes
    found = pd.Series(different).astype(str).str.lower().str.contains(pattern)
    return np.asarray(np.append(found.to_numpy(bool), [False])[codes], dtype=bool)


def _head(name: str, columns: Columns) -> str:
    """Return what a column is headed by."""
    config = columns.get(name)
    if isinstance(config, str):
        return config
    label = config.get("label") if isinstance(config, dict) else None
    return str(label) if label else str(name)
