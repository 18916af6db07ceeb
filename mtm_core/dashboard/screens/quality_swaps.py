"""Sample swaps on the Quality screen: between two tables of the same people, and within one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from mtm_core.dashboard.state.background import need, remember, start_once, watch
from mtm_core.dashboard.state.further import FurtherTable
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.results import OF_TABLE
from mtm_core.dashboard.state.saved_session import save
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.further_tables import show_loaded
from mtm_core.dashboard.widgets.layout import download_table, show_figure, show_notes, show_shell
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.dashboard.widgets.person_choice import choose_person
from mtm_core.data.units import UNIT_TABLE, UNITS
from mtm_core.errors import SelectionError
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.samples.sample_checks import swap_scatter
from mtm_core.reporting.command_line import SecondTable, quality_arguments
from mtm_core.workflows.quality import (
    OneTable,
    TableSwaps,
    compare_tables,
    match_repeated,
    swaps_in_words,
)
from mtm_core.workflows.server_limits import comparing_bytes

_UPLOADED = "Upload a table"
_NEAR = "swaps_near"
_MOST_LISTED = 20
_N_REMOVED = "n_second_removed"
"""Key in Streamlit's session state of the number of tables removed: it empties the uploader."""
_COLUMNS: dict[str, ColumnConfig | str | None] = {
    "own_rho": st.column_config.NumberColumn("rho with own", format="%.2f"),
    "rank": st.column_config.NumberColumn(
        "its rank", help="1: no other person's sample is more similar."
    ),
    "nearest": "most like",
    "nearest_rho": st.column_config.NumberColumn("rho with that", format="%.2f"),
    "sex_first": "sex, first table",
    "sex_second": "sex, second table",
    "sex_stated": "sex, metadata",
    "is_suspicious": None,
}


def show_swaps(session: Session, model: ServedModel, formats: Sequence[str]) -> None:
    """Ask for a second table of the same people, and show samples that may be exchanged."""
    st.markdown(
        "Compare a second table of the same people (the same tissue again, or another one): a "
        "sample that is more like another person's may be exchanged."
        "  \nSex by XIST and the Y genes is compared between the tables, and with the metadata."
    )
    second = _choose_second(session, model, formats)
    if second is not None:
        _show_compared(session, model, second)
    _show_repeated(session, model)
    with st.expander("The same from the command line"):
        show_shell(_command(session, model, second))


def _choose_second(
    session: Session, model: ServedModel, formats: Sequence[str]
) -> FurtherTable | None:
    """Return the table to compare with, its unit known; ``None`` while there is none."""
    known = {_label(one): one for one in (*session.further, *_if_there(session.measured))}
    label = _UPLOADED
    if known:
        label = st.selectbox(
            "Second table of the same people",
            [*known, _UPLOADED],
            index=len(known) if session.second is not None else 0,
            key=f"second_{session.n_deleted}_{len(known)}",
            help="A table given under Upload or Check against measured, or another one.",
        )
    second = known.get(label) or _upload_second(session, model, formats)
    if second is None:
        return None
    report = second.table.report
    unit = st.selectbox(
        "Unit of the second table",
        UNITS,
        index=None if second.unit is None else UNITS.index(second.unit),
        format_func=lambda unit: f"{UNIT_TABLE[unit].label}: {UNIT_TABLE[unit].meaning}",
        placeholder="Choose the unit",
        key=f"second_unit_{second.tissue}_{second.sha256[:12]}",
        disabled=second is not session.second and second.unit is not None,
        help=report.unit_reason,
    )
    if second is session.second and unit != second.unit:
        session.second = replace(second, unit=unit)
    save(session)
    if unit is None:
        st.info("Choose the unit of the second table.", icon=":material/help:")
        return None
    return replace(second, unit=unit)


def _upload_second(
    session: Session, model: ServedModel, formats: Sequence[str]
) -> FurtherTable | None:
    """Offer to upload a second table; return it if it is there."""
    predictor, had = model.predictor, session.second
    tissues = list(predictor.tissues)
    left, right = st.columns([1, 2], gap="large")
    tissue = left.selectbox(
        "Tissue of the second table",
        tissues,
        index=tissues.index(session.source if had is None else had.tissue)
        if had is None or had.tissue in tissues
        else None,
        key=f"second_tissue_{session.n_deleted}",
        persist_state="session",
        help="The same tissue as your first table, or another one: that is compared with its "
        "prediction.",
    )
    file = right.file_uploader(
        "Second table",
        type=list(formats),
        key=f"second_file_{session.n_deleted}_{st.session_state.get(_N_REMOVED, 0)}",
        help="Of the same people; samples are named as in your first table.",
    )
    if tissue is None:
        return None
    if file is not None:
        data = file.getvalue()
        start_once(session, session.reading_second(data, file.name, tissue, predictor))
    if watch(session, "second table"):
        return None
    second = session.second
    if second is None or second.tissue != tissue:
        return None
    show_loaded(second, key="second_remove", remove=partial(_remove, session))
    return second


def _remove(session: Session) -> None:
    session.jobs.forget("second table")
    session.second = None
    st.session_state[_N_REMOVED] = st.session_state.get(_N_REMOVED, 0) + 1


def _if_there(one: FurtherTable | None) -> tuple[FurtherTable, ...]:
    return () if one is None else (one,)


def _label(one: FurtherTable) -> str:
    return f"{one.tissue}: {one.table.report.file}"


