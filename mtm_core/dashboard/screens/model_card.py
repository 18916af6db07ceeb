"""The parts of the screen of the model card: accuracy, training, its data, and the card."""

from __future__ import annotations

import streamlit as st

from mtm_core.artefact import Artefact
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.widgets.evaluated import METHODS_PAGE, PREDICTABILITY_PAGE
from mtm_core.dashboard.widgets.layout import download_table, show_figure
from mtm_core.dashboard.widgets.paged_table import show_rows
from mtm_core.data.cohort.normalise import explain_unit
from mtm_core.escaping import others_markdown, plain
from mtm_core.evaluation.predictability import coverage_of_method
from mtm_core.figures.model_data import interval_coverage, training_samples
from mtm_core.figures.training_curve import training_curve


def show_summary(artefact: Artefact) -> None:
    """Say in a sentence which method the model is, and what it predicts from what."""
    st.markdown(
        f"**{plain(artefact.name)}**, method **{plain(artefact.method.name)}**:"
        f" {len(artefact.genes):,} genes in any of"
        f" {len(artefact.tissues)} tissues from any other of them, expression in"
        f" {plain(explain_unit(artefact.unit, len(artefact.genes)))}."
    )


def show_accuracy(model: ServedModel) -> None:
    """Lead to the model's accuracy, and show whether its intervals are calibrated."""
    method = model.predictor.artefact.method.name
    st.header("Accuracy")
    if model.evaluation is None:
        st.info(
            "This model is **not evaluated**: how well it predicts is not known. Evaluate it with"
            " `mtm evaluate`, and train it with `--evaluation`.",
            icon=":material/help:",
        )
        return
    st.page_link(
        PREDICTABILITY_PAGE,
        label="How well each tissue and gene is predicted",
        icon=":material/arrow_forward:",
    )
    st.page_link(
        METHODS_PAGE,
        label="How other methods do on the same donors",
        icon=":material/arrow_forward:",
    )
    coverage = coverage_of_method(model.evaluation.tissues, method)
    if coverage.empty:
        st.caption(f"{plain(method)} gave no intervals in its evaluation.")
        return
    st.subheader("Are the intervals calibrated?")
    show_figure(
        interval_coverage(coverage),
        key="coverage",
        name=f"coverage_{method}",
        caption=f"Share of held-out values inside the intervals of {method}, in each tissue "
        f"(number of donors in brackets). Dashed lines show the stated coverage: points left "
        f"of their line mean intervals that are too narrow, right of it too wide.",
        data=coverage.rename(columns=str),
    )


def show_training(model: ServedModel) -> None:
    """Show the training curve, the command that trained the model, and its settings."""
    artefact = model.predictor.artefact
    st.header("Training")
    if model.history is None:
        st.caption(
            "The model's folder has no history.csv: this method has no epochs, or its training "
            "curve was not stored."
        )
    else:
        show_figure(
            training_curve(model.history),
            key="training",
            caption="Terms of the loss after each epoch, and the validation score where there is "
            "one.",
            data=model.history,
            index=False,
        )
    if "command" in artefact.provenance:
        st.code(artefact.provenance["command"], language=None, wrap_lines=True)
    with st.expander("Settings"):
        st.json(artefact.method.settings())


def show_training_data(artefact: Artefact) -> None:
    """Show the samples of each tissue that the model was trained on, and its genes."""
    provenance = artefact.provenance
    st.header("Training data")
    tissue_part, gene_part = st.columns([3, 2])
    with tissue_part:
        st.subheader(f"{len(artefact.tissues)} tissues")
        show_figure(
            training_samples(artefact.tissues),
            key="training_samples",
            caption=f"Training samples of each tissue, in its GTEx colour:"
            f" {provenance.get('n_samples', 0):,} samples of {provenance.get('n_donors', 0):,} "
            f"donors in total.",
            data=artefact.tissues,
        )
    with gene_part:
        st.subheader(f"{len(artefact.genes):,} genes")
        genes = artefact.genes.reset_index(names="gene_id")
        genes = show_rows(
            genes,
            key="genes",
            height=520,
            order=["symbol", "gene_id", "entrez"],
            columns={"symbol": "gene", "gene_id": "gene id", "entrez": "Entrez id"},
        )
        download_table(genes, key="genes", name=f"genes_{artefact.name}", label="Genes")


def show_card(model: ServedModel) -> None:
    """Show the model card, and offer it as a file."""
    st.header("Card")
    if not model.card:
        st.info("The model's folder has no README.md. `mtm train` writes one.")
        return
    st.download_button(
        "Model card (Markdown)",
        model.card,
        file_name=f"{model.predictor.artefact.name}.md",
        mime="text/markdown",
        key="download_card",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )
    with st.container(border=True, height=560):
        st.markdown(others_markdown(model.card))
