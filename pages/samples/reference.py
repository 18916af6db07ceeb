"""Compare with GTEx: where samples and groups stand among the donors of each tissue."""

from __future__ import annotations

from mtm_core.dashboard.screens.reference_views import (
    choose_position,
    positions_of,
    say_aligned,
    show_by_sex_and_age,
    show_percentiles,
    show_samples,
)
from mtm_core.dashboard.widgets.cohort_view import begin_with_samples, expression_on_reference
from mtm_core.dashboard.widgets.gene_accuracy import GeneAccuracy

session, model = begin_with_samples(
    "Compare with GTEx",
    "Where your samples lie among the GTEx donors of each tissue, for one gene.  \nThe 50th"
    " percentile is the donors' median; half of them lie in the inner band, 90 % in the outer.",
)
expression = expression_on_reference(session, model)
held_out = GeneAccuracy.of(model, session.sources)
say_aligned(session, model)

tissues = [str(name) for name in expression["tissue"].values[1:]]
samples = [str(sample) for sample in expression["sample"].values]
chosen = choose_position(model, session.metadata, tissues, samples)
table = positions_of(session, model, expression, chosen)
unit = expression.attrs["unit"]
show_percentiles(session, table, chosen, held_out)
show_by_sex_and_age(session, model, table, chosen, held_out, unit=unit)
show_samples(session, table, chosen)
