"""Gene sets between two groups of a user's samples, allowing for the correlation of their genes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.enrichment import Asked, Result, with_sets
from mtm_core.dashboard.state.background import remember
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_view import show_comparison
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.dashboard.widgets.p_column import p_column
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.data.gene_sets.gmt import GeneSets
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.associations.set_dots import MOST_SETS, set_dots
from mtm_core.workflows.enrich import EITHER, FDR, EnrichmentOptions

WHAT_IT_TESTS = (
    "Whether the genes of a set differ between the groups more than the other genes of the"
    " background do. p allows for the correlation of the set's genes between your samples; a set"
    " that is not found may differ all the same.  \nIn"
    " predicted tissues it tests differences of the predictions, without their error: a set that"
    " is found says that your groups differ in blood, not that the tissue was seen to differ."
)
COLUMNS = {
    "size": st.column_config.NumberColumn(
        "genes", help="Genes of the set that are in the background."
    ),
    "correlation": st.column_config.NumberColumn(
        "correlation",
        format="%.3f",
        help="Mean correlation of two genes of the set, within the groups.",
    ),
    "statistic": st.column_config.NumberColumn(
        "t", format="%.2f", help="Above 0: higher in cases than the other genes are."
    ),
    "p": p_column("p"),
    "fdr": p_column("FDR"),
    "n_background": st.column_config.NumberColumn("background"),
}
_LAST = ["n_background", "origin", "collection"]
"""Columns that are shown after the figures."""


@dataclass(frozen=True)
class SampleSets:
    """Sets that were tested in the samples.

    Attributes
    ----------
    table
        As :func:`mtm_core.workflows.comparisons.sets_in_tissue`, of one tissue after the other.
    why_not
        Why they could not be tested; empty if they were.
    """

    table: pd.DataFrame
    why_not: str = ""


def sets_by_samples(
    result: Result,
    tissues: Sequence[str],
    sets: GeneSets,
    options: EnrichmentOptions,
    on_progress: Callable[[int, int], None] | None = None,
) -> SampleSets:
    """Test ``sets`` in each tissue of a result of two groups of samples."""
    assert result.test_samples is not None
    found = []
    for i, tissue in enumerate(tissues):
        if on_progress is not None:
            on_progress(i, len(tissues))
        try:
            table = result.test_samples(tissue, sets, options)
        except (InputFileError, SelectionError) as error:
            return SampleSets(pd.DataFrame(), str(error))
        if len(table):
            found.append(table)
    return SampleSets(pd.concat(found, ignore_index=True) if found else pd.DataFrame())


def show_by_samples(session: Session, model: ServedModel, result: Result, asked: Asked) -> None:
    """Show the test of :func:`sets_by_samples`: what was found, its table and its command."""
    st.info(WHAT_IT_TESTS, icon=":material/info:")
    if result.test_samples is None:
        st.info(
            "This test needs two groups of your samples: a table of results does not say how genes"
            " are correlated. Choose *Your groups*, or another test.",
            icon=":material/info:",
        )
        end_page()
    tissues, sets, options = asked.tissues, asked.sets, asked.options
    chosen = (tuple(tissues), sets.name, sets.digest, options.background, options.minimum_size)
    tested = remember(
        session,
        ("sets by samples", result.key, *chosen),
        lambda tell: sets_by_samples(result, tissues, sets, options, tell),
        slot="sets by samples",
        words="Testing gene sets",
        is_long=len(tissues) > 1,
    )
    if tested.why_not:
        st.info(plain_message(tested.why_not), icon=":material/info:")
        end_page()
    if result.is_shuffled:
        st.warning("Whatever is found here is chance.", icon=":material/warning:")
    for line in counts_by_tissue(tested.table, tissues):
        st.markdown(f"- {line}")
    table = tested.table
    if len(table) and asked.direction != EITHER:
        table = table[table["direction"] == asked.direction]
    if table.empty:
        st.info(
            f"No set of {plain(sets.name)} to show. Choose smaller sets, all tested genes, either"
            " direction, or other sets.",
            icon=":material/info:",
        )
        end_page()
    table = table.sort_values(["fdr", "p"], kind="stable", ignore_index=True)
    table = table[[*table.columns.difference(_LAST, sort=False), *_LAST]]
    name = f"{session.file_stem}gene_sets"
    show_figure(
        set_dots(table, tissues, value="statistic", words="t"),
        key="set_dots",
        name=name,
        caption=f"{result.name}: the {MOST_SETS} sets of {sets.name} with the smallest FDR in a"
        " tissue shown. CAMERA, by the samples, with the correlation of genes estimated from them."
        " t: difference of the set's genes from the others over its standard error; above 0, higher"
        " in cases.",
        data=table,
        index=False,
    )
    st.header("Sets")
    rows = show_rows(table, key="set_rows", height=420, columns=COLUMNS, listed="FDR")
    download_table(rows, key="set_table", name=name, label="These rows")
    with st.expander("The same from the command line"):
        assert result.comparison is not None
        show_comparison(session, model, with_sets(result.comparison, asked))
        st.caption("It writes `gene_sets`, with every predicted tissue beside the measured one.")


def counts_by_tissue(table: pd.DataFrame, tissues: Sequence[str]) -> list[str]:
    """Say of each tissue how many sets were tested against how many genes, and were found."""
    lines = []
    for tissue in tissues:
        rows = table[table["tissue"] == tissue] if len(table) else table
        if rows.empty:
            lines.append(
                f"**{plain(tissue)}**: no set was tested: none has that many genes in the"
                " background, or too few of these people may have the tissue."
            )
            continue
        lines.append(
            f"**{plain(tissue)}** ({rows['origin'].iloc[0]}): {rows['n_background'].iloc[0]:,}"
            f" genes; {(rows['fdr'] <= FDR).sum():,} of {len(rows):,} sets within the size limits"
            f" at FDR {FDR:.0%}."
        )
    return lines