def _compared(session: Session, model: ServedModel, second: FurtherTable) -> TableSwaps:
    """Return the comparison of the session's table with ``second``, made once for each choice."""
    predictor, first = model.predictor, session.table
    assert first is not None
    unit, near = second.unit, bool(st.session_state.get(_NEAR, False))
    assert unit is not None
    metadata = session.metadata
    stated = None
    if metadata is not None and metadata.sex_column is not None:
        stated = metadata.phenotypes()["sex"]
    need(session, session.preparing(predictor))
    prepared = session.prepare(predictor)

    def make(_: object) -> TableSwaps:
        ready = predictor.prepare(second.table, source=second.tissue, unit=unit)
        return compare_tables(
            predictor,
            OneTable(first, prepared),
            OneTable(second.table, ready),
            stated=stated,
            near_people=near,
        )

    own = (second.tissue, second.sha256, second.table.report.file, unit, near)
    state = None if metadata is None else metadata.state
    return remember(
        session,
        (OF_TABLE, "swaps", own, session.people_key(predictor), state),
        make,
        slot="swaps",
        words="Comparing the tables",
        memory=comparing_bytes(
            first.values.shape, second.table.values.shape, len(predictor.artefact.genes)
        ),
        is_long=True,
    )


def _show_compared(session: Session, model: ServedModel, second: FurtherTable) -> None:
    st.toggle(
        "Match similar names of the same person",
        key=_NEAR,
        persist_state="session",
        help="Such as P01_blood and P01_skin, or two samples of one GTEx donor.",
    )
    save(session)
    found = _compared(session, model, second)
    people, suspicious = found.people.reset_index(), found.suspicious.reset_index()
    both, own, flagged = st.columns(3)
    both.metric("People in both", f"{len(people):,}")
    own.metric("Most like their own", f"{int((people['rank'] == 1).sum()):,}")
    flagged.metric("Suspicious", f"{len(suspicious):,}")
    show_notes(found.notes)
    stem = session.file_stem
    if suspicious.empty:
        st.success("No pair of samples is suspicious.", icon=":material/check:")
    else:
        _list_reasons(suspicious)
        download_table(
            suspicious, key="suspicious_rows", name=f"{stem}suspicious", label="These people"
        )
    if people["own_rho"].notna().any():
        show_figure(
            swap_scatter(found.people),
            key="swaps",
            name=f"{stem}swaps",
            caption="Each mark is a person. Horizontal: how similar their two samples are, over "
            "genes that differ between people. Vertical: the same for the most similar sample of "
            "another person. Above the dashed line another person is nearer. Suspicious people are "
            "circled.",
            data=people,
            index=False,
        )
    with st.expander("Every person in both tables"):
        rows = show_rows(people, key="swap_rows", height=320, columns=_COLUMNS)
        download_table(rows, key="between_tables", name=f"{stem}between_tables", label="These rows")
    names = found.match.as_table().rename(columns={"further": "second"})
    with st.expander("Names in both tables, and in only one"):
        st.dataframe(names, hide_index=True, height=300)
        download_table(names, key="swap_names", name=f"{stem}names", label="Names")


def _list_reasons(suspicious: pd.DataFrame) -> None:
    """List the reasons in full, as sentences wrap and cells do not; many as a table."""
    rows = suspicious[["sample", "reasons"]]
    if len(rows) > _MOST_LISTED:
        st.dataframe(rows, hide_index=True, key="suspicious", height=320)
        return
    lines = (f"- **{plain(name)}**: {plain_message(reasons)}." for name, reasons in rows.to_numpy())
    st.markdown("\n".join(lines))


def _show_repeated(session: Session, model: ServedModel) -> None:
    """Offer to compare several samples of one person in the first table."""
    metadata, table = session.metadata, session.table
    if metadata is None or table is None:
        return
    column = choose_person(
        metadata,
        key="person_column",
        explanation="If your first table has several samples of one person, they are compared too.",
    )
    if column is None:
        return
    predictor = model.predictor
    need(session, session.preparing(predictor))
    prepared, people = session.prepare(predictor), metadata.values[column]

    def make(_: object) -> pd.DataFrame | str:
        try:
            log2 = OneTable(table, prepared).log2()
            return match_repeated(log2, people.reindex(log2.index))
        except SelectionError as error:
            return str(error)

    found = remember(
        session,
        (OF_TABLE, "repeated", column, metadata.state, session.people_key(predictor)),
        make,
        slot="repeated",
        words="Comparing the samples",
        memory=comparing_bytes(table.values.shape, (0, 0), len(predictor.artefact.genes)),
    )
    if isinstance(found, str):
        st.info(plain_message(found), icon=":material/info:")
        return
    st.markdown(f"- {plain_message(swaps_in_words(found))}")
    rows = found.rename_axis("sample").reset_index()
    st.dataframe(rows, hide_index=True, height=300, key="repeated_rows", column_config=_COLUMNS)
    download_table(rows, key="repeated_people", name=f"{session.file_stem}people", label="Samples")


def _command(session: Session, model: ServedModel, second: FurtherTable | None) -> list[str]:
    """Return the words of the command that makes the same review."""
    assert session.table is not None
    predictor, metadata = model.predictor, session.metadata
    options = replace(session.options(predictor), targets=None)
    if metadata is not None:
        options = replace(options, metadata=metadata.options)
    files = replace(
        session.files(predictor), metadata="" if metadata is None else metadata.file, further=()
    )
    also = None
    if second is not None and second.unit is not None:
        names, _ = second.table.report.given
        near = bool(st.session_state.get(_NEAR, False))
        also = SecondTable(names[0], second.tissue, second.unit, near)
    return quality_arguments(
        options,
        files,
        model=predictor.artefact.name,
        output="quality",
        person=str(st.session_state.get("person_column") or "") if metadata is not None else "",
        also=also,
    )
