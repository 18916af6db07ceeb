"""The parts of the screen of activity: what is scored, groups, every sample, and the sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import streamlit as st
import xarray as xr
from streamlit.elements.lib.column_types import ColumnConfig

from mtm_core.dashboard.screens.activity import (
    choose_network,
    differences,
    part_in_words,
    scored,
    summary,
)
from mtm_core.dashboard.state.background import remember
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_view import compared_people, own_cohort
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.group_choice import GroupChoice, choose_groups, offer_shuffle
from mtm_core.dashboard.widgets.layout import download_table, show_figure, show_shell
from mtm_core.dashboard.widgets.p_column import p_column
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.data.gene_sets.networks import Network
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.associations.set_dots import MOST_SETS, set_dots
from mtm_core.figures.samples.activity_heatmap import MOST_SOURCES, activity_heatmap
from mtm_core.inference.prepared import Prepared
from mtm_core.reporting.command_line import ActivityAsked, activity_arguments
from mtm_core.workflows.activity import (
    MINIMUM_TARGETS,
    ActivityBackground,
    ActivityMethod,
    ActivityScoring,
    TissueActivity,
    scores_table,
)
from mtm_core.workflows.comparisons import groups_of

METHODS: dict[ActivityMethod, str] = {
    "ulm": "Each source alone (ulm)",
    "mlm": "All sources together (mlm)",
}
BACKGROUNDS: dict[ActivityBackground, str] = {
    "predictable": "Predictable genes",
    "all": "All genes",
}
MOST_TISSUES = 8
_COLUMNS: dict[str, ColumnConfig | str | None] = {
    "n_targets": st.column_config.NumberColumn(
        "targets", help="Target genes among the genes used for scoring."
    ),
    "n_in_model": st.column_config.NumberColumn("in the model"),
    "median_rho": st.column_config.NumberColumn(
        "held-out rho", format="%.2f", help="Median out-of-fold rho of these targets in GTEx."
    ),
    "difference": st.column_config.NumberColumn("difference", format="%.2f"),
    "mean_case": st.column_config.NumberColumn("mean, cases", format="%.2f"),
    "mean_control": st.column_config.NumberColumn("mean, controls", format="%.2f"),
    "auc": st.column_config.NumberColumn("AUC", format="%.2f"),
    "p": p_column("p"),
    "fdr": p_column("FDR"),
    **{
        name: st.column_config.NumberColumn(f"{name} score", format="%.2f")
        for name in ("lowest", "median", "highest")
    },
}


@dataclass(frozen=True)
class ScoringChoice:
    """What is scored, and how.

    Attributes
    ----------
    tissues
        Each is scored separately.
    network
        Sources with their target genes.
    scoring
        Method, genes to score on, and the fewest targets of a source.
    """

    tissues: list[str]
    network: Network
    scoring: ActivityScoring

    @property
    def key(self) -> tuple[object, ...]:
        """Tissues and scoring, as keys within the session have them."""
        chosen = self.scoring
        return (tuple(self.tissues), chosen.method, chosen.background, chosen.minimum_targets)


def choose_scoring(session: Session, tissues: list[str], held_out: GeneAccuracy) -> ScoringChoice:
    """Let the user choose of ``tissues``, and a network and how to score; end the page without."""
    tissue_column, network_column = st.columns([3, 2])
    with tissue_column:
        chosen = st.multiselect(
            "Tissues",
            tissues,
            default=tissues[:2],
            key="activity_tissues",
            max_selections=MOST_TISSUES,
            help="Each tissue is scored separately.",
        )
    with network_column:
        network = choose_network(session)
    method_column, background_column, targets_column = st.columns(3)
    method = method_column.selectbox(
        "Method",
        list(METHODS),
        format_func=lambda name: METHODS[name],
        key="activity_method",
        persist_state="session",
        help="The linear models of decoupler. Fitted together, sources that share targets compete.",
    )
    background = background_column.selectbox(
        "Score on",
        [name for name in BACKGROUNDS if held_out.exists or name == "all"],
        format_func=lambda name: BACKGROUNDS[name],
        key="activity_background" if held_out.exists else "activity_every_gene",
        persist_state="session",
        help="Genes with an out-of-fold rho of 0.3 or less say little about the tissue.",
    )
    least = targets_column.select_slider(
        "Minimum targets per source",
        [3, 5, 10, 15, 25, 50],
        MINIMUM_TARGETS,
        key="activity_targets",
        persist_state="session",
        help="Target genes among the genes used for scoring.",
    )
    if not chosen:
        st.info("Choose a tissue.", icon=":material/info:")
        end_page()
    return ScoringChoice(chosen, network, ActivityScoring(method, background, least))


def need_scores(
    session: Session,
    model: ServedModel,
    prediction: xr.Dataset,
    prepared: Prepared,
    held_out: GeneAccuracy,
    asked: ScoringChoice,
) -> list[TissueActivity]:
    """Score each tissue, and say what the scores are; end the page where none can be made."""
    network, scoring = asked.network, asked.scoring
    parts, problem = remember(
        session,
        ("activity", network.name, network.digest, *asked.key),
        lambda tell: scored(
            prediction, prepared, asked.tissues, network, scoring, model, held_out, tell
        ),
        slot="activity",
        words="Scoring activity",
    )
    if not parts:
        st.info(plain_message(problem), icon=":material/info:")
        end_page()
    st.warning(
        "A score is not a test: it treats genes as independent, which they are not. Compare samples"
        " or groups with each other.",
        icon=":material/warning:",
    )
    for part in parts:
        st.markdown(f"- {part_in_words(part, scoring)}")
    return parts


def choose_compared(metadata: SampleMetadata | None) -> GroupChoice | None:
    """Let the user choose two groups, where the metadata have any."""
    columns = [] if metadata is None else groups_of(metadata)
    if metadata is None or not columns:
        return None
    st.header("Groups")
    choice = choose_groups(metadata, columns)
    return choice.shuffled(offer_shuffle())


def file_prefix(session: Session, choice: GroupChoice | None) -> str:
    """Begin the names of files: the user's file, and whether groups are shuffled."""
    return f"{session.file_stem}{'shuffled_' if choice and choice.seed is not None else ''}"


