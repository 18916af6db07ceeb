"""What the screen of methods chooses: the view, two methods, a figure of merit, a tissue."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.methods import ALL_TISSUES, KINDS, RhoKind
from mtm_core.dashboard.state.page_end import end_page
from mtm_core.dashboard.widgets.evaluated import Evaluated, bring_along
from mtm_core.escaping import plain
from mtm_core.evaluation.predictability import RHO_FIGURES

ACCURACY, NUMBERS, SETS, WINS, STRATA = (
    "Accuracy",
    "Predictable genes",
    "Shared genes",
    "Wins and losses",
    "Groups of donors",
)


def need_several(methods: list[str]) -> None:
    """End the page where only one method was evaluated."""
    if len(methods) < 2:
        st.info(
            f"Only **{plain(methods[0])}** was evaluated: there is nothing to compare it with. "
            f"Evaluate several methods with `mtm evaluate --methods`.",
            icon=":material/help:",
        )
        end_page()


def choose_view() -> str:
    """Let the user choose the aspect to compare."""
    return str(
        st.segmented_control(
            "View",
            [ACCURACY, NUMBERS, SETS, WINS, STRATA],
            default=ACCURACY,
            required=True,
            key="compared_by",
            help="The aspect to compare; all methods use the same donors and folds.",
            bind="query-params",
        )
    )


def choose_first(methods: list[str]) -> str:
    """Let the user choose the method that is compared."""
    bring_along("method", methods)
    return st.selectbox(
        "Method",
        methods,
        key="method",
        bind="query-params",
        help="The model's own method comes first.",
    )


def choose_other(methods: list[str], first: str) -> str:
    """Let the user choose the method to compare ``first`` with."""
    return st.selectbox(
        "against",
        [name for name in methods if name != first],
        key="other_method",
        help="The method to compare the first with, tissue by tissue.",
        bind="query-params",
    )


def choose_figure_of_merit(evaluated: Evaluated) -> str:
    """Let the user choose what is shown of each method."""
    return st.selectbox(
        "Figure of merit",
        evaluated.figures_of_merit,
        format_func=RHO_FIGURES.__getitem__,
        key="figure_of_merit",
        help="What is shown, and what methods are ranked by.",
        bind="query-params",
    )


def choose_place(evaluated: Evaluated) -> str:
    """Let the user choose a tissue, or all together."""
    places = [ALL_TISSUES, *evaluated.tissues]
    bring_along("tissue", places)
    return st.selectbox(
        "Tissue",
        places,
        key="tissue",
        help="One tissue, or all together.",
        bind="query-params",
    )


def choose_kind() -> RhoKind:
    """Let the user choose rho over donors or over genes."""
    return st.segmented_control(
        "Figure of merit",
        list(KINDS),
        format_func=lambda name: f"{KINDS[name]} rho",
        default="gene",
        required=True,
        key="kind_of_rho",
        help="Gene-wise: over donors, for each gene. Sample-wise: over genes, for each sample.",
        bind="query-params",
    )
