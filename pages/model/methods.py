"""Methods compared: the paper's figure 2 on this model's evaluation.

The chosen part, figure of merit, methods and tissue stand in the page's address.
"""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.methods import (
    show_accuracy,
    show_numbers,
    show_shared,
    show_strata,
    show_wins,
)
from mtm_core.dashboard.screens.methods_choice import (
    ACCURACY,
    NUMBERS,
    SETS,
    WINS,
    choose_figure_of_merit,
    choose_first,
    choose_kind,
    choose_other,
    choose_place,
    choose_view,
    need_several,
)
from mtm_core.dashboard.widgets.evaluated import evaluation_of
from mtm_core.dashboard.widgets.layout import begin

session, model = begin(
    "Methods compared",
    "Each method predicts the same donors, folds and genes. As figure 2 of the paper, from this "
    "model's own evaluation.",
)
evaluated = evaluation_of(model)
methods = evaluated.methods
st.caption(evaluated.setting)
need_several(methods)

view = choose_view()
left, middle, right = st.columns([2, 2, 3])
if view in (ACCURACY, NUMBERS, WINS):
    with left:
        first = choose_first(methods)
    with middle:
        other = choose_other(methods, first)

if view == ACCURACY:
    with right:
        figure_of_merit = choose_figure_of_merit(evaluated)
    show_accuracy(evaluated, first, other, figure_of_merit)
elif view == NUMBERS:
    show_numbers(evaluated, first, other)
elif view == SETS:
    with left:
        place = choose_place(evaluated)
    show_shared(evaluated, place)
elif view == WINS:
    with right:
        kind = choose_kind()
    show_wins(evaluated, first, other, kind)
else:
    show_strata(evaluated)
