"""Predictability: in which tissues, and of which genes, predictions can be trusted.

The chosen view, method, tissue and gene stand in the page's address.
"""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.predictability import (
    GENES,
    TISSUES,
    choose_shown,
    choose_view,
    show_distributions,
    show_tissues,
)
from mtm_core.dashboard.screens.predictability_genes import show_gene_everywhere, show_genes
from mtm_core.dashboard.widgets.evaluated import choose_sources, evaluation_of
from mtm_core.dashboard.widgets.layout import begin

session, model = begin(
    "Predictability",
    "Which genes can be predicted in which tissues: the correlation (rho) of predicted and "
    "measured expression over held-out donors. 0 is chance, 1 is perfect.",
)
evaluated = choose_sources(model, evaluation_of(model))
st.caption(evaluated.setting)

view = choose_view()
chosen = choose_shown(evaluated, view)
if view == TISSUES:
    show_tissues(evaluated, chosen)
elif view == GENES:
    show_genes(evaluated, chosen)
    show_gene_everywhere(evaluated, chosen)
else:
    show_distributions(evaluated, chosen)
