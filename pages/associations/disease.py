"""Disease concordance: differences between two groups of donors that predictions preserve."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.disease import show_classification, show_found_again
from mtm_core.dashboard.screens.disease_preserved import Preserved, show_preserved
from mtm_core.dashboard.screens.disease_tables import (
    diseases_among,
    trait_in_words,
)
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.layout import begin
from mtm_core.escaping import plain, plain_message

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
        show_found_again(study, settings)

    else:
        show_classification(study, settings, model)
