"""Tables of further tissues of the same people: add one, see who is in which, take it away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from mtm_core.dashboard.state.background import start_once, watch
from mtm_core.dashboard.state.further import FurtherTable
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.layout import download_table
from mtm_core.data.notes import counted
from mtm_core.data.people.same_people import TableMatch
from mtm_core.data.units import UNIT_TABLE, UNITS
from mtm_core.escaping import plain, plain_message
from mtm_core.evaluation.predictability import accuracy_in_words
from mtm_core.inference.together import people_of

LABEL = "More tissues of the same people"


def choose_further(session: Session, model: ServedModel, formats: Sequence[str]) -> None:
    """Offer to add tables of further tissues, and show how their people match.

    Call it where the session has a table. What cannot be predicted from is said where the tables
    are made ready.
    """
    predictor = model.predictor
    further = session.used_further(predictor)
    before = session.further
    with st.expander(LABEL, expanded=bool(further), icon=":material/group_add:"):
        st.caption(
            "If you also measured skin, muscle or another tissue of the same people, each person "
            "is predicted from all available tissues. A person's samples must have the same name "
            "in all tables."
        )
        if further:
            _show_further(session, model, further)
        _add(session, model, formats)
        if watch(session, "further table"):
            return
    if session.further is not before:
        st.rerun()


def show_loaded(one: FurtherTable, *, key: str, remove: Callable[[], None]) -> None:
    """Name a table that is loaded beside the samples, and offer to remove it."""
    report = one.table.report
    words, away = st.columns([4, 1], vertical_alignment="center")
    words.caption(
        f"**{plain(report.file)}**: {counted(report.n_samples, 'sample', 'samples')} of"
        f" {plain(one.tissue)}, {counted(report.n_genes, 'gene', 'genes')}."
    )
    away.button(
        "Remove",
        icon=":material/close:",
        key=key,
        on_click=remove,
        help="Removes this table from the server, and from your saved session.",
    )


def _add(session: Session, model: ServedModel, formats: Sequence[str]) -> None:
    """Offer to add a table of a tissue that there is no table of."""
    others = [t for t in model.predictor.tissues if t not in session.sources]
    key = f"{session.table_sha256[:12]}_{session.n_deleted}_{len(session.further)}"
    left, right = st.columns([1, 2], gap="large")
    tissue = left.selectbox(
        "Add a table of",
        others,
        index=None,
        placeholder="Choose its tissue",
        key=f"and_{key}",
        help="Another tissue measured in some of the same people.",
    )
    file = right.file_uploader(
        "Expression table of that tissue",
        type=list(formats),
        key=f"and_file_{key}",
        disabled=tissue is None,
        help="Samples are named as in the first table, or nearly so.",
    )
    if tissue is not None and file is not None:
        start_once(
            session, session.reading_further(file.getvalue(), file.name, tissue, model.predictor)
        )


def _show_further(session: Session, model: ServedModel, further: Sequence[FurtherTable]) -> None:
    """Show each table with its unit and its people; then what is known of the combination."""
    assert session.table is not None
    tables = [session.table, *(one.table for one in further)]
    names = [[str(name) for name in table.values.index] for table in tables]
    _, _, matches = people_of(names, session.near_people)
    for one, match in zip(further, matches, strict=True):
        _show_one(session, one, match)
    if any(match.near for match in matches):
        first = next(match.near[0] for match in matches if match.near)
        st.toggle(
            f"Names such as {first.expression} and {first.metadata} are the same person's",
            value=session.near_people,
            key=f"near_people_{session.table_sha256[:12]}",
            on_change=_take_near,
            args=(session, f"near_people_{session.table_sha256[:12]}"),
            help=f"They differ in {first.difference}. The first table's name is used.",
        )
    method = model.predictor.artefact.method
    words = accuracy_in_words(
        model.evaluation, method.name, session.sources, session.chosen_targets(model.predictor)
    )
    st.caption(f":material/help: {plain_message(words)}")


def _show_one(session: Session, one: FurtherTable, match: TableMatch) -> None:
    report = one.table.report
    name, away = st.columns([4, 1], vertical_alignment="center")
    name.markdown(f"**{plain(one.tissue)}**: {plain(report.file)}")
    away.button(
        "Remove",
        icon=":material/close:",
        key=f"and_remove_{one.tissue}",
        on_click=partial(_remove, session, one),
    )
    unit_column, batch_column, both, first, second = st.columns(
        [3, 3, 1, 1, 1], vertical_alignment="bottom"
    )
    unit = unit_column.selectbox(
        f"Unit of {one.tissue}",
        UNITS,
        index=None if one.unit is None else UNITS.index(one.unit),
        format_func=lambda unit: UNIT_TABLE[unit].label,
        placeholder="Choose the unit",
        key=f"and_unit_{one.tissue}_{one.sha256[:12]}",
        help=report.unit_reason,
    )
    batch = _choose_batches(session, one, batch_column)
    if unit != one.unit or batch != one.batch:
        others = (replace(x, unit=unit, batch=batch) if x is one else x for x in session.further)
        session.set_further(tuple(others))
    n_near = 0 if match.is_near_taken else len(match.near)
    both.metric("In both", f"{len(match.in_both):,}")
    first.metric("First only", f"{len(match.only_first) - n_near:,}")
    second.metric("This only", f"{len(match.only_further) - n_near:,}")
    if n_near:
        st.caption(f":material/help: {n_near:,} more may be in both: their names differ slightly.")
    diff = _named(match.as_table(), session.source, one.tissue)
    if set(diff["where"]) != {"in both"}:
        st.dataframe(diff, height=200, hide_index=True)
        download_table(diff, key=f"people_{one.tissue}", label=f"People, {one.tissue}")


def _choose_batches(session: Session, one: FurtherTable, column: DeltaGenerator) -> str:
    """Let the user choose which column of the metadata names the batches of these samples."""
    columns = [] if session.metadata is None else [c.name for c in session.metadata.columns]
    known = "" if session.metadata is None else session.metadata.sha256[:12]
    chosen = column.selectbox(
        f"Batches of {one.tissue} by",
        columns,
        index=columns.index(one.batch) if one.batch in columns else None,
        placeholder="no batches" if columns else "needs metadata",
        disabled=not columns,
        key=f"and_batch_{one.tissue}_{one.sha256[:12]}_{known}",
        help="A metadata column: each batch is aligned separately. Without one, all samples of "
        "this table are aligned together, whatever the batches of the first table.",
    )
    return (chosen or "") if columns else one.batch


def _named(diff: pd.DataFrame, first: str, further: str) -> pd.DataFrame:
    """Name columns by tissue, and put those that are not in both first."""
    words = {"both": "in both", "first only": f"{first} only", "second only": f"{further} only"}
    order = {"perhaps the same": 0, "first only": 1, "second only": 2, "both": 3}
    rows = diff.iloc[diff["where"].map(order).argsort(kind="stable")]
    return rows.assign(where=rows["where"].replace(words)).rename(
        columns={"first": f"sample of {first}", "further": f"sample of {further}"}
    )


def _remove(session: Session, one: FurtherTable) -> None:
    session.jobs.forget("further table")
    session.set_further(tuple(other for other in session.further if other is not one))


def _take_near(session: Session, key: str) -> None:
    session.set_further(session.further, near_people=bool(st.session_state[key]))
