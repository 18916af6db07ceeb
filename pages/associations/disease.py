"""Disease concordance: differences between two groups of donors that predictions preserve."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.concordance_view import (
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
from mtm_core.dashboard.screens.evaluated import bring_along
from mtm_core.dashboard.screens.preserved_view import Preserved, show_preserved
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.state.resources import served_model
from mtm_core.dashboard.state.session import current_session
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

session, model = current_session(), served_model()
artefact, disease, traits = model.predictor.artefact, model.studies.disease, model.studies.traits
begin(
    "Disease concordance",
    "What differs between two groups of GTEx donors: in measured tissue, and in tissue predicted"
    " from their blood by a model that had not seen them.",
    session,
    model,
)
views = {
    CHANGES: disease is not None,
    FOUND: disease is not None,
    AREAS: disease is not None and not disease.study.status.empty,
    TRAITS: traits is not None,
}
if not any(views.values()):
    st.info(
        f"**{plain(artefact.name)}** comes without studies of preserved associations. Make them"
        " with"
        " `mtm study disease` and `mtm study traits`, from the predictions that"
        " `mtm evaluate --save-predictions` leaves, with `--output` in the model's folder"
        " `studies`.",
        icon=":material/info:",
    )
    end_page()
view = st.segmented_control(
    "View",
    [name for name, is_there in views.items() if is_there],
    default=next(name for name, is_there in views.items() if is_there),
    required=True,
    key="concordance_of",
    help="What predictions preserve: changes, changed genes, the classification of two groups,"
    " associations with traits.",
    bind="query-params",
)
colours = artefact.tissues["colour"].to_dict()

if view == TRAITS and traits is not None:
    st.caption(
        "The paper's first question: every gene is correlated with a trait of the donors, in"
        " predicted and in measured tissue, and the two lists with each other."
    )
    show_preserved(Preserved.of_traits(traits), model, colours)

elif disease is not None:
    study, settings = disease.study, disease.settings
    contrasts = [str(name) for name in study.pairs["trait"].unique()]
    if not diseases_among(contrasts):
        named = [trait_in_words(name, model.associations) for name in contrasts]
        st.warning(
            "**None of the contrasts at hand is a disease.** They are"
            f" {plain_message(', '.join(named))}. The"
            " public table of GTEx donors has no diseases. The dbGaP file of phenotypes adds"
            " them: `mtm study disease --dbgap FILE`.",
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
            help="In measured tissue, in the same direction, at an FDR of 5 %. Tissues with fewer"
            " have no cell: a score of few genes says little.",
        )
        f1, stars, notes, rows = overlap_cells(study.pairs, int(minimum))
        if rows.empty:
            st.info("No tissue has so many changed genes. Ask for fewer.", icon=":material/info:")
            end_page()
        one, two, three = STARS
        show_figure(
            overlap_grid(f1, stars, notes),
            key="overlap_grid",
            name="genes_found_again",
            caption="How well genes changed in measured tissue are found again among those changed"
            " in predicted tissue, up (↑) and down (↓), of the predictable genes. F1 is 1 where"
            " the two sets are the same, 0 where they share none. Stars: the overlap is beyond"
            f" chance (hypergeometric), * below {one:g}, ** {two:g}, *** {three:g}. Where nearly"
            " all genes change, F1 is high in any case, and there can be no star.",
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
            help="Which two groups of donors the regression classifies.",
        )
        areas = areas_of(study.status, trait)
        tissues = [str(name) for name in areas["tissue"].unique()]
        bring_along("tissue", tissues)
        tissue = st.selectbox(
            "Tissue", tissues, key="tissue", bind="query-params", help="Its name is set in bold."
        )
        source = str(settings["source"])
        profiles = [(name, words.format(source=source)) for name, words in PROFILES.items()]
        show_figure(
            auroc_dots(areas, profiles, chosen=tissue),
            key="areas",
            name=f"{trait}_areas",
            caption=f"{trait}: how well an L1 logistic regression tells the two groups apart, in"
            f" five-fold cross-validation ({settings['repeats']} repeats), from each profile; with"
            " 95 % intervals, the best measured tissue first. Covariates: age, sex and Hardy class"
            " of death, as far as they are not the contrast. A profile that tells no more than"
            " they do may tell nothing else.",
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
                caption="Cases found against controls taken for cases, on donors held out, mean"
                " over folds and repeats. The nearer the upper left corner, the better.",
                data=curves,
                index=False,
            )
