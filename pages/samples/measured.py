"""Check against measured: predictions held to a tissue measured in some of the same people."""

from __future__ import annotations

from mtm_core.dashboard.screens.cohort_view import need_samples
from mtm_core.dashboard.screens.measured_view import (
    checked,
    choose_measured,
    show_check,
    show_whole,
)
from mtm_core.dashboard.state.resources import served_model
from mtm_core.dashboard.state.session import current_session
from mtm_core.dashboard.widgets.layout import begin, mark_simulated

FORMATS = ["csv", "tsv", "txt", "gct", "gz", "xlsx", "parquet", "h5ad", "zip"]

session, model = current_session(), served_model()
begin(
    "Check against measured",
    "If you also measured another tissue of some of these people, see how well it is predicted in"
    " them.  \nEach figure is shown beside its value in GTEx and beside what shuffled people give.",
    session,
    model,
)
need_samples(session, model)
mark_simulated(session)
choose_measured(session, model, FORMATS)
judged = checked(session, model)
show_check(judged.found, session.file_stem)
show_whole(session, model.predictor, judged)
