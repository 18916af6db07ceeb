"""The parts of the screen of reports: what is predicted first, the two files, and their texts."""

from __future__ import annotations

from functools import partial

import streamlit as st

from mtm_core.dashboard.screens.measured_report import Checked
from mtm_core.dashboard.screens.report import bundle_of, methods_of, report_bytes
from mtm_core.dashboard.state.background import offer_file, start, watch
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.downloads import file_name
from mtm_core.dashboard.widgets.layout import show_shell
from mtm_core.escaping import plain, plain_message
from mtm_core.inference.predictor import Predictor
from mtm_core.memory_budget import in_words
from mtm_core.reporting.bundle import (
    PredictionRecord,
    bundle_size,
    ingest_text,
    reproduce_script,
)
from mtm_core.reporting.command_line import predict_arguments
from mtm_core.reporting.design_record import DesignRecord
from mtm_core.workflows.server_limits import max_download


def need_prediction(session: Session, predictor: Predictor) -> None:
    """Offer to predict where there is no prediction of the current choice, and end the page."""
    if session.is_current(predictor):
        return
    st.info(
        "Samples or options have changed since the last prediction. A report uses your current "
        "choice."
        if session.prediction is not None
        else "Nothing has been predicted from these samples yet.",
        icon=":material/info:",
    )
    tissues = ", ".join(session.chosen_targets(predictor)) or "no tissue is chosen"
    st.caption(f"Tissues: {plain_message(tissues)}. Choose others under Predicted expression.")
    if st.button("Predict", type="primary", icon=":material/play_arrow:", key="predict"):
        start(session, session.predicting(predictor))
    watch(session, "prediction")
    if session.is_current(predictor):
        st.rerun()
    end_page()


def show_summary(record: PredictionRecord, model: ServedModel) -> None:
    """Say in a line what was predicted, from what, by which model."""
    prediction = record.prediction
    n_samples, n_tissues, n_genes = prediction["z"].shape
    source = plain(prediction.attrs["source"])
    st.caption(
        f"{plain(record.ingest.file)} · {n_samples:,} samples of {source} ·"
        f" {n_tissues} tissues · {n_genes:,} genes · {plain(model.predictor.artefact.name)}"
    )


def offer_report(
    session: Session, model: ServedModel, record: PredictionRecord, checked: Checked | None
) -> None:
    """Say what the report holds, and offer to make it."""
    st.header("Report")
    st.markdown(
        "One HTML file of about 5 MB that opens in any browser, also offline. It shows what was "
        "found in the table, the model and its accuracy, the predicted tissues as interactive "
        "figures, the best predicted genes, and a Methods text."
    )
    offer_file(
        session,
        "report",
        partial(report_bytes, record, model, checked=checked),
        variant="" if checked is None else checked.key,
        label="the report (HTML)",
        name=file_name(f"{session.file_stem}report_{model.predictor.artefact.name}", ".html"),
        mime="text/html",
    )


def offer_bundle(
    session: Session, model: ServedModel, record: PredictionRecord, checked: Checked | None
) -> None:
    """Say what the bundle holds, and offer to make it; where it is too large, show the command."""
    prediction, design = record.prediction, session.design
    name = model.predictor.artefact.name
    st.header("Bundle")
    st.markdown(_bundle_in_words(record, checked, design))
    if (size := bundle_size(prediction)) > max_download():
        st.info(
            f"The bundle would be up to {in_words(size)}; this server makes files of up to "
            f"{in_words(max_download())}. This command makes the same values on your own machine:",
            icon=":material/terminal:",
        )
        show_shell(
            predict_arguments(
                session.predicted_by.as_used(prediction).in_command(model.predictor.tissues),
                session.predicted_from,
                model=name,
                output="predicted.parquet",
            )
        )
        return
    variant = "" if checked is None else checked.key
    offer_file(
        session,
        "bundle",
        lambda _: bundle_of(record, model, checked, design),
        variant=variant if design is None else f"{variant} {design.key}",
        label="the bundle (zip)",
        name=file_name(f"{session.file_stem}bundle_{name}", ".zip"),
        mime="application/zip",
    )


def _bundle_in_words(
    record: PredictionRecord, checked: Checked | None, design: DesignRecord | None
) -> str:
    return (
        "One zip: the predicted values as parquet and CSV, the held-out accuracy of each, the "
        "settings with the SHA-256 of model and file, what was found in the table, a Methods "
        "text, and the command that reproduces the values. Your own table is not included"
        + (
            "; age and sex of the samples are, as the model used them."
            if record.phenotypes is not None
            else "."
        )
        + (
            f" With the check against measured {plain(checked.judged.found.tissue)}."
            if checked is not None
            else ""
        )
        + (
            f" With the linear model {plain_message(design.settings['formula'])}, its Methods text"
            " and the command that fits it again, but not your metadata."
            if design is not None
            else ""
        )
    )


def show_texts(session: Session, model: ServedModel, record: PredictionRecord) -> None:
    """Show the Methods text, the command, and what was found in the table."""
    methods = methods_of(record, model)
    st.header("Methods text for a paper")
    st.code(methods, language=None, wrap_lines=True)
    st.download_button(
        "Methods (text)",
        methods,
        file_name=file_name(f"{session.file_stem}methods_{model.predictor.artefact.name}", ".txt"),
        key="download_methods",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )
    with st.expander("The command that reproduces the values"):
        st.code(reproduce_script(record), language=None, wrap_lines=True)
    with st.expander("What was found in the table"):
        st.code(ingest_text(record), language=None, wrap_lines=True)
