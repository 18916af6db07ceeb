"""Report and downloads: the prediction as one report to read, and as one bundle to repeat it."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.measured_report import Checked
from mtm_core.dashboard.screens.report import record_of
from mtm_core.dashboard.screens.report_downloads import (
    need_prediction,
    offer_bundle,
    offer_report,
    show_summary,
    show_texts,
)
from mtm_core.dashboard.widgets.cohort_view import begin_with_samples

session, model = begin_with_samples(
    "Report and downloads",
    "What was predicted, from what and how: a report to read, and a bundle to repeat the "
    "prediction.",
)
need_prediction(session, model.predictor)
record = record_of(session, model)
checked = Checked.of(session, model)

show_summary(record, model)
report_part, bundle_part = st.columns(2, gap="large")
with report_part:
    offer_report(session, model, record, checked)
with bundle_part:
    offer_bundle(session, model, record, checked)
show_texts(session, model, record)
