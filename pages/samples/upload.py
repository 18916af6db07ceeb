"""Upload: read a table and show what was found in it, before anything is predicted."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from mtm_core.dashboard.state.background import need, start, watch
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.samples import words_of
from mtm_core.dashboard.state.saved_session import delete_all, save
from mtm_core.dashboard.widgets.batching_view import choose_batching, show_batches
from mtm_core.dashboard.widgets.further_tables import choose_further
from mtm_core.dashboard.widgets.layout import (
    METADATA_PAGE,
    PREDICTED_PAGE,
    begin,
    download_table,
    example_button,
    mark_simulated,
    show_figure,
    show_notes,
)
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.dashboard.widgets.reading_view import ask_reading
from mtm_core.dashboard.widgets.uploads import TABLE_ENDINGS, Upload, last_chosen
from mtm_core.dashboard.widgets.views import distance_summary, reference_distance
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.notes import distinguished
from mtm_core.data.units import UNIT_TABLE, UNITS, Unit
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.samples.distance import distance_strips
from mtm_core.inference.alignment import AlignmentMethod, is_covered
from mtm_core.inference.batch_parameters import ENOUGH_SAMPLES
from mtm_core.inference.together import Together

ALIGNMENT_NAMES = {
    "auto": "Automatic",
    "cohort": "Align mean and SD",
    "robust": "Align median and interquartile range",
    "quantiles": "Align quantiles",
    "none": "Leave as they are",
}
ALIGNMENT_HELP = [
    f"Align mean and SD from {ENOUGH_SAMPLES} samples on.",
    "Each gene gets the mean and SD of the reference. This removes differences in protocol, and "
    "any other difference that all your samples share.",
    "The same, but hardly affected by a few deviating samples.",
    "Each gene gets the reference's quantiles; for 50 samples or more.",
    "Each sample is compared with the reference as it is; differences in protocol remain.",
]
PREVIEW_ROWS, PREVIEW_COLUMNS = 20, 30


def _name_unit(unit: Unit) -> str:
    kind = UNIT_TABLE[unit]
    return f"{kind.label}: {kind.meaning}"


def _say_unit(unit: Unit | None, reason: str) -> str:
    found = "not clear" if unit is None else UNIT_TABLE[unit].label
    return f"Judged by the values: {found}. {reason}"


def _said(options: ReadingOptions) -> str:
    return "" if options == AS_IT_LIES else options.to_json()


session, model = begin(
    "Upload",
    "One table of expression, samples by genes or genes by samples: read counts, CPM, TPM, FPKM "
    "or a logarithm of these, with Ensembl ids, symbols or Entrez ids.",
)
predictor = model.predictor
mark_simulated(session)

read_as = session.source, session.unit

left, right = st.columns([2, 1], gap="large")
with left:
    table = st.file_uploader(
        "Expression table",
        type=list(TABLE_ENDINGS),
        key=f"table_{session.n_deleted}",
        help="One file. You see what was found in it before anything is predicted. Stay on this "
        "page until the file is sent; it is then read while you look at other pages.",
    )
    st.caption("csv, tsv, txt or gct, also gzipped; xlsx, parquet, h5ad or loom; or a zip.")
    with st.expander("One file per sample"):
        many = st.file_uploader(
            "Files of samples",
            accept_multiple_files=True,
            key=f"files_{session.n_deleted}",
            help="Output of STAR (ReadsPerGene), HTSeq, featureCounts, RSEM, Salmon, kallisto or "
            "StringTie. Files are joined by gene; samples are named after their files.",
        )
        st.caption(
            "Choose all files at once. Salmon and kallisto need one more file: transcripts and "
            "their genes, in two columns. If files have the same name (quant.sf), put them into "
            "a zip with their folders, in either field."
        )
with right:
    session.source = st.selectbox(
        "Tissue of the samples",
        predictor.tissues,
        index=predictor.tissues.index(session.source),
        key="source",
        help="The accuracy shown holds only for the tissue that the model was evaluated from: "
        + (
            "this model was not evaluated."
            if model.evaluation is None
            else plain(words_of(str(model.evaluation.settings.get("source", "not known")))) + "."
        ),
    )
    example_button(session, model)
    if session.table is not None:
        st.button(
            "Delete my data now",
            icon=":material/delete:",
            key="delete",
            on_click=delete_all,
            args=(session,),
            help="Removes the file, the table, all results and the saved session from this server.",
        )

upload, session.upload_id, is_new = last_chosen(
    [Upload.of([] if table is None else [table]), Upload.of(many)], session.upload_id
)
if upload is not None and upload.problem:
    st.error(plain_message(upload.problem), icon=":material/error:")
    upload = None
if upload is not None and is_new:
    start(session, session.reading(upload.getvalue(), upload.name, predictor))
    st.rerun()  # the lines above describe the previous table
before = session.table
is_reading = watch(session, "table")
if session.table is not before:
    st.rerun()

last = session.jobs.of("table")
if last is not None and last.is_over and session.table is not None:
    st.info(
        f"Your previous samples, from **{plain(session.table.report.file)}**, are still here, "
        f"with all results.",
        icon=":material/undo:",
    )

if upload is not None and not is_reading:
    failed = last is not None and last.is_over
    its_own = session.table is not None and session.table.report.file == upload.name
    shown = session.table if its_own and not failed else None
    again = ask_reading(
        None if shown is None else shown.report,
        [] if shown is None else [str(sample) for sample in shown.values.index],
        AS_IT_LIES if shown is None else shown.options,
        key=f"{upload.file_id}_{session.table_sha256[:12] if shown else ''}",
        expanded=failed or (shown is not None and bool(shown.report.doubted)),
    )
    if again is not None:
        start(session, session.reading(upload.getvalue(), upload.name, predictor, again))
        st.rerun()

if session.table is None:
    if not is_reading:
        st.info(
            "No samples yet. Upload a table, or try the example. You see what was found in the "
            "table before anything is predicted.",
            icon=":material/arrow_upward:",
        )
    end_page()

report = session.table.report
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

unit_column, alignment_column = st.columns(2, gap="large")
with unit_column:
    session.unit = st.selectbox(
        "Unit of the values",
        UNITS,
        index=None if session.unit is None else UNITS.index(session.unit),
        format_func=_name_unit,
        placeholder="Choose the unit",
        key=f"unit_{session.table_sha256[:12]}{_said(session.table.options)}",
        help="The values alone do not settle the unit: please confirm it.",
    )
    st.caption(plain_message(_say_unit(report.unit, report.unit_reason)))
with alignment_column:
    choices: tuple[AlignmentMethod, ...] = get_args(AlignmentMethod)
    session.alignment = st.radio(
        "Alignment with the reference",
        choices,
        index=choices.index(session.alignment),
        captions=ALIGNMENT_HELP,
        format_func=ALIGNMENT_NAMES.__getitem__,
        key="alignment",
        disabled=bool(session.batching.saved),
    )

if (session.source, session.unit) != read_as and session.leave_estimated_shares():
    st.warning(
        "The estimated shares of blood cells were removed from the metadata: they were estimated"
        " from the values as they were read before. Estimate them again under *Blood composition*.",
        icon=":material/update:",
    )

choose_batching(session)
choose_further(session, model, TABLE_ENDINGS)
save(session)
names = [str(name) for name in session.table.values.columns]
if session.unit is None and is_covered(predictor.scale.match(names).match.found):
    if not report.possible_units:
        st.error(f"{plain_message(report.unit_reason)}", icon=":material/error:")
        end_page()
    st.warning(
        "**Choose the unit of the values.** The table does not show it, and with a wrong unit "
        "the predictions look right but are wrong. It may be:\n\n"
        + "\n".join(
            f"- {UNIT_TABLE[unit].label}: {UNIT_TABLE[unit].meaning}"
            for unit in report.possible_units
        ),
        icon=":material/help:",
    )
    st.button(
        "Predict",
        type="primary",
        icon=":material/play_arrow:",
        key="predict",
        disabled=True,
        help="Choose the unit of the values first.",
    )
    end_page()
need(session, session.preparing(predictor))
prepared = session.prepare(predictor)

with st.container(horizontal=True, vertical_alignment="center"):
    go_on = st.button(
        f"Predict, reading the values as {UNIT_TABLE[prepared.unit].label}",
        type="primary",
        icon=":material/play_arrow:",
        key="predict",
    )
    st.page_link(METADATA_PAGE, label="Add age, sex, groups", icon=":material/badge:")
if go_on:
    start(session, session.predicting(predictor))
    st.switch_page(PREDICTED_PAGE)

st.subheader("Notes")
found_in_file = [note for note in report.notes if note.found != report.unit_reason]
people = session.people(predictor)
further_notes = people.notes if isinstance(people, Together) else ()
show_notes((*found_in_file, *prepared.notes, *further_notes))

st.subheader("The model's genes")
found, missing = prepared.match.found, prepared.match.missing
st.progress(
    float(found.mean()),
    text=f"{int(found.sum()):,} of {len(found):,} found ({found.mean():.0%}); "
    f"{prepared.match.n_not_in_model:,} genes of the table are not used by the model",
)
if len(missing):
    with st.expander(f"{len(missing):,} genes that the table lacks"):
        show_rows(missing.reset_index(), key="missing", height=300, columns={"gene_id": "gene id"})
        download_table(missing, key="missing_genes", label="Missing genes", index=True)

st.subheader("Distance from the reference")
reference = reference_distance(predictor.artefact, session.source)
distance = prepared.aligned.distance
show_figure(
    distance_strips(distance, reference),
    key="distance",
    name=f"{session.file_stem}distance_from_reference",
    caption=f"Each mark is a sample. It shows the distance from the {session.source} of the GTEx "
    f"donors, before and after alignment. The band holds 90 % of those donors; the dotted line "
    f"is their median. A sample far to the right may come from another tissue, have another "
    f"unit, or be of poor quality.",
    data=distance,
)
st.dataframe(distance_summary(prepared.aligned, reference).style.format("{:.2f}"))
show_batches(session, people, reference)

st.subheader("The table as it was read")
preview = session.table.values.iloc[:PREVIEW_ROWS, :PREVIEW_COLUMNS]
st.dataframe(preview.set_axis(distinguished(preview.columns), axis=1))
st.caption(
    f"The first {min(PREVIEW_ROWS, report.n_samples)} of {report.n_samples:,} samples and"
    f" {min(PREVIEW_COLUMNS, report.n_genes)} of {report.n_genes:,} genes."
)
