"""What the first screen says of the model, and its tour."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.widgets.evaluated import PREDICTABILITY_PAGE
from mtm_core.dashboard.widgets.layout import (
    DIFFERENTIAL_PAGE,
    PREDICTED_PAGE,
    UPLOAD_PAGE,
)
from mtm_core.escaping import plain

REPORT_PAGE = "pages/samples/report.py"
COMPARED = {
    "ridge": "Ridge regression on the same donors",
    "age-sex-hardy": "Age, sex and Hardy scale (how the donor died) alone, without expression",
}


class Step(NamedTuple):
    """A stop of the tour."""

    key: str
    title: str
    text: str
    button: str
    look_at: str
    page: str
    needs_prediction: bool


TOUR = (
    Step(
        "upload",
        "1. Upload",
        "A table of expression, in any orientation and unit, with any kind of gene id. You see "
        "what was found in it, and can correct it, before anything runs.",
        "See a report",
        "Look at: the unit to confirm, the notes, and the distance of the samples from the "
        "reference.",
        UPLOAD_PAGE,
        False,
    ),
    Step(
        "predict",
        "2. Predict",
        "Choose tissues in a list or on a body map. Look at all samples, or at one gene over the "
        "reference donors.",
        "See a prediction",
        "Look at: the held-out rho beside each value; genes that cannot be predicted are greyed "
        "out.",
        PREDICTED_PAGE,
        True,
    ),
    Step(
        "compare",
        "3. Compare",
        "Two groups of your samples, for example cases and controls, in blood and in each predicted"
        " tissue.",
        "See two groups",
        "Look at: select points of the volcano to find them in the table; move the thresholds.",
        DIFFERENTIAL_PAGE,
        True,
    ),
    Step(
        "report",
        "4. Download",
        "One report, one bundle that repeats the prediction, and every table and figure as a file.",
        "See the downloads",
        "Look at: the bundle contains the mtm command that reproduces the numbers.",
        REPORT_PAGE,
        True,
    ),
)


def show_trust(model: ServedModel) -> None:
    """Show how accurate the model is, beside simpler methods on the same donors."""
    artefact = model.predictor.artefact
    st.header("How far to trust it")
    summary = artefact.accuracy.get("summary")
    if summary is None:
        st.info(
            f"The model in use, **{plain(artefact.name)}**, is **not evaluated**: how well it "
            f"predicts is not known. Evaluate it with `mtm evaluate`, and train it with "
            f"`--evaluation`.",
            icon=":material/help:",
        )
    else:
        by_fold, adjusted, genes = st.columns(3)
        by_fold.metric(
            "Gene-wise rho, by fold",
            f"{summary['gene_rho_by_fold_mean']:.2f}",
            border=True,
            help="Correlation of predicted and measured expression of a gene in a tissue over "
            "held-out donors, inside each fold of the cross-validation; mean over genes and "
            "tissues. 1 is perfect, 0 is chance.",
        )
        adjusted_rho = summary.get("gene_adjusted_rho_by_fold_mean")
        adjusted.metric(
            "Adjusted rho, by fold",
            "not known" if adjusted_rho is None else f"{adjusted_rho:.2f}",
            border=True,
            help="After age, sex and Hardy scale (how the donor died) are regressed out of both "
            "sides: what blood adds beyond the effects of these on all tissues of a donor.",
        )
        genes.metric(
            "Predictable genes per tissue",
            f"{summary['n_predictable_mean']:,.1f} of {len(artefact.genes):,}",
            border=True,
            help="Genes with a pooled rho above 0.3, mean over tissues.",
        )
        for method, row in model.evaluation.summary().iterrows() if model.evaluation else ():
            if method in COMPARED:
                st.markdown(
                    f"- {COMPARED[method]}: rho {row['gene_rho_by_fold_mean']:.2f},"
                    f" {row['n_predictable_mean']:.1f} predictable genes."
                )
    st.markdown(
        "Most predictions from blood are modest. Part of their accuracy arises only because the "
        "tissues of a donor share age, sex and how the donor died (Hardy scale)."
    )
    st.page_link(
        PREDICTABILITY_PAGE,
        label="How well each tissue and gene is predicted",
        icon=":material/arrow_forward:",
    )


def show_tour(session: Session, model: ServedModel) -> None:
    """Show the four steps, each with a button that opens its screen."""
    st.header("A tour in four steps")
    st.markdown(
        "Each button opens the screen with "
        + (
            f"your samples, **{plain(session.table.report.file)}**."
            if session.table is not None and not session.simulated
            else "the example; no upload is needed."
        )
    )
    for column, step in zip(st.columns(len(TOUR)), TOUR, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"**{step.title}**  \n{step.text}")
            if st.button(
                step.button,
                icon=":material/arrow_forward:",
                key=f"tour_{step.key}",
                help=step.look_at,
            ):
                if session.table is None:
                    session.open_example(model.predictor)
                if step.needs_prediction and session.simulated:  # of one's own when one says so
                    session.predict(model.predictor)
                st.switch_page(step.page)
