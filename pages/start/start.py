"""Start: what this is, how far to trust it, and where to go."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.evaluated import PREDICTABILITY_PAGE
from mtm_core.dashboard.layout import (
    PREDICTED_PAGE,
    UPLOAD_PAGE,
    begin,
    example_button,
)
from mtm_core.dashboard.resources import served_model
from mtm_core.dashboard.session import current_session

COMPARED = {
    "ridge": "Ridge regression on the same donors",
    "age-sex-hardy": "Age, sex and circumstance of death alone, without any expression",
}

session, model = current_session(), served_model()
artefact = model.predictor.artefact
begin(
    "Other tissues, from blood",
    "Give gene expression measured in **blood**, get the expression to expect in up to"
    f" **{len(artefact.tissues) - 1} other tissues** of the same persons.  \n"
    "The model has learned from donors of the GTEx project, of whom many tissues were"
    " measured.  \n"
    "Each prediction comes with how well its gene and tissue were predicted in donors that"
    " the model had not seen.",
    session,
    model,
)

with st.container(horizontal=True):
    if st.button(
        "Upload your samples", type="primary", icon=":material/upload_file:", key="to_upload"
    ):
        st.switch_page(UPLOAD_PAGE)
    example_button(session, model)
st.caption(
    "The example is 40 simulated blood profiles, 20 cases and 20 controls: rows of no person."
)

st.header("How far to trust it")
summary = artefact.accuracy.get("summary")
if summary is None:
    st.info(
        f"The model in use, **{artefact.name}**, is **not evaluated**: it is not known how well it"
        " predicts. Evaluate it with `mtm evaluate`, and train it with `--evaluation`.",
        icon=":material/help:",
    )
else:
    by_fold, adjusted, genes = st.columns(3)
    by_fold.metric(
        "Gene-wise rho, by fold",
        f"{summary['gene_rho_by_fold_mean']:.2f}",
        border=True,
        help="Correlation of predicted and measured over held-out donors, of a gene in a tissue,"
        " inside each fold of the cross-validation; mean over genes and tissues. 1 is perfect, 0"
        " is chance.",
    )
    partial = summary.get("gene_rho_partial_mean")
    adjusted.metric(
        "The same, adjusted",
        "not known" if partial is None else f"{partial:.2f}",
        border=True,
        help="With age, sex and circumstance of death regressed out of both sides: what blood says"
        " of other tissues beyond what all tissues of a donor share through these.",
    )
    genes.metric(
        "Predictable genes per tissue",
        f"{summary['n_predictable_mean']:.1f} of {len(artefact.genes):,}",
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
    "Most of what can be predicted from blood is modest, and part of it is no more than the"
    " circumstance of death, the age and the sex that a donor's tissues share."
)
st.page_link(
    PREDICTABILITY_PAGE,
    label="How well each tissue and gene is predicted",
    icon=":material/arrow_forward:",
)

st.header("How it goes")
for column, page, label, text in zip(
    st.columns(3),
    (UPLOAD_PAGE, PREDICTED_PAGE, PREDICTABILITY_PAGE),
    ("1. Upload", "2. Predict", "3. Weigh"),
    (
        "A table of expression, in any orientation, unit and kind of gene id. Before anything"
        " runs you see what was found in it, and can correct it.",
        "Choose tissues; look at all samples, or at one gene over the reference donors; take"
        " everything home as a file.",
        "Read each value with the accuracy of its gene and tissue. Genes that cannot be"
        " predicted are greyed.",
    ),
    strict=True,
):
    with column.container(border=True, height="stretch"):
        st.page_link(page, label=f"**{label}**", icon=":material/arrow_forward:")
        st.markdown(text)
