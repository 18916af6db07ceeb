"""What the screen of uploads shows of a table that was read: sizes, notes, genes, distances."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.batching_view import show_batches
from mtm_core.dashboard.widgets.layout import download_table, show_figure, show_notes
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.dashboard.widgets.views import distance_summary, reference_distance
from mtm_core.data.notes import distinguished
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.tables.ingest_report import IngestReport
from mtm_core.escaping import plain
from mtm_core.figures.samples.distance import distance_strips
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.together import Together

PREVIEW_ROWS, PREVIEW_COLUMNS = 20, 30


def show_found(report: IngestReport) -> None:
    """Show how large the table is, what its ids are, and in which layout and format it came."""
    st.header(f"What was found in {plain(report.file)}")
    samples, genes, ids, kind = st.columns([2, 2, 3, 3])
    samples.metric("Samples", f"{report.n_samples:,}")
    genes.metric("Genes in the table", f"{report.n_genes:,}")
    ids.metric("Gene ids", report.id_type)
    kind.metric("Layout", report.orientation)
    st.caption(
        f"Read as {plain(report.format)}"
        f"{f', separated by {plain(report.delimiter)}' if report.delimiter else ''}."
    )


def show_all_notes(report: IngestReport, prepared: Prepared, people: Prepared | Together) -> None:
    """Show the notes on the file, on its preparation, and on people of further tissues."""
    st.subheader("Notes")
    found_in_file = [note for note in report.notes if note.found != report.unit_reason]
    further_notes = people.notes if isinstance(people, Together) else ()
    show_notes((*found_in_file, *prepared.notes, *further_notes))


def show_model_genes(prepared: Prepared) -> None:
    """Show how many of the model's genes the table has, and which it lacks."""
    st.subheader("The model's genes")
    found, missing = prepared.match.found, prepared.match.missing
    st.progress(
        float(found.mean()),
        text=f"{int(found.sum()):,} of {len(found):,} found ({found.mean():.0%}); "
        f"{prepared.match.n_not_in_model:,} genes of the table are not used by the model",
    )
    if len(missing):
        with st.expander(f"{len(missing):,} genes that the table lacks"):
            rows = show_rows(
                missing.reset_index(), key="missing", height=300, columns={"gene_id": "gene id"}
            )
            download_table(rows, key="missing_genes", label="Missing genes")


def show_distances(
    session: Session, model: ServedModel, prepared: Prepared, people: Prepared | Together
) -> None:
    """Show how far the samples, and their batches, lie from the reference."""
    st.subheader("Distance from the reference")
    reference = reference_distance(model.predictor.artefact, session.source)
    distance = prepared.aligned.distance
    show_figure(
        distance_strips(distance, reference),
        key="distance",
        name=f"{session.file_stem}distance_from_reference",
        caption=f"Each mark is a sample. It shows the distance from the {session.source} of the "
        f"GTEx donors, before and after alignment. The band holds 90 % of those donors; the dotted "
        f"line is their median. A sample far to the right may come from another tissue, have "
        f"another unit, or be of poor quality.",
        data=distance,
    )
    st.dataframe(distance_summary(prepared.aligned, reference).style.format("{:.2f}"))
    show_batches(session, people, reference)


def show_preview(table: ExpressionTable) -> None:
    """Show the first samples and genes of the table as it was read."""
    report = table.report
    st.subheader("The table as it was read")
    preview = table.values.iloc[:PREVIEW_ROWS, :PREVIEW_COLUMNS]
    st.dataframe(preview.set_axis(distinguished(preview.columns), axis=1))
    st.caption(
        f"The first {min(PREVIEW_ROWS, report.n_samples)} of {report.n_samples:,} samples and"
        f" {min(PREVIEW_COLUMNS, report.n_genes)} of {report.n_genes:,} genes."
    )
