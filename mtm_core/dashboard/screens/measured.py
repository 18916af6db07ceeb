"""Predictions held to what was measured of a tissue in some of the same people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import pandas as pd
import streamlit as st
from pandas.io.formats.style import Styler

from mtm_core.dashboard.state.background import need, remember, start_once, watch
from mtm_core.dashboard.state.further import FurtherTable
from mtm_core.dashboard.state.jobs import Progress
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.results import OF_TABLE
from mtm_core.dashboard.state.saved_session import save
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.downloads import file_name, zip_bytes
from mtm_core.dashboard.widgets.further_tables import show_loaded
from mtm_core.dashboard.widgets.layout import download_table, show_figure, show_notes, show_shell
from mtm_core.dashboard.widgets.p_column import p_column
from mtm_core.dashboard.widgets.paged_table import Columns, show_rows
from mtm_core.dashboard.widgets.person_choice import choose_person
from mtm_core.data.units import UNIT_TABLE, UNITS
from mtm_core.figures.accuracy.measured_check import promised_rho, promised_table, rho_histogram
from mtm_core.inference.predictor import Predictor
from mtm_core.reporting.command_line import MeasuredFiles, judge_arguments
from mtm_core.workflows.judge import Judged, MeasuredCheck, files_of, judge_people
from mtm_core.workflows.server_limits import judging_bytes

_NEAR = "measured_near"
_PERSON = "measured_person"
_N_REMOVED = "n_measured_removed"
"""Under which Streamlit's session state counts tables that were removed, so that the uploader is
emptied."""

_COLUMNS: Columns = {
    "symbol": "Gene",
    "gene_id": "Gene id",
    "rho": st.column_config.NumberColumn("rho", format="%.2f"),
    "rho_low": st.column_config.NumberColumn(
        "from", format="%.2f", help="Ends of the 95 % interval."
    ),
    "rho_high": st.column_config.NumberColumn(
        "to", format="%.2f", help="Ends of the 95 % interval."
    ),
    "spearman": st.column_config.NumberColumn("Spearman", format="%.2f"),
    "fdr": p_column("FDR"),
    "holds": st.column_config.CheckboxColumn("Holds", help="rho above 0 at an FDR of 5 %."),
    "out_of_fold_rho": st.column_config.NumberColumn(
        "rho in GTEx", format="%.2f", help="Out-of-fold rho in GTEx, as in the model card."
    ),
    "inside_90": st.column_config.NumberColumn("inside interval", format="percent"),
    "error": st.column_config.NumberColumn("error (log2)", format="%.2f"),
    "error_of_mean": st.column_config.NumberColumn(
        "of the mean",
        format="%.2f",
        help="Error if everyone is predicted as the mean of the GTEx donors.",
    ),
}
_SUMMARY: Columns = {
    "meaning": "Figure",
    "value": st.column_config.NumberColumn("here"),
    "low": st.column_config.NumberColumn("from", help="95 % interval from resampling people."),
    "high": st.column_config.NumberColumn("to", help="95 % interval from resampling people."),
    "out_of_fold": st.column_config.NumberColumn("model card"),
    "chance_low": st.column_config.NumberColumn(
        "chance from", help="95 % of the shuffles of people lie in this range."
    ),
    "chance_high": st.column_config.NumberColumn("chance to"),
    "p": st.column_config.NumberColumn("p", help="Share of shuffles that are at least as high."),
}

_PEOPLE: Columns = {
    "rho": st.column_config.NumberColumn("rho", format="%.3f"),
    "rho_others": st.column_config.NumberColumn("rho with others, mean", format="%.3f"),
    "rank": "rank",
    "inside_90": st.column_config.NumberColumn("inside interval", format="percent"),
    "error": st.column_config.NumberColumn("error (log2)", format="%.2f"),
    "n_samples": st.column_config.NumberColumn("samples", format="%d"),
}


def choose_measured(session: Session, model: ServedModel, formats: Sequence[str]) -> None:
    """Ask for a tissue, its measured table and the unit; end the page while one is not there."""
    tissues = [t for t in model.predictor.tissues if t not in session.sources]
    had = session.measured
    left, right = st.columns([1, 2], gap="large")
    tissue = left.selectbox(
        "Measured tissue",
        tissues,
        index=tissues.index(had.tissue) if had is not None and had.tissue in tissues else None,
        placeholder="Choose a tissue",
        key=f"measured_tissue_{session.n_deleted}",
        persist_state="session",
        help="A tissue that is predicted, and that you measured in some of the same people.",
    )
    if tissue is None:
        right.caption("Choose the tissue first; then upload its table here.")
        end_page()
    file = right.file_uploader(
        "Measured expression",
        type=list(formats),
        key=f"measured_file_{session.n_deleted}_{st.session_state.get(_N_REMOVED, 0)}",
        help="In some of the same people; samples are named as in your first table.",
    )
    if file is not None:
        data = file.getvalue()
        start_once(session, session.reading_measured(data, file.name, tissue, model.predictor))
    is_reading = watch(session, "measured table")
    measured = session.measured
    if is_reading or measured is None or measured.tissue != tissue:
        end_page()
    show_loaded(measured, key="measured_remove", remove=partial(_remove, session))
    _choose_unit(session, measured)
    save(session)
    if session.measured is None or session.measured.unit is None:
        st.info("Choose the unit of the measured values.", icon=":material/help:")
        end_page()


def _remove(session: Session) -> None:
    session.jobs.forget("measured table")
    session.measured = None
    st.session_state[_N_REMOVED] = st.session_state.get(_N_REMOVED, 0) + 1


def _choose_unit(session: Session, measured: FurtherTable) -> None:
    unit = st.selectbox(
        "Unit of the measured values",
        UNITS,
        index=None if measured.unit is None else UNITS.index(measured.unit),
        format_func=lambda unit: f"{UNIT_TABLE[unit].label}: {UNIT_TABLE[unit].meaning}",
        placeholder="Choose the unit",
        key=f"measured_unit_{measured.tissue}_{measured.sha256[:12]}",
        help=measured.table.report.unit_reason,
    )
    if unit != measured.unit:
        session.measured = replace(measured, unit=unit)


def checked(session: Session, model: ServedModel) -> Judged:
    """Return the check of the session's measured table, made once for each choice."""
    predictor, measured = model.predictor, session.measured
    assert measured is not None
    unit = measured.unit
    assert unit is not None
    if session.used_further(predictor):
        st.caption(
            "Similar names of the same person are matched"
            f"{'' if session.near_people else ' only if chosen so'} for all tables, under "
            "*Upload*."
        )
    else:
        st.toggle(
            "Match similar names of the same person",
            key=_NEAR,
            persist_state="session",
            help="Such as P01_blood and P01_lung, or two samples of one GTEx donor.",
        )
        save(session)
    if session.metadata is not None:
        choose_person(
            session.metadata,
            key=_PERSON,
            explanation="Where people have several samples: they are averaged, and people are "
            "shuffled whole.",
        )
    need(session, session.preparing(predictor))
    people = session.people(predictor)
    person = None
    if session.metadata is not None and (column := _person(session)):
        person = session.metadata.values[column]
    known = None
    if predictor.covariates and session.metadata is not None:
        known = session.metadata.phenotypes()
    chosen = replace(session.options(predictor), near_people=_is_near(session, predictor))

    def make(on_progress: Progress) -> Judged:
        prepared = predictor.prepare(measured.table, source=measured.tissue, unit=unit)
        return judge_people(
            predictor,
            people,
            prepared,
            chosen,
            file=(measured.table.report.file, measured.sha256),
            phenotypes=known,
            evaluation=model.evaluation,
            person=person,
            on_progress=lambda _, done, total: on_progress(done, total),
        )

    return remember(
        session,
        _key(session, predictor),
        make,
        slot="measured check",
        words="Shuffling people",
        memory=judging_bytes(
            len(people.samples), measured.table.values.shape, len(predictor.artefact.genes)
        ),
        is_long=True,  # 500 shuffles: no other user's figure waits for them
    )


