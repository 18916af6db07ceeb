"""The parts of the screen that compares samples with GTEx: choices, both figures, every sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st
import xarray as xr

from mtm_core.dashboard.screens.reference import alike_strata, strata_table
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.cohort_view import choose_tissue
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy
from mtm_core.dashboard.widgets.gene_choice import choose_gene
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.dashboard.widgets.views import reference_of_gene
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.escaping import plain
from mtm_core.figures.samples.reference_position import percentile_strips, strata_bars
from mtm_core.figures.shared.thinning import drawn_in_words
from mtm_core.workflows.comparisons import distributions_of, groups_of, positions


@dataclass(frozen=True)
class Position:
    """What is compared with GTEx.

    Attributes
    ----------
    label, gene
        The gene that all screens share, and its id.
    tissue
        Tissue of the second figure.
    groups
        Group of each sample, if groups are shown.
    marked
        The sample that is marked, if any.
    """

    label: str
    gene: str
    tissue: str
    groups: pd.Series | None
    marked: str | None


def say_aligned(session: Session, model: ServedModel) -> None:
    """Say what percentiles of aligned samples can show, and what they cannot."""
    if session.prepare(model.predictor).aligned.how != "none":
        st.info(
            "Your samples were aligned: each gene's level and spread in"
            f" {plain(session.source_in_words)} were set to those of GTEx."
            " They are shown **aligned**, as the model reads them, not as they were measured. A"
            " percentile says how a sample differs from the **other samples of your table**. It "
            "cannot show that all of them are higher or lower than GTEx.",
            icon=":material/info:",
        )


def choose_position(
    model: ServedModel,
    metadata: SampleMetadata | None,
    tissues: Sequence[str],
    samples: Sequence[str],
) -> Position:
    """Let the user choose a gene and a tissue, groups to show, and a sample to mark."""
    gene_column, tissue_column, group_column, sample_column = st.columns(4)
    with gene_column:
        label, gene = choose_gene(model.genes)
    with tissue_column:
        tissue = choose_tissue(tissues, help="Tissue of the second figure.")
    with group_column:
        by = st.selectbox(
            "Groups",
            groups_of(metadata) if metadata is not None else [],
            index=None,
            placeholder="none" if metadata is not None else "needs metadata",
            disabled=metadata is None,
            key="position_groups",
            persist_state="session",
            help="Shows the groups of a metadata column separately, each with its median.",
        )
    with sample_column:
        marked = st.selectbox(
            "Mark a sample",
            samples,
            index=None,
            placeholder="none",
            key="highlighted",
            persist_state="session",
            help="Circled in the first figure; in the second, donors of the same sex and age are "
            "coloured.",
        )
    groups = metadata.groups(by) if metadata is not None and by is not None else None
    return Position(label, gene, tissue, groups, marked)


def positions_of(
    session: Session, model: ServedModel, expression: xr.DataArray, chosen: Position
) -> pd.DataFrame:
    """Find where each sample lies in each tissue, with its group where groups are shown."""
    metadata, gene = session.metadata, chosen.gene
    table = session.remember(
        ("positions", gene, None if metadata is None else metadata.state),
        lambda: positions(
            expression,
            gene,
            reference_of_gene(model.predictor.artefact, gene),
            reference=model.associations,
            phenotypes=metadata.phenotypes() if metadata is not None else None,
        ),
    )
    if chosen.groups is not None:
        table = table.assign(group=table["sample"].map(chosen.groups))
    return table


def show_percentiles(
    session: Session, table: pd.DataFrame, chosen: Position, held_out: GeneAccuracy
) -> None:
    """Show the percentile of each sample among the donors of each tissue."""
    label = chosen.label
    others = [str(name) for name in table["tissue"].unique() if name != session.source]
    accuracy = "; ".join(
        f"{name}: {words}"
        for name, words in held_out.by_tissue_in_words(others, chosen.gene).items()
    )
    drawn = drawn_in_words(table["sample"].nunique(), len(others) + 1)
    show_figure(
        percentile_strips(table, chosen.groups, marked=chosen.marked),
        key="percentiles",
        name=f"{session.file_stem}percentiles_{label}",
        caption=f"{label}: each point is a sample; the bar is the median. Percentiles come from "
        f"stored quantiles of the donors, so 1 means at most the 1st and 99 at least the 99th. "
        f"Predicted values shrink towards the donors' mean, more so for genes that are poorly "
        f"predicted; that they crowd in the middle is not a finding.{drawn} Held-out accuracy: "
        f"{accuracy}.",
        data=table,
        index=False,
    )


def show_by_sex_and_age(
    session: Session,
    model: ServedModel,
    table: pd.DataFrame,
    chosen: Position,
    held_out: GeneAccuracy,
    *,
    unit: str,
) -> None:
    """Show the samples in one tissue beside its donors by sex and age."""
    label, tissue = chosen.label, chosen.tissue
    st.header(f"{plain(label)} in {plain(tissue)}, by sex and age")
    if model.associations is None:
        st.info(
            "This model has no distributions by sex and age. Make them with `mtm study reference`.",
            icon=":material/info:",
        )
        return
    strata = strata_table(distributions_of(model.associations, chosen.gene, tissue))
    own = table[table["tissue"] == tissue]
    show_figure(
        strata_bars(
            strata,
            own,
            chosen.groups,
            unit=unit,
            strong=alike_strata(own, chosen.marked),
        ),
        key="strata",
        name=f"{session.file_stem}{label}_{tissue}_by_sex_and_age",
        caption=f"Measured {label} in the {tissue} of GTEx donors: the pale bar holds 90 % of "
        f"them, the dark bar half, the line is the median. Groups of fewer than 10 donors are "
        f"not shown. Your samples are above them, as predicted "
        f"({held_out.in_words(tissue, chosen.gene)}).",
        data=strata,
        index=False,
    )


def show_samples(session: Session, table: pd.DataFrame, chosen: Position) -> None:
    """List the position of every sample, or of the one that is marked."""
    st.subheader("Every sample")
    rows = table[table["sample"] == chosen.marked] if chosen.marked is not None else table
    rows = show_rows(
        rows,
        height=320,
        key="positions",
        columns={
            "log2_expression": st.column_config.NumberColumn("log2(1 + expression)", format="%.2f"),
            "percentile": st.column_config.NumberColumn("percentile", format="%.0f"),
            "donors_alike": "similar donors",
            "percentile_alike": st.column_config.NumberColumn(
                "percentile among them", format="%.0f"
            ),
        },
    )
    st.caption(
        "Similar donors have the sample's sex and age band, as far as these are known. The "
        "percentile among them comes from five quantiles, so it lies between 5 and 95."
    )
    download_table(
        rows,
        key="position_rows",
        name=f"{session.file_stem}positions_{chosen.label}",
        label="These rows",
    )
