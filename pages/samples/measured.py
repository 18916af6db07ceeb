"""Check against measured: predictions held to a tissue measured in some of the same people."""

from __future__ import annotations

from mtm_core.dashboard.screens.measured import (
    checked,
    choose_measured,
    show_check,
    show_whole,
)
from mtm_core.dashboard.widgets.cohort_view import begin_with_samples
from mtm_core.dashboard.widgets.uploads import TABLE_ENDINGS

session, model = begin_with_samples(
    "Check against measured",
    "If you also measured another tissue of some of these people, see how well it is predicted in"
    " them.  \nEach figure is shown beside its value in GTEx and beside what shuffled people give.",
)
choose_measured(session, model, TABLE_ENDINGS)
judged = checked(session, model)
show_check(judged.found, session.file_stem)
show_whole(session, model.predictor, judged)