def last_check(session: Session, predictor: Predictor) -> Judged | None:
    """Return the check of the session's samples and measured table, where it has been made."""
    if session.table is None or session.measured is None:
        return None
    return cast("Judged | None", session.recall(_key(session, predictor)))


def _key(session: Session, predictor: Predictor) -> tuple[object, ...]:
    measured = session.measured
    assert measured is not None
    near = _is_near(session, predictor)
    own = (measured.tissue, measured.sha256, measured.table.report.file, measured.unit, near)
    column, known = _person(session), session.metadata
    if column and known is not None:
        return (OF_TABLE, "measured", own, column, known.state, session.people_key(predictor))
    return (OF_TABLE, "measured", own, session.people_key(predictor))


def _person(session: Session) -> str:
    """Return the chosen column of the person of each sample, "" if none is."""
    known = session.metadata
    column = str(st.session_state.get(_PERSON) or "")
    return column if known is not None and column in known.values else ""


def _is_near(session: Session, predictor: Predictor) -> bool:
    if session.used_further(predictor):
        return session.near_people
    return bool(st.session_state.get(_NEAR, False))


def judge_command(session: Session, predictor: Predictor, judged: Judged) -> list[str]:
    """Return the words of the command that makes the check again."""
    measured = session.measured
    assert measured is not None
    settings = judged.settings
    names, _ = measured.table.report.given
    options, files, known = judged.used, session.files(predictor), session.metadata
    if settings["person"] and known is not None:
        files = replace(files, metadata=known.file)
        options = replace(options, metadata=known.options)
    return judge_arguments(
        options,
        files,
        MeasuredFiles(settings["tissue"], settings["measured_unit"], names),
        model=predictor.artefact.name,
        output="judged",
        person=settings["person"],
    )


