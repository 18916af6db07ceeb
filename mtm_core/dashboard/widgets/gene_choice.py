"""The gene that all screens share: a list to choose from, or, of many genes, one to search.

A browser that is sent 19,291 names at every run is slow, and so is a server that sends them. Of
more than ``MOST_LISTED`` genes it has those that the last search has found, and the genes that were
looked at before.
"""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.state.gene_names import MOST_FOUND, GeneNames
from mtm_core.escaping import plain

MOST_LISTED = 500
"""Genes up to which the browser has them all."""
_KEY, _BEFORE, _SEARCH, _ASKED = "gene", "gene_before", "gene_search_last", "gene_asked"
_MOST_BEFORE = 10


def choose_gene(
    names: GeneNames, *, help: str = "", label: str = "Gene", disabled: bool = False
) -> tuple[str, str]:
    """Let the user choose the gene that all screens share; return its label and its id.

    Another page may offer genes that this one does not: it then starts from its own first.
    """
    if len(names) <= MOST_LISTED:
        known = st.session_state.get(_KEY)
        if known is not None:
            # A widget starts with what another page's of its key holds only where it is said.
            st.session_state[_KEY] = names.named(str(known)) or next(iter(names))
        chosen = st.selectbox(
            label,
            list(names),
            key=_KEY,
            bind="query-params",
            disabled=disabled,
            help=f"{help} Type to search.".strip(),
        )
        return chosen, names[chosen]
    said = _take_up(names)
    chosen = st.selectbox(
        label,
        _offered(names),
        key=_KEY,
        bind="query-params",
        accept_new_options=True,
        disabled=disabled,
        filter_mode="contains",
        placeholder="symbol or id",
        help=f"{help} Type a symbol or its beginning, an earlier name, an Ensembl or Entrez id,"
        f" and press Enter: {len(names):,} genes are searched.".strip(),
    )
    if chosen not in names:  # an address fills the box by itself where the page is new
        if st.session_state.get(_ASKED) != chosen:
            st.session_state[_ASKED] = chosen
            st.rerun()
        chosen = _nearest(names, chosen)
    if said and not disabled:
        st.caption(said)
    return chosen, names[chosen]


def mark_gene(names: GeneNames, gene: str) -> None:
    """Make the gene of this id the one that all screens share, if it is one of ``names``."""
    if gene in names.by_id:
        st.session_state[_KEY] = names.by_id[gene]


def _take_up(names: GeneNames) -> str:
    """Turn what was typed, or is in the address, into a gene; say what was found."""
    asked = st.session_state.get(_KEY)
    before: list[str] = [name for name in st.session_state.get(_BEFORE, []) if name in names]
    if asked is None:
        asked = st.query_params.get(_KEY)
    said = ""
    if asked is None:
        chosen = before[0] if before else next(iter(names))
    elif asked in names:
        chosen = asked
        search, found = st.session_state.get(_SEARCH, ("", []))
        if len(found) > 1 and chosen in found:
            said = _in_words(search, found)
    else:
        found = names.find(str(asked))
        whole = names.named(str(asked))
        chosen = whole or (found[0] if found else before[0] if before else next(iter(names)))
        if found:
            st.session_state[_SEARCH] = (str(asked), found)
        else:
            said = f":material/search_off: The model has no gene called {plain(str(asked))}."
        if found and whole is None:
            said = _in_words(str(asked), found)
    st.session_state[_KEY] = chosen
    st.session_state[_BEFORE] = list(dict.fromkeys([chosen, *before]))[:_MOST_BEFORE]
    return said


def _nearest(names: GeneNames, text: str) -> str:
    """Return the label that ``text`` finds first; the first of all where it finds none."""
    return names.named(text) or next(iter(names.find(text, 1)), next(iter(names)))


def _offered(names: GeneNames) -> list[str]:
    """List the genes that the browser is sent: the chosen one, those found, those before."""
    _, found = st.session_state.get(_SEARCH, ("", []))
    offered = dict.fromkeys([st.session_state[_KEY], *found, *st.session_state[_BEFORE]])
    return [name for name in offered if name in names][:MOST_FOUND]


def _in_words(search: str, found: list[str]) -> str:
    more = "more than " if len(found) == MOST_FOUND else ""
    return f"{more}{len(found)} genes match {plain(search)}; they are in the list."
