"""Models of measured counts on the screen Differential expression, by PyDESeq2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import cast

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.differential import (
    Thresholds,
    by_number,
    changes,
    choose_thresholds,
    summary_in_words,
)
from mtm_core.dashboard.screens.differential_volcano import rerun_for_another_gene, show_volcano
from mtm_core.dashboard.state.background import start, watch
from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.jobs import Progress
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_genes import selected_rows, show_gene_rows
from mtm_core.dashboard.widgets.cohort_view import show_comparison
from mtm_core.dashboard.widgets.design_choice import DesignChoice, choose_design
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.group_choice import offer_shuffle
from mtm_core.dashboard.widgets.layout import download_table
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.errors import MTMError
from mtm_core.escaping import plain, plain_message
from mtm_core.reporting.design_text import COUNT_REFERENCES, describe_counts
from mtm_core.workflows.compare_designs import (
    check_counts,
    compare_counts,
    need_pydeseq2,
    rounded_in_words,
)
from mtm_core.workflows.comparisons import (
    HIGHER,
    LOWER,
    MEASURED,
    UNTESTED,
    OwnCohort,
    groups_of,
    traits_of,
    with_accuracy,
)

SLOT = "counts"
MOST_VALUES = 5_000_000
"""Samples x genes that this screen models: 250 samples of 20,000 genes, about two minutes."""
_BYTES = 400
"""Memory of a model for each value, from 1.1 GB for 100 samples of 19,291 genes."""
COLUMNS = [
    *("gene", "log2_fold_change", "fdr", "p", "kind", "mean_count", "standard_error"),
    *("statistic", "n", "outcome", "contrast", "tissue", "predictable", "gene_id"),
]


def show_count_models(
    session: Session,
    model: ServedModel,
    metadata: SampleMetadata,
    cohort: OwnCohort,
    names: GeneNames,
) -> None:
    """Show the widgets of a model of the measured counts, and what is found by it."""
    prepared, table = session.prepare(model.predictor), session.table
    assert table is not None
    st.caption(
        f"The counts of {plain(session.source)} as you measured them, by PyDESeq2: every gene of "
        "your table. Predicted tissues have no counts."
    )
    _say(need_pydeseq2)
    if prepared.unit != "counts":
        st.info(
            f"PyDESeq2 needs counts, and your table was read as {prepared.unit}. Upload the table "
            "of counts, or choose the linear model, which tests log2 expression.",
            icon=":material/info:",
        )
        end_page()
    compared = list(dict.fromkeys([*groups_of(metadata), *traits_of(metadata)]))
    every = [column.name for column in metadata.columns]
    choice = choose_design(metadata, compared, every, offer_shuffle(), for_counts=True)
    _say(lambda: check_counts(choice.design, prepared.unit))
    comparison = replace(choice.comparison, counts=True)
    n_values = len(choice.design.samples) * cohort.measured.log2.shape[1]
    if n_values > MOST_VALUES:
        st.info(
            f"This screen models up to {MOST_VALUES:,} counts; these are {n_values:,} (samples x "
            "genes). Run it on your own machine, where there is no such limit:",
            icon=":material/info:",
        )
        show_comparison(session, model, comparison)
        end_page()
    key = ("counts", *choice.key)
    found = _modelled(
        session,
        key,
        lambda tell: compare_counts(
            table, prepared, cohort.measured.symbols, choice.design, on_progress=tell
        ),
        n_values,
    )
    if found.attrs["n_rounded"]:
        st.warning(rounded_in_words(found), icon=":material/warning:")
    thresholds = choose_thresholds(
        names,
        "Wald's test; FDR after Benjamini and Hochberg over the genes with enough reads.",
        sized=choice.is_difference,
    )
    _show_found(session, model, names, choice, found, thresholds, key)
    methods = describe_counts(choice.design, version("pydeseq2"))
    with st.expander("Methods text for a paper"):
        st.markdown(plain_message(methods))
        for reference in COUNT_REFERENCES:
            st.caption(reference)
    with st.expander("The same from the command line"):
        show_comparison(session, model, comparison)
        st.caption("`compared/count_models.csv` is this table; the linear models are beside it.")


def _say(check: Callable[[], object]) -> None:
    """Make ``check``; end the page with its words where it refuses."""
    try:
        check()
    except MTMError as error:
        words = str(error)
        st.info(plain_message(words[:1].upper() + words[1:]), icon=":material/info:")
        end_page()


def _modelled(
    session: Session,
    key: tuple[object, ...],
    make: Callable[[Progress], pd.DataFrame],
    n_values: int,
) -> pd.DataFrame:
    """Return the tests, begun by a button and made behind the page; end it while they are not."""
    task = session.remembering(
        key, make, slot=SLOT, words="Modelling counts", memory=_BYTES * n_values, is_long=True
    )
    if task is not None:
        job = session.jobs.of(SLOT)
        own = job if job is not None and job.key == task.key else None
        if own is None or own.is_over:
            st.button(
                "Test the counts",
                icon=":material/play_arrow:",
                type="primary",
                key="test_counts",
                on_click=start,
                args=(session, task),
                help="It takes half a minute for 100 samples of 20,000 genes. You can use other "
                "screens meanwhile, or cancel it.",
            )
        if own is None or watch(session, SLOT) or own.state != "done":
            end_page()
        st.rerun()
    return cast("pd.DataFrame", session.recall(key))


def _show_found(
    session: Session,
    model: ServedModel,
    names: GeneNames,
    choice: DesignChoice,
    found: pd.DataFrame,
    thresholds: Thresholds,
    key: tuple[object, ...],
) -> None:
    """Show volcano, summary and table."""
    fold_change, fdr = thresholds.fold_change, thresholds.fdr
    known = GeneAccuracy.of(model, session.sources).of_tissues([session.source])
    own = found.assign(tissue=session.source, origin=MEASURED)
    table = changes(with_accuracy(own, known), fold_change=fold_change, fdr=fdr)
    tested = table[table["kind"] != UNTESTED]
    if tested.empty:
        st.warning("No gene was tested: too few reads.", icon=":material/warning:")
        end_page()
    kinds = choice.kinds
    prefix = f"{session.file_stem}{'shuffled_' if choice.seed is not None else ''}"

    @st.fragment
    def figure_and_rows() -> None:
        rerun_for_another_gene(thresholds)
        show_volcano(
            session,
            tested,
            names,
            thresholds,
            chart="counts_volcano",
            store="counts_genes",
            key=("counts volcano", *key, fold_change, fdr),
            name=f"{prefix}volcano_counts_{choice.contrast.name}",
            caption=f"{choice.contrast.meaning}, counts of {session.source}: negative binomial "
            f"model {choice.design.formula}, n = {len(choice.design.samples)}, PyDESeq2. Log2 fold "
            f"change {choice.contrast.unit} is not shrunk.",
            kinds=kinds,
        )
        for line in summary_in_words(table, kinds.get(HIGHER, HIGHER), kinds.get(LOWER, LOWER)):
            st.markdown(f"- {line}")
        st.header("Genes")
        rows = selected_rows(
            table,
            "counts_genes",
            clear="clear_count_points",
            every="All genes. Select a row to circle its gene in the figure.",
        )
        rows = by_number(rows, "fdr", COLUMNS)
        rows["kind"] = rows["kind"].cat.rename_categories(kinds)
        rows = show_gene_rows(rows, names, key="count_rows", height=380, listed="FDR")
        download_table(rows, key="count_rows", name=f"{prefix}count_models", label="These rows")

    figure_and_rows()
