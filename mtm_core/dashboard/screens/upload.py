"""What the screen of uploads asks for: files, their tissue, how they are read, and the unit."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from mtm_core.dashboard.state.background import start, watch
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.samples import words_of
from mtm_core.dashboard.state.saved_session import delete_all
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.layout import METADATA_PAGE, PREDICTED_PAGE, example_button
from mtm_core.dashboard.widgets.reading_view import ask_reading
from mtm_core.dashboard.widgets.uploads import TABLE_ENDINGS, Upload, last_chosen
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.units import UNIT_TABLE, UNITS, Unit
from mtm_core.escaping import plain, plain_message
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.batch_parameters import ENOUGH_SAMPLES
from mtm_core.inference.genes_found import is_covered
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared

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


def choose_files(session: Session) -> list[Upload | None]:
    """Let the user upload one table, or one file per sample; return both uploaders' contents."""
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
    return [Upload.of([] if table is None else [table]), Upload.of(many)]


def choose_source(session: Session, model: ServedModel) -> None:
    """Let the user say of which tissue the samples are."""
    tissues = model.predictor.tissues
    session.source = st.selectbox(
        "Tissue of the samples",
        tissues,
        index=tissues.index(session.source),
        key="source",
        help="The accuracy shown holds only for the tissue that the model was evaluated from: "
        + (
            "this model was not evaluated."
            if model.evaluation is None
            else plain(words_of(str(model.evaluation.settings.get("source", "not known")))) + "."
        ),
    )


def offer_example_and_deletion(session: Session, model: ServedModel) -> None:
    """Offer the example and, where there are samples, to delete them."""
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


def read_files(
    session: Session, predictor: Predictor, uploads: list[Upload | None]
) -> ExpressionTable:
    """Read what was uploaded, behind the page, and again as the user says; end the page without.

    Returns
    -------
    ExpressionTable
        The samples of the session: those of the last file that could be read.
    """
    upload, session.upload_id, is_new = last_chosen(uploads, session.upload_id)
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
    failed = last is not None and last.is_over
    if failed and session.table is not None:
        st.info(
            f"Your previous samples, from **{plain(session.table.report.file)}**, are still here, "
            f"with all results.",
            icon=":material/undo:",
        )
    if upload is not None and not is_reading:
        _offer_other_reading(session, predictor, upload, failed=failed)
    if session.table is None:
        if not is_reading:
            st.info(
                "No samples yet. Upload a table, or try the example. You see what was found in the "
                "table before anything is predicted.",
                icon=":material/arrow_upward:",
            )
        end_page()
    return session.table


def _offer_other_reading(
    session: Session, predictor: Predictor, upload: Upload, *, failed: bool
) -> None:
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


def choose_unit(session: Session, table: ExpressionTable) -> None:
    """Let the user confirm or choose the unit of the values."""
    report = table.report
    session.unit = st.selectbox(
        "Unit of the values",
        UNITS,
        index=None if session.unit is None else UNITS.index(session.unit),
        format_func=_name_unit,
        placeholder="Choose the unit",
        key=f"unit_{session.table_sha256[:12]}{_said(table.options)}",
        help="The values alone do not settle the unit: please confirm it.",
    )
    st.caption(plain_message(_say_unit(report.unit, report.unit_reason)))


def _name_unit(unit: Unit) -> str:
    kind = UNIT_TABLE[unit]
    return f"{kind.label}: {kind.meaning}"


def _say_unit(unit: Unit | None, reason: str) -> str:
    found = "not clear" if unit is None else UNIT_TABLE[unit].label
    return f"Judged by the values: {found}. {reason}"


def _said(options: ReadingOptions) -> str:
    return "" if options == AS_IT_LIES else options.to_json()


def choose_alignment(session: Session) -> None:
    """Let the user choose how the samples are aligned with the reference."""
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


def leave_old_shares(session: Session, read_as: tuple[str, Unit | None]) -> None:
    """Remove shares of blood cells estimated from values that were read ``read_as`` before."""
    if (session.source, session.unit) != read_as and session.leave_estimated_shares():
        st.warning(
            "The estimated shares of blood cells were removed from the metadata: they were "
            "estimated from the values as they were read before. Estimate them again under "
            "*Blood composition*.",
            icon=":material/update:",
        )


def need_unit(session: Session, predictor: Predictor, table: ExpressionTable) -> None:
    """Ask for the unit where the values do not show it, and end the page without."""
    names = [str(name) for name in table.values.columns]
    if session.unit is not None or not is_covered(predictor.scale.match(names).match.found):
        return
    report = table.report
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


def offer_prediction(session: Session, predictor: Predictor, prepared: Prepared) -> None:
    """Offer to predict, which leads to the predicted expression, or to add metadata."""
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
