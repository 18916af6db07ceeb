"""Gene sets: which of them a result is enriched for, with the predictable genes as background."""

from __future__ import annotations

from mtm_core.dashboard.screens.enrichment import (
    CORRELATED,
    choose_kind,
    choose_result,
    choose_test,
)
from mtm_core.dashboard.screens.enrichment_genes import show_by_genes
from mtm_core.dashboard.screens.enrichment_samples import show_by_samples
from mtm_core.dashboard.widgets.layout import begin

session, model = begin(
    "Gene sets",
    "Which gene sets a result is enriched for, in blood and in predicted tissues.  \nEach dot is a"
    " set in a tissue; the larger, the less likely to be chance; red is higher, blue lower.",
)
kind = choose_kind(model)
result = choose_result(kind, session, model)
asked = choose_test(session, kind, result)
if asked.test == CORRELATED:
    show_by_samples(session, model, result, asked)
else:
    show_by_genes(session, model, result, asked)
