"""The views of the screen of disease concordance that compare lists of genes and profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from mtm_core.dashboard.screens.disease_tables import (
    PROFILES,
    STARS,
    areas_in_words,
    areas_of,
    curves_of,
    overlap_cells,
    settings_in_words,
    trait_in_words,
)
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import ServedModel
from mtm_core.dashboard.widgets.evaluated import bring_along
from mtm_core.dashboard.widgets.layout import show_figure
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.associations.preserved_changes import overlap_grid
from mtm_core.figures.associations.roc import auroc_dots, roc_curves
from mtm_core.workflows.study_predictions import DiseaseStudy


def show_found_again(study: DiseaseStudy, settings: Mapping[str, Any]) -> None:
    """Show how well genes changed in measured tissue are found in predicted tissue."""
    minimum = st.number_input(
        "Changed genes that a tissue needs",
        min_value=1,
        max_value=10_000,
        value=int(settings["minimum_degs"]),
        key="minimum_degs",
        persist_state="session",
        width=300,
        help="Genes changed in measured tissue in the same direction, at an FDR of 5 %. "
        "Tissues with fewer are not shown, because a score of few genes is unreliable.",
    )
    f1, stars, notes, rows = overlap_cells(study.pairs, int(minimum))
    if rows.empty:
        st.info(
            "No tissue has that many changed genes. Choose a smaller number.",
            icon=":material/info:",
        )
        end_page()
    one, two, three = STARS
    show_figure(
        overlap_grid(f1, stars, notes),
        key="overlap_grid",
        name="genes_found_again",
        caption="How well the predictable genes that are changed in measured tissue are "
        "found among those changed in predicted tissue, up (↑) and down (↓). F1 is 1 where"
        f" the two sets are the same, 0 where they share none. Stars mean that the overlap "
        f"is beyond chance (hypergeometric test): * below {one:g}, ** {two:g}, *** "
        f"{three:g}. Where nearly all genes change, F1 is always high and no star is possible.",
        data=rows,
        index=False,
    )
    st.caption(settings_in_words(settings))


def show_classification(
    study: DiseaseStudy, settings: Mapping[str, Any], model: ServedModel
) -> None:
    """Show how well measured, predicted and blood profiles separate the two groups."""
    areas_by_trait = study.status_summary()
    trait = st.selectbox(
        "Contrast",
        list(areas_by_trait.index),
        key="areas_of",
        persist_state="session",
        format_func=lambda name: trait_in_words(name, model.associations),
        help="The two groups of donors to classify.",
    )
    areas = areas_of(study.status, trait)
    tissues = [str(name) for name in areas["tissue"].unique()]
    bring_along("tissue", tissues)
    tissue = st.selectbox(
        "Tissue", tissues, key="tissue", bind="query-params", help="Shown in bold."
    )
    source = str(settings["source"])
    profiles = [(name, words.format(source=source)) for name, words in PROFILES.items()]
    show_figure(
        auroc_dots(areas, profiles, chosen=tissue),
        key="areas",
        name=f"{trait}_areas",
        caption=f"{trait}: how well an L1 logistic regression separates the two groups from "
        f"each profile, in five-fold cross-validation ({settings['repeats']} repeats), with "
        f"95 % intervals. The best measured tissue comes first. Covariates are age, sex and "
        f"Hardy scale, unless they are the contrast itself. A profile that does no better "
        f"than the covariates may carry no further information.",
        data=areas,
        index=False,
    )
    st.markdown(plain_message(areas_in_words(areas_by_trait.loc[trait], source)))
    curves = curves_of(study.curves, trait, tissue)
    if len(curves):
        st.subheader(f"ROC curves of {plain(tissue)}")
        show_figure(
            roc_curves(curves, profiles),
            key="curves",
            name=f"{trait}_curves",
            caption="Share of cases found (true positives) against controls taken for cases "
            "(false positives) in held-out donors, mean over folds and repeats. The nearer "
            "to the upper left corner, the better.",
            data=curves,
            index=False,
        )
