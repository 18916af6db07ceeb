"""Differential expression: two groups of the samples, in blood and in the predicted tissues."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.differential import (
    COUNTS,
    LINEAR,
    RANK_SUM_IGNORES_ERROR,
    TABLE_COLUMNS,
    changes,
    choose_shown_tissues,
    choose_test,
    choose_thresholds,
    summary_in_words,
)
from mtm_core.dashboard.screens.differential_counts import show_count_models
from mtm_core.dashboard.screens.differential_designs import show_linear_models
from mtm_core.dashboard.state.background import remember
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.cohort_view import (
    begin_with_samples,
    chart_of_points,
    compared_people,
    genes_of_cohort,
    let_points_go,
    need_metadata,
    own_cohort,
    say_where_it_comes_from,
    show_comparison,
    show_gene_rows,
    take_points,
)
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.group_choice import choose_groups, offer_shuffle
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.escaping import plain
from mtm_core.figures.associations.volcano import n_counted, volcano
from mtm_core.figures.samples.group_strips import group_strips
from mtm_core.reporting.command_line import Comparison
from mtm_core.workflows.comparisons import UNTESTED, groups_in_tissue, groups_of

session, model = begin_with_samples(
    "Differential expression",
    lambda session, _model: (
        f"Which genes differ between groups of your samples, or change with a number, adjusted for "
        f"what else you know: measured in {plain(session.source_in_words)}, and predicted in other"
        " tissues.  \nEach point is a gene: further right, higher in cases; further up, less "
        "likely to be chance."
    ),
)
artefact = model.predictor.artefact
metadata, columns = need_metadata(session, groups_of, "two groups or more")
cohort = own_cohort(session, model)
held_out = GeneAccuracy.of(model, session.sources)
names = genes_of_cohort(session, model, cohort)
say_where_it_comes_from(session, model)

test = choose_test()
if test == LINEAR:
    show_linear_models(session, model, metadata, cohort, names)
    end_page()
if test == COUNTS:
    show_count_models(session, model, metadata, cohort, names)
    end_page()
choice = choose_groups(metadata, columns)
choice = choice.shuffled(offer_shuffle())
st.caption(RANK_SUM_IGNORES_ERROR)
tissue, shown_tissues = choose_shown_tissues(cohort, session, model)
fold_change, fdr, n_labels, label, gene = choose_thresholds(
    names, "Wilcoxon's rank-sum test; FDR after Benjamini and Hochberg over the genes of a tissue."
)

people = compared_people(session)
key = ("groups", choice.key, people, tuple(shown_tissues))


def compared(name: str) -> pd.DataFrame:
    """Compare the groups in one tissue, once for all choices of tissues."""
    return remember(
        session,
        ("groups", choice.key, people, name),
        lambda tell: groups_in_tissue(
            cohort,
            name,
            choice.groups,
            case=choice.case,
            control=choice.control,
            accuracy=held_out.of_tissues([name]),
            on_progress=tell,
        ),
        slot="groups",
        words=f"Comparing the groups in {name}",
    )


parts = [compared(name) for name in shown_tissues]
thresholds = (fold_change, fdr)
table = session.remember(
    ("changes", *key, *thresholds),
    lambda: changes(pd.concat(parts, ignore_index=True), fold_change=fold_change, fdr=fdr),
)
tested = table[table["kind"] != UNTESTED]
prefix = f"{session.file_stem}{'shuffled_' if choice.seed is not None else ''}"
if tested.empty:
    st.warning(
        f"No gene was tested: {plain(table['outcome'].iloc[0])}. {plain(choice.case)}:"
        f" {choice.n_case} samples,"
        f" {plain(choice.control)}: {choice.n_control}; at least three of each are needed.",
        icon=":material/warning:",
    )
    end_page()


@st.fragment
def figure_and_rows() -> None:
    """Show the figure and, of the points selected in it, the rows: run alone at each selection."""
    if st.session_state["gene"] != label:  # one point or row was marked: all is drawn for its gene
        st.rerun()
    chart = chart_of_points("volcano", "volcano_genes")
    n_others = n_counted(tested)
    counted = (
        f"Grey cells count the other {n_others:,} genes of the panels: the darker, the more. "
        if n_others
        else ""
    )
    show_figure(
        # Not drawn anew where points of it were selected: with all genes that takes a while.
        session.remember(
            ("volcano", *key, *thresholds, n_labels, gene),
            lambda: volcano(
                tested, fold_change=fold_change, fdr=fdr, n_labels=n_labels, marked=[gene]
            ),
        ),
        key=chart,
        name=f"{prefix}volcano_{choice.case}_against_{choice.control}",
        caption=f"{choice.case} (n = {choice.n_case}) against {choice.control}"
        f" (n = {choice.n_control}), {artefact.name}. Fold change: the difference of the groups'"
        f" means of log2 expression. Measured {session.source}: {cohort.measured.meaning}"
        " Dotted lines are the thresholds. Each panel has its own scales. "
        + (
            "Pale circles are genes that the model cannot predict in that tissue. "
            if held_out.exists
            else ""
        )
        + counted
        + "Draw a box or a lasso around points to list only these genes in the table.",
        data=tested,
        index=False,
        on_select=lambda: take_points(f"figure_{chart}", "volcano_genes", tested, names),
    )
    for line in summary_in_words(table):
        st.markdown(f"- {line}")

    st.header("Genes")
    chosen = st.session_state.get("volcano_genes", [])
    rows = table[table["gene_id"].isin(chosen)] if chosen else table
    rows = rows[TABLE_COLUMNS].sort_values("fdr", kind="stable").reset_index(drop=True)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{len(chosen)} genes selected in the figure."
            if chosen
            else "All genes. Select a row to circle its gene in the figure and to see its "
            "samples below."
        )
        if chosen:
            st.button(
                "Show all genes",
                key="clear_points",
                on_click=let_points_go,
                args=("volcano_genes",),
            )
    rows = show_gene_rows(rows, names, key="differential_rows", height=380, listed="FDR")
    download_table(rows, key="differential_table", name=f"{prefix}differential", label="These rows")


figure_and_rows()

st.header(f"{plain(label)} in every sample")
values = cohort.cut(shown_tissues).gene(gene).dropna(axis=1, how="all")
show_figure(
    group_strips(
        values,
        choice.groups,
        case=choice.case,
        control=choice.control,
        scale="log2 expression",
    ),
    key="strips",
    name=f"{prefix}strips_{label}",
    caption=f"{label}: each point is a sample; the bar is the mean of its group."
    + "".join(
        f" {other}: {held_out.in_words(other, gene)}."
        for other in values
        if other != session.source
    )
    + f" Predicted tissues: log2(1 + {cohort.unit}). {session.source}, measured:"
    f" {cohort.measured.meaning}"
    + (
        " The model does not predict this gene."
        if gene not in artefact.genes.index
        else f" {label} is not in your table."
        if session.source in shown_tissues and session.source not in values
        else ""
    ),
    data=values.assign(group=choice.groups),
)
with st.expander("The same from the command line"):
    show_comparison(
        session,
        model,
        Comparison((choice.column, choice.case, choice.control), shuffle=choice.seed),
    )
