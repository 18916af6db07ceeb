"""Batches and later samples on the Upload page: what is chosen, and how far each batch lies."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pandas as pd
import streamlit as st

from mtm_core.dashboard.state.batching import Batching
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.layout import show_figure, show_notes
from mtm_core.data.notes import counted
from mtm_core.errors import MTMError
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.samples.distance import distance_by_batch
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.saved_alignment import FILE_NAME, alignment_bytes
from mtm_core.inference.together import Together
from mtm_core.workflows.batches import describe_batches_and_groups
from mtm_core.workflows.uploaded_alignment import read_upload

LABEL = "Batches, and later samples"


def choose_batching(session: Session) -> None:
    """Offer a column of batches, and to read the samples by a saved alignment."""
    batching = session.batching
    is_open = bool(batching.saved or batching.column_in(session.metadata))
    with st.expander(LABEL, expanded=is_open, icon=":material/view_column:"):
        st.caption(
            f"If samples were processed in batches, each batch can be aligned separately. Later "
            f"samples, even a single one, can be read like those of an earlier prediction with "
            f"its {FILE_NAME}, which is in its bundle and below."
        )
        left, right = st.columns(2, gap="large")
        with right:
            _choose_saved(session)
        with left:
            _choose_column(session)
    if session.batching.saved is not batching.saved:
        st.rerun()  # what is above follows from it


def _choose_column(session: Session) -> None:
    batching, metadata = session.batching, session.metadata
    names = [b for one in batching.saved for b in one.batches]
    if batching.saved and not names:
        session.batching = replace(batching, column="", as_batch="")
        return
    columns = [] if metadata is None else [one.name for one in metadata.columns]
    known = "" if metadata is None else metadata.sha256[:12]
    chosen = st.selectbox(
        "Batches by",
        columns,
        index=columns.index(batching.column) if batching.column in columns else None,
        placeholder="no batches" if columns else "needs metadata",
        disabled=not columns,
        key=f"batch_column_{session.table_sha256[:12]}_{known}",
        help="A metadata column. If a batch holds only cases or only controls, their difference "
        "is removed together with that of the batches.",
    )
    if columns:
        batching = replace(batching, column=chosen or "")
    as_batch = None
    if names and not batching.column:
        as_batch = st.selectbox(
            "Batch of all samples",
            names,
            index=names.index(batching.as_batch) if batching.as_batch in names else None,
            placeholder="Choose a batch of the saved alignment",
            key=f"as_batch_{session.batching.digest[:12]}_{session.table_sha256[:12]}",
            help="Your samples are aligned as that batch of the earlier prediction was.",
        )
    session.batching = replace(batching, as_batch=as_batch or "")


def _choose_saved(session: Session) -> None:
    file = st.file_uploader(
        "Saved alignment of an earlier prediction",
        type="json",
        key=f"alignment_file_{session.n_deleted}",
        help=f"The file {FILE_NAME}: it must be from the same model, tissue and unit.",
    )
    if file is not None and file.file_id != session.alignment_upload_id:
        session.alignment_upload_id = file.file_id
        try:
            saved = read_upload(file.getvalue(), file.name)
        except MTMError as error:
            session.batching = replace(session.batching, problem=str(error))
        else:
            session.batching = Batching(session.batching.column, "", file.name, saved)
    batching = session.batching
    if batching.problem:
        st.error(plain_message(batching.problem), icon=":material/error:")
    if not batching.saved:
        return
    shown = "; ".join(
        f"{counted(one.n_samples, 'sample', 'samples')} of {one.source}, {one.how}, {one.unit},"
        f" model {one.model}"
        for one in batching.saved
    )
    st.caption(f"**{plain(batching.file)}**: {plain_message(shown)}. It determines the alignment.")
    if st.button("Remove it", icon=":material/close:", key="leave_out_alignment"):
        session.batching = Batching(batching.column)


def show_batches(session: Session, people: Prepared | Together, reference: pd.Series) -> None:
    """Show how far each batch lies from the reference; warn of groups that batches coincide with.

    ``reference`` are quantiles of the reference's own distances, by level.
    """
    prepared = people.tables[0]
    aligned = prepared.aligned
    if aligned.has_batches:
        table = aligned.by_batch()
        show_figure(
            distance_by_batch(aligned.distance, aligned.batches, reference),
            key="distance_by_batch",
            name=f"{session.file_stem}distance_by_batch",
            caption="The same samples, one row per batch. Batches that differ before alignment "
            "differ in protocol, or in the people they hold.",
            data=table,
            index=False,
        )
        st.dataframe(
            table.style.format({"distance_before": "{:.2f}", "distance_after": "{:.2f}"}),
            hide_index=True,
            key="by_batch",
        )
        column = session.batching.column_in(session.metadata)
        removes = aligned.how != "none" and not prepared.from_saved
        metadata = session.own_metadata
        if metadata is not None and column and removes:
            show_notes(describe_batches_and_groups(metadata, column))
    st.download_button(
        f"Alignment of these samples ({FILE_NAME})",
        partial(alignment_bytes, [table.alignment for table in people.tables]),
        file_name=FILE_NAME,
        mime="application/json",
        key="save_alignment",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
        help="Upload it with later samples, under 'Batches, and later samples', to read them "
        "like these. It holds means, SDs or quantiles of each gene, and no sample.",
    )
