"""Gene sets in a table of results by gene: pre-ranked and over-representation tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.enrichment import (
    BACKGROUNDS,
    OVER,
    RANKED,
    Asked,
    Result,
    with_sets,
)
from mtm_core.dashboard.state.background import remember
from mtm_core.dashboard.state.matched_sets import matched_sets
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_view import show_comparison
from mtm_core.dashboard.widgets.layout import download_table, show_figure, show_shell
from mtm_core.dashboard.widgets.p_column import p_column
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.data.gene_sets.gmt import GeneSets
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.associations.set_dots import MOST_SETS, set_dots
from mtm_core.reporting.command_line import enrich_arguments
from mtm_core.workflows.enrich import (
    EITHER,
    EnrichedPart,
    EnrichmentOptions,
    ResultTable,
    enrich_part,
    parts_of,
)

COLUMNS = {
    "nes": st.column_config.NumberColumn(
        "NES",
        format="%.2f",
        help="Normalised enrichment score: the score divided by its mean "
        "for random sets of that size.",
    ),
    "es": st.column_config.NumberColumn("ES", format="%.3f"),
    "p": p_column("p"),
    "fdr": p_column("FDR"),
    "size": st.column_config.NumberColumn(
        "genes", help="Genes of the set that are in the background."
    ),
    "overlap": st.column_config.NumberColumn("found", help="Genes of the set that were found."),
    "expected": st.column_config.NumberColumn("by chance", format="%.1f"),
    "odds_ratio": st.column_config.NumberColumn("odds ratio", format="%.2f"),
    "n_leading": st.column_config.NumberColumn("leading", help="Genes up to the peak."),
    "n_selected": st.column_config.NumberColumn("genes found"),
    "n_background": st.column_config.NumberColumn("background"),
    "genes": st.column_config.TextColumn("which genes", width="large"),
}


def show_by_genes(session: Session, model: ServedModel, result: Result, asked: Asked) -> None:
    """Show the tests of :func:`enriched_tissues`: what was found, its table and its command."""
    sets, options = asked.sets, asked.options
    entrez = model.predictor.artefact.genes["entrez"]
    chosen = (
        tuple(asked.tissues),
        sets.name,
        sets.digest,
        options.background,
        options.minimum_size,
    )
    parts, ranked_by, matched = remember(
        session,
        ("enriched", result.key, *chosen),
        lambda tell: enriched_tissues(result, asked.tissues, sets, options, entrez, tell),
        slot="enriched",
        words="Testing gene sets",
        is_long=len(asked.tissues) > 1,
    )
    if not parts:
        st.info(plain_message(matched), icon=":material/info:")
        end_page()
    st.warning(_genes_are_not_independent(result), icon=":material/warning:")
    st.caption(plain_message(matched))
    for part in parts:
        st.markdown(f"- {counts_in_words(part, options)}")
    table = _found(parts, asked)
    if table.empty:
        st.info(
            f"No set of {plain(sets.name)} has {options.minimum_size} to 500 genes in the"
            " background"
            + (" and a gene that was found." if asked.test == OVER else ".")
            + " Choose smaller sets, all tested genes, or other sets.",
            icon=":material/info:",
        )
        end_page()
    name = f"{session.file_stem if result.table else ''}gene_sets"
    _show_dots(table, result, asked, ranked_by, name)
    st.header("Sets")
    rows = show_rows(table, key="set_rows", height=420, columns=COLUMNS, listed="FDR")
    download_table(rows, key="set_table", name=name, label="These rows")
    if result.table:
        with st.expander("The same from the command line"):
            _show_command(session, model, result, asked)


def _found(parts: Sequence[EnrichedPart], asked: Asked) -> pd.DataFrame:
    """Select the table of the chosen test and direction, the smallest FDR first."""
    table = joined(parts, "ranked" if asked.test == RANKED else "over_represented")
    if table.empty:
        return table
    if not (asked.test == RANKED and asked.direction == EITHER):
        has = set(table["direction"])
        direction = asked.direction if asked.direction in has else EITHER
        table = table[table["direction"] == direction]
    return table.sort_values(["fdr", "p"], kind="stable", ignore_index=True)


def _genes_are_not_independent(result: Result) -> str:
    words = (
        "This test treats genes as independent. But genes of a set are expressed together, and "
        "predicted genes depend on the same few factors, so p is too small."
    )
    if result.is_shuffled:
        words += " **Labels are shuffled**: whatever is found here is chance."
    elif result.table:
        words += (
            " Shuffle the labels to see what chance gives. For two groups of your samples, the"
            " sample-based test (CAMERA) allows for the correlation; it is recommended for"
            " predicted tissues."
        )
    return words


def _show_dots(
    table: pd.DataFrame, result: Result, asked: Asked, ranked_by: str, name: str
) -> None:
    drawn = table.drop(columns="genes")
    value, words = "nes", "NES"
    meaning = (
        "NES: enrichment score over the mean of random sets of that size; above 0, the set's genes"
        " are at the upper end."
    )
    if asked.test == OVER:
        drawn = drawn.assign(fold=(drawn["overlap"] / drawn["expected"]).clip(upper=100))
        value, words = "fold", "found / by chance"
        meaning = "Colour: genes found over what chance gives."
    background = BACKGROUNDS["tested" if result.is_predictability else asked.options.background]
    show_figure(
        set_dots(drawn, asked.tissues, value=value, words=words),
        key="set_dots",
        name=name,
        caption=f"{result.name}: the {MOST_SETS} sets of {asked.sets.name} with the smallest FDR in"
        f" a tissue shown. {asked.test}. Background: {background.lower()}. Genes ranked by"
        f" {ranked_by}. {meaning}",
        data=drawn,
        index=False,
    )


def _show_command(session: Session, model: ServedModel, result: Result, asked: Asked) -> None:
    assert result.comparison is not None
    show_comparison(session, model, result.comparison)
    show_shell(
        enrich_arguments(
            result.table,
            with_sets(result.comparison, asked),
            asked.tissues,
            model=model.predictor.artefact.name,
            output="enriched",
        )
    )
    st.caption(
        "The first command makes the table that the last one reads. mtm enrich can also test "
        "all tissues at once."
    )


def enriched_tissues(
    result: Result,
    tissues: Sequence[str],
    sets: GeneSets,
    options: EnrichmentOptions,
    entrez: pd.Series,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[EnrichedPart], str, str]:
    """Test ``sets`` in each tissue.

    Returns
    -------
    tuple
        The findings, empty if the sets do not fit the result; what genes were ranked by; and
        how many genes of the sets were found, or why they do not fit.
    """
    parts, ranked_by, words = [], "", ""
    matched, genes = None, None
    for i, tissue in enumerate(tissues):
        if on_progress is not None:
            on_progress(i, len(tissues))
        read = ResultTable.read(result.of_tissue(tissue), entrez=entrez)
        ranked_by = read.ranked_by
        try:
            if matched is None or not read.genes.equals(genes):
                matched, genes = matched_sets(sets, read), read.genes
                words = words or matched.in_words()
            ((labels, rows),) = parts_of(read)
            labels = {**labels, "tissue": tissue}
            parts.append(enrich_part(read, labels, rows, matched, options))
        except (InputFileError, SelectionError) as error:
            return [], ranked_by, str(error)
    return parts, ranked_by, words


def joined(parts: Sequence[EnrichedPart], which: str) -> pd.DataFrame:
    """Put one of the tables of ``parts`` below each other, with their tissues."""
    tables = []
    for part in parts:
        table = getattr(part, which)
        if len(table):
            table = table.copy(deep=False)
            table.insert(0, "tissue", part.labels["tissue"])
            tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def counts_in_words(part: EnrichedPart, options: EnrichmentOptions) -> str:
    """Say of one tissue what the background is, what was found, and what the other would give."""
    n = part.counts
    words = f"**{plain(part.labels['tissue'])}**: {n['n_background']:,.0f}"
    if options.background == "predictable" and "n_over_represented_tested" in n:
        words += f" predictable genes of {n['n_tested']:,.0f} tested ones"
    else:
        words += " genes, all those tested"
    words += (
        f"; {n['n_sets']:,.0f} sets within the size limits. Pre-ranked: {n['n_ranked']:,.0f} at FDR"
        f" 5 %; over-representation among {n['n_selected']:,.0f} genes:"
        f" {n['n_over_represented']:,.0f}"
    )
    if "n_over_represented_tested" in n:
        words += f" (against all tested genes it would be {n['n_over_represented_tested']:,.0f})"
    return words + "."