def show_whole(session: Session, predictor: Predictor, judged: Judged) -> None:
    """Offer all tables with what they depend on, and show the command that makes them."""
    st.download_button(
        "All tables and settings (zip)",
        partial(_zip, judged),
        file_name=file_name(f"{session.file_stem}judged_{judged.found.tissue}", ".zip"),
        mime="application/zip",
        key="download_judged",
        on_click="ignore",
        icon=":material/folder_zip:",
        help="What the command below writes.",
    )
    with st.expander("The same from the command line"):
        show_shell(judge_command(session, predictor, judged))


def _zip(judged: Judged) -> bytes:
    return zip_bytes(files_of(judged))


def _shown(summary: pd.DataFrame) -> Styler:
    """Format the figures: counts of genes as counts, all others to three digits."""
    rows = summary.reset_index()
    numbers = rows.select_dtypes("number").columns
    counts = rows.index[rows["figure"] == "n_genes_that_hold"]
    style = rows.drop(columns="figure").style.format("{:.3f}", subset=list(numbers), na_rep="-")
    figures = [name for name in numbers if name != "p"]
    return style.format("{:,.0f}", subset=pd.IndexSlice[counts, figures], na_rep="-")


def show_check(found: MeasuredCheck, stem: str) -> None:
    """Show what came out, beside what was promised and what chance gives."""
    show_notes(found.notes)
    figures = found.summary["value"]
    columns = st.columns(4)
    columns[0].metric("People in both", f"{len(found.people):,}")
    for column, (name, label, form) in zip(
        columns[1:],
        (
            ("gene_rho", "Gene-wise rho", "{:.3f}"),
            ("n_genes_that_hold", f"Genes that are predicted, of {len(found.genes):,}", "{:,.0f}"),
            ("inside_90", "Inside the 90 % interval", "{:.1%}"),
        ),
        strict=True,
    ):
        value = figures[name]
        column.metric(label, "-" if pd.isna(value) else form.format(value))
    st.dataframe(
        _shown(found.summary),
        hide_index=True,
        column_config=_SUMMARY,
        height="content",
        placeholder="-",
    )
    st.caption(
        "*Model card*: out-of-fold in GTEx. *Chance*: the range in which 95 % of 500 shuffles of "
        "people lie."
    )
    download_table(found.summary.reset_index(), key=f"{stem}summary", label="Figures")
    if found.genes["rho"].notna().any():
        show_figure(
            rho_histogram(found.rho_counts),
            key=f"{stem}rho_by_gene",
            caption="Distribution over genes of rho between predicted and measured expression in "
            "your people. The line is the mean of shuffles, in which measured profiles are "
            "assigned to other people.",
            data=found.rho_counts,
            index=False,
        )
        promised = promised_table(found.genes)
        if len(promised):
            show_figure(
                promised_rho(promised),
                key=f"{stem}promised",
                caption="Rho of each gene in your people against its out-of-fold rho in GTEx; "
                "for many genes, each box holds a tenth of them. On the dashed line both are "
                "equal.",
                data=promised,
                index=False,
            )
    st.subheader("Genes")
    genes = found.genes.reset_index().sort_values("fdr", kind="stable")
    order = [name for name in _COLUMNS if name in genes]
    genes = show_rows(genes, key="measured_genes", height=380, columns=_COLUMNS, order=order)
    download_table(genes, key=f"{stem}genes_checked", label="These rows")
    st.subheader("People")
    people = found.people.reset_index()
    st.dataframe(people, hide_index=True, height=300, column_config=_PEOPLE)
    st.caption(
        "rho over genes between a person's predicted profile and their own measured profile, and "
        "its mean with other people's profiles. Rank 1: no other person's measured profile is "
        "nearer."
    )
    download_table(people, key=f"{stem}people_checked", label="People")
    with st.expander("Names in both tables, and in only one"):
        names = found.match.as_table().rename(columns={"first": "predicted", "further": "measured"})
        st.dataframe(names, hide_index=True, height=300)
        download_table(names, key=f"{stem}names_checked", label="Names")