def show_differences(
    session: Session,
    model: ServedModel,
    parts: Sequence[TissueActivity],
    asked: ScoringChoice,
    choice: GroupChoice,
) -> pd.DataFrame:
    """Show the differences of mean scores between two groups, and return them by source."""
    sex = own_cohort(session, model).sex
    table = differences(parts, choice.groups, choice.case, choice.control, sex)
    drawn = table.rename(columns={"source": "set", "n_targets": "size"})
    drawn = drawn[drawn["p"].notna()]
    if len(drawn):
        show_figure(
            set_dots(drawn, asked.tissues, value="difference", words="difference"),
            key="activity_dots",
            name=f"{file_prefix(session, choice)}activity_{choice.case}_against_{choice.control}",
            caption=f"{choice.case} (n = {choice.n_case}) against {choice.control}"
            f" (n = {choice.n_control}): difference of mean scores, for up to {MOST_SETS} sources"
            f" of {asked.network.name} with the smallest FDR in a tissue shown. Dots are larger the"
            " smaller the FDR of the rank-sum test over the sources of a tissue.",
            data=drawn,
            index=False,
        )
    else:
        st.info(
            f"No difference was tested: {plain(table['outcome'].iloc[0])}.", icon=":material/info:"
        )
    return table


def show_samples(
    session: Session,
    parts: Sequence[TissueActivity],
    asked: ScoringChoice,
    choice: GroupChoice | None,
) -> None:
    """Show the scores of every sample in a tissue that the user chooses."""
    st.header("Every sample")
    by_name = {part.tissue: part for part in parts if part.n_scored}
    tissue = st.selectbox(
        "Tissue", list(by_name), key="activity_tissue", help="Tissue whose scores the figure shows."
    )
    shown = by_name[tissue]
    show_figure(
        activity_heatmap(shown.scores, None if choice is None else choice.groups),
        key="activity_heatmap",
        name=f"{file_prefix(session, choice)}activity_{tissue}",
        caption=f"Scores in {tissue} ({shown.origin}), {asked.network.name},"
        f" {METHODS[asked.scoring.method].lower()}: the"
        f" up to {MOST_SOURCES} sources that vary most among the samples. Each column"
        " is a sample" + (", ordered by group." if choice is not None else "."),
        data=shown.scores.dropna(axis=1, how="all"),
    )


def show_sources(
    session: Session,
    parts: Sequence[TissueActivity],
    asked: ScoringChoice,
    choice: GroupChoice | None,
    compared: pd.DataFrame | None,
) -> None:
    """List the sources: as ``compared`` between the groups, else the spread of their scores."""
    st.header("Sources")
    table = summary(parts) if compared is None else compared
    order = ["fdr", "p"] if choice is not None else ["tissue", "source"]
    first_columns = [
        name
        for name in ("tissue", "source", "difference", "fdr", "p", "auc", "n_targets", "median_rho")
        if name in table
    ]
    table = table[[*first_columns, *(name for name in table if name not in first_columns)]]
    rows = show_rows(
        table.sort_values(order, kind="stable", ignore_index=True),
        key="activity_rows",
        height=380,
        columns=_COLUMNS,
        listed="FDR" if choice is not None else "tissue",
    )
    prefix = file_prefix(session, choice)
    download_table(rows, key="activity_table", name=f"{prefix}activity_sources", label="These rows")
    scores = session.remember(
        ("activity scores", asked.network.digest, asked.network.name, *asked.key),
        lambda: pd.concat([scores_table(part) for part in parts], ignore_index=True),
    )
    download_table(
        scores, key="activity_scores", name=f"{prefix}activity_scores", label="All scores"
    )


def show_command(
    session: Session,
    model: ServedModel,
    prepared: Prepared,
    asked: ScoringChoice,
    choice: GroupChoice | None,
) -> None:
    """Show the command that makes the same scores and comparison."""
    metadata, scoring = session.own_metadata, asked.scoring
    assert session.prediction is not None
    used = session.predicted_by.as_used(session.prediction).in_command(model.predictor.tissues)
    files = session.predicted_from
    if metadata is not None:
        used = replace(used, metadata=metadata.options)
        files = replace(files, metadata=metadata.file)
    show_shell(
        activity_arguments(
            used,
            files,
            ActivityAsked(
                asked.network.given,
                *(scoring.method, scoring.background, scoring.minimum_targets),
                tuple(name for name in asked.tissues if name != prepared.source),
                None if choice is None else (choice.column, choice.case, choice.control),
                None if choice is None else choice.seed,
                compared_people(session).both_sexes,
            ),
            model=model.predictor.artefact.name,
            output="activity",
        )
    )
