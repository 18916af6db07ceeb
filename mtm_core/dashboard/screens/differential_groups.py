"""The rank-sum test on the screen of differential expression: two groups, tissue by tissue."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from mtm_core.dashboard.screens.differential import (
    RANK_SUM_IGNORES_ERROR,
    TABLE_COLUMNS,
    Thresholds,
    by_number,
    changes,
    choose_shown_tissues,
    choose_thresholds,
    stacked,
    summary_in_words,
)
from mtm_core.dashboard.screens.differential_volcano import rerun_for_another_gene, show_volcano
from mtm_core.dashboard.state.background import remember
from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_genes import selected_rows, show_gene_rows
from mtm_core.dashboard.widgets.cohort_view import compared_people, show_comparison
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.group_choice import GroupChoice, choose_groups, offer_shuffle
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.escaping import plain
from mtm_core.figures.samples.group_strips import group_strips
from mtm_core.figures.shared.thinning import drawn_in_words
from mtm_core.reporting.command_line import Comparison
from mtm_core.workflows.comparisons import UNTESTED, OwnCohort, groups_in_tissue


@dataclass(frozen=True)
class GroupsView:
    """Two groups of the user's samples, and what is shown of them.

    Attributes
    ----------
    session, model, cohort
        Session of the samples, model that predicted them, and the samples with their tissues.
    names, held_out
        Genes that can be chosen, and their accuracy.
    choice
        The groups.
    tissues
        Tissues that are shown.
    thresholds
        What counts as changed, and the gene that is shown.
    """

    session: Session
    model: ServedModel
    cohort: OwnCohort
    names: GeneNames
    held_out: GeneAccuracy
    choice: GroupChoice
    tissues: list[str]
    thresholds: Thresholds

    @property
    def key(self) -> tuple[object, ...]:
        """Key of the groups, tissues and thresholds within the session."""
        people = compared_people(self.session)
        shown = tuple(self.tissues)
        asked = self.thresholds
        return ("groups", self.choice.key, people, shown, asked.fold_change, asked.fdr)

    @property
    def prefix(self) -> str:
        """Beginning of the names of files."""
        return f"{self.session.file_stem}{'shuffled_' if self.choice.seed is not None else ''}"

    def compared(self, name: str) -> pd.DataFrame:
        """Compare the groups in one tissue, once for all choices of tissues."""
        choice = self.choice
        return remember(
            self.session,
            ("groups", choice.key, compared_people(self.session), name),
            lambda tell: groups_in_tissue(
                self.cohort,
                name,
                choice.groups,
                case=choice.case,
                control=choice.control,
                accuracy=self.held_out.of_tissues([name]),
                on_progress=tell,
            ),
            slot="groups",
            words=f"Comparing the groups in {name}",
        )


def choose_comparison(
    session: Session,
    model: ServedModel,
    metadata: SampleMetadata,
    columns: list[str],
    cohort: OwnCohort,
    names: GeneNames,
) -> GroupsView:
    """Let the user choose two groups, the tissues to show, and what counts as changed."""
    choice = choose_groups(metadata, columns)
    choice = choice.shuffled(offer_shuffle())
    st.caption(RANK_SUM_IGNORES_ERROR)
    _, tissues = choose_shown_tissues(cohort, session, model)
    thresholds = choose_thresholds(
        names,
        "Wilcoxon's rank-sum test; FDR after Benjamini and Hochberg over the genes of a tissue.",
    )
    held_out = GeneAccuracy.of(model, session.sources)
    return GroupsView(session, model, cohort, names, held_out, choice, tissues, thresholds)


def need_changes(view: GroupsView) -> pd.DataFrame:
    """Compare the groups in each tissue shown; where nothing can be tested, say why and end."""
    choice, thresholds = view.choice, view.thresholds
    parts = [view.compared(name) for name in view.tissues]
    table = view.session.remember(
        ("changes", *view.key),
        lambda: changes(stacked(parts), fold_change=thresholds.fold_change, fdr=thresholds.fdr),
    )
    if (table["kind"] == UNTESTED).all():
        st.warning(
            f"No gene was tested: {plain(table['outcome'].iloc[0])}. {plain(choice.case)}:"
            f" {choice.n_case} samples,"
            f" {plain(choice.control)}: {choice.n_control}; at least three of each are needed.",
            icon=":material/warning:",
        )
        end_page()
    return table


def show_figure_and_rows(view: GroupsView, table: pd.DataFrame) -> None:
    """Show the figure and, of the points selected in it, the rows."""
    is_tested = (table["kind"] != UNTESTED).to_numpy()
    _show_selection(view, table, table if is_tested.all() else table[is_tested])


@st.fragment
def _show_selection(view: GroupsView, table: pd.DataFrame, tested: pd.DataFrame) -> None:
    """Show both; run alone at each selection."""
    rerun_for_another_gene(view.thresholds)
    _show_volcano(view, tested)
    for line in summary_in_words(table):
        st.markdown(f"- {line}")
    _show_rows(view, table)


def _show_volcano(view: GroupsView, tested: pd.DataFrame) -> None:
    choice = view.choice
    show_volcano(
        view.session,
        tested,
        view.names,
        view.thresholds,
        chart="volcano",
        store="volcano_genes",
        key=("volcano", *view.key),
        name=f"{view.prefix}volcano_{choice.case}_against_{choice.control}",
        caption=f"{choice.case} (n = {choice.n_case}) against {choice.control}"
        f" (n = {choice.n_control}), {view.model.predictor.artefact.name}. Fold change: the "
        f"difference of the groups' means of log2 expression. Measured {view.session.source}:"
        f" {view.cohort.measured.meaning} Each panel has its own scales."
        + (
            " Pale circles are genes that the model cannot predict in that tissue."
            if view.held_out.exists
            else ""
        ),
    )


def _show_rows(view: GroupsView, table: pd.DataFrame) -> None:
    st.header("Genes")
    rows = selected_rows(
        table,
        "volcano_genes",
        clear="clear_points",
        every="All genes. Select a row to circle its gene in the figure and to see its samples "
        "below.",
    )
    rows = by_number(rows, "fdr", TABLE_COLUMNS)
    rows = show_gene_rows(rows, view.names, key="differential_rows", height=380, listed="FDR")
    download_table(
        rows, key="differential_table", name=f"{view.prefix}differential", label="These rows"
    )


def show_gene_of_samples(view: GroupsView) -> None:
    """Show the chosen gene in every sample of the two groups, by tissue."""
    session, cohort, choice = view.session, view.cohort, view.choice
    label, gene = view.thresholds.label, view.thresholds.gene
    st.header(f"{plain(label)} in every sample")
    values = cohort.cut(view.tissues).gene(gene).dropna(axis=1, how="all")
    predicted = [str(other) for other in values if other != session.source]
    known = view.held_out.by_tissue_in_words(predicted, gene)
    show_figure(
        group_strips(
            values,
            choice.groups,
            case=choice.case,
            control=choice.control,
            scale="log2 expression",
        ),
        key="strips",
        name=f"{view.prefix}strips_{label}",
        caption=f"{label}: each point is a sample; the bar is the mean of its group."
        + drawn_in_words(choice.n_case + choice.n_control, values.shape[1])
        + "".join(f" {other}: {words}." for other, words in known.items())
        + f" Predicted tissues: log2(1 + {cohort.unit}). {session.source}, measured:"
        f" {cohort.measured.meaning}"
        + (
            " The model does not predict this gene."
            if gene not in view.model.predictor.artefact.genes.index
            else f" {label} is not in your table."
            if session.source in view.tissues and session.source not in values
            else ""
        ),
        data=values.assign(group=choice.groups),
    )


def show_command(view: GroupsView) -> None:
    """Show the command that compares the same groups."""
    choice = view.choice
    show_comparison(
        view.session,
        view.model,
        Comparison((choice.column, choice.case, choice.control), shuffle=choice.seed),
    )
