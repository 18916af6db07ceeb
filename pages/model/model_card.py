"""Model card: what the model is, its accuracy in each tissue, and how it was trained."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.layout import begin, show_figure
from mtm_core.dashboard.resources import served_model
from mtm_core.dashboard.session import current_session
from mtm_core.figures.tissue_accuracy import tissue_accuracy
from mtm_core.figures.training_curve import training_curve

FIRST_COMPARED = ("ridge", "age-sex-hardy")

session, model = current_session(), served_model()
artefact = model.predictor.artefact
begin(
    "Model card",
    "How well the model predicts, what it was made from, and where it ends.",
    session,
    model,
)

st.header("Accuracy in each tissue")
if model.evaluation is None:
    st.info(
        "This model is **not evaluated**: it is not known how well it predicts. Evaluate it with"
        " `mtm evaluate`, and train it with `--evaluation`.",
        icon=":material/help:",
    )
else:
    own, tissues = artefact.method.name, model.evaluation.tissues
    others = [method for method in tissues["method"].unique() if method != own]
    compared = st.multiselect(
        "Compare with",
        others,
        default=[method for method in others if method in FIRST_COMPARED],
        key="compared",
        persist_state="session",
        help="Other methods on the same donors and folds.",
    )
    tissues = tissues[tissues["method"].isin([own, *compared])]
    show_figure(
        tissue_accuracy(tissues, own),
        key="accuracy_by_tissue",
        caption="Mean over genes of the correlation between predicted and measured, over donors"
        " that were held out, in each tissue; one mark a method. 0 is chance, 1 is perfect.",
        data=tissues,
        index=False,
    )

if model.history is not None:
    st.header("Training")
    show_figure(
        training_curve(model.history),
        key="training",
        caption="Terms of the loss, and the watched score where there was one, after each epoch.",
        data=model.history,
        index=False,
    )

st.header("Card")
if model.card:
    with st.container(border=True):
        st.markdown(model.card)
    st.download_button(
        "Model card (Markdown)",
        model.card,
        file_name=f"{artefact.name}.md",
        mime="text/markdown",
        key="download_card",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )
else:
    st.info("The model's folder has no README.md. `mtm train` writes one.")
