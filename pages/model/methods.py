"""Methods compared: the paper's figure 2 on this model's evaluation.

The chosen part, figure of merit, methods and tissue stand in the page's address.
"""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.methods import (
    ALL_TISSUES,
    KINDS,
    show_accuracy,
    show_numbers,
    show_shared,
    show_strata,
    show_wins,
)
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.evaluated import bring_along, evaluation_of
from mtm_core.dashboard.widgets.layout import begin
from mtm_core.escaping import plain
from mtm_core.evaluation.predictability import RHO_FIGURES

ACCURACY, NUMBERS, SETS, WINS, STRATA = (
    "Accuracy",
    "Predictable genes",
    "Shared genes",
    "Wins and losses",
    "Groups of donors",
)

session, model = begin(
    "Methods compared",
    "Each method predicts the same donors, folds and genes. As figure 2 of the paper, from this "
    "model's own evaluation.",
)
evaluated = evaluation_of(model)
methods = evaluated.methods
st.caption(evaluated.setting)
if len(methods) < 2:
    st.info(
        f"Only **{plain(methods[0])}** was evaluated: there is nothing to compare it with. "
        f"Evaluate several methods with `mtm evaluate --methods`.",
        icon=":material/help:",
    )
    end_page()

part = st.segmented_control(
    "View",
    [ACCURACY, NUMBERS, SETS, WINS, STRATA],
    default=ACCURACY,
    required=True,
    key="compared_by",
    help="The aspect to compare; all methods use the same donors and folds.",
    bind="query-params",
)
left, middle, right = st.columns([2, 2, 3])
if part in (ACCURACY, NUMBERS, WINS):
    bring_along("method", methods)
    first = left.selectbox(
        "Method",
        methods,
        key="method",
        bind="query-params",
        help="The model's own method comes first.",
    )
    other = middle.selectbox(
        "against",
        [name for name in methods if name != first],
        key="other_method",
        help="The method to compare the first with, tissue by tissue.",
        bind="query-params",
    )

if part == ACCURACY:
    figure_of_merit = right.selectbox(
        "Figure of merit",
        evaluated.figures_of_merit,
        format_func=RHO_FIGURES.__getitem__,
        key="figure_of_merit",
        help="What is shown, and what methods are ranked by.",
        bind="query-params",
    )
    show_accuracy(evaluated, first, other, figure_of_merit)
elif part == NUMBERS:
    show_numbers(evaluated, first, other)
elif part == SETS:
    places = [ALL_TISSUES, *evaluated.tissues]
    bring_along("tissue", places)
    where = left.selectbox(
        "Tissue",
        places,
        key="tissue",
        help="One tissue, or all together.",
        bind="query-params",
    )
    show_shared(evaluated, where)
elif part == WINS:
    kind = right.segmented_control(
        "Figure of merit",
        list(KINDS),
        format_func=lambda name: f"{KINDS[name]} rho",
        default="gene",
        required=True,
        key="kind_of_rho",
        help="Gene-wise: over donors, for each gene. Sample-wise: over genes, for each sample.",
        bind="query-params",
    )
    show_wins(evaluated, first, other, kind)
else:
    show_strata(evaluated)
