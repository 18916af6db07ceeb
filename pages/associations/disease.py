"""Disease concordance: differences between two groups of donors that predictions preserve."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.disease_preserved import Preserved, show_preserved
from mtm_core.dashboard.screens.disease_tables import (
    PROFILES,
    STARS,
    areas_in_words,
    areas_of,
    curves_of,
    diseases_among,
    overlap_cells,
    settings_in_words,
    trait_in_words,
)
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.evaluated import bring_along
from mtm_core.dashboard.widgets.layout import begin, show_figure
from mtm_core.escaping import plain, plain_message
from mtm_core.figures.associations.preserved_changes import overlap_grid
from mtm_core.figures.associations.roc import auroc_dots, roc_curves

CHANGES, FOUND, AREAS, TRAITS = (
    "Preserved changes",
    "Genes found again",
    "Classification",
    "Preserved associations",
)

session, model = begin(
    "Disease concordance",
    "What differs between two groups of GTEx donors, in measured tissue and in tissue predicted "
    "from their blood. No donor was used to train the model that predicts that donor.",
)
artefact, disease, traits = model.predictor.artefact, model.studies.disease, model.studies.traits
views = {
    CHANGES: disease is not None,
    FOUND: disease is not None,
    AREAS: disease is not None and not disease.study.status.empty,
    TRAITS: traits is not None,
}
if not any(views.values()):
    st.info(
        f"**{plain(artefact.name)}** has no studies of preserved associations. Make them with "
        f"`mtm study disease` and `mtm study traits` from the predictions of `mtm evaluate "
        f"--save-predictions`, with `--output` in the model's folder `studies`.",
        icon=":material/info:",
    )
    end_page()
view = st.segmented_control(
    "View",
    [name for name, is_there in views.items() if is_there],
    default=next(name for name, is_there in views.items() if is_there),
    required=True,
    key="concordance_of",
    help="What to compare between measured and predicted tissue: fold changes, the lists of "
    "changed genes, the classification of the two groups, or associations with traits.",
    bind="query-params",
)
colours = artefact.tissues["colour"].to_dict()

if view == TRAITS and traits is not None:
    st.caption(
        "Every gene is correlated with a trait of the donors, in predicted and in measured "
        "tissue; then the two lists of correlations are compared, as in the paper."
    )
    show_preserved(Preserved.of_traits(traits), model, colours)

elif disease is not None:
    study, settings = disease.study, disease.settings
    contrasts = [str(name) for name in study.pairs["trait"].unique()]
    if not diseases_among(contrasts):
        named = [trait_in_words(name, model.associations) for name in contrasts]
        st.warning(
            f"**None of these contrasts is a disease.** They are "
            f"{plain_message(', '.join(named))}. The public table of GTEx donors has no "
            f"diseases. They are in dbGaP's file of phenotypes: `mtm study disease --dbgap FILE`.",
            icon=":material/warning:",
        )

    if view == CHANGES:
        show_preserved(Preserved.of_contrasts(disease), model, colours)

    elif view == FOUND:
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

    else:
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
