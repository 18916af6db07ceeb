"""Upload: read a table and show what was found in it, before anything is predicted."""

from __future__ import annotations

import streamlit as st

from mtm_core.dashboard.screens.upload import (
    choose_alignment,
    choose_files,
    choose_source,
    choose_unit,
    leave_old_shares,
    need_unit,
    offer_example_and_deletion,
    offer_prediction,
    read_files,
)
from mtm_core.dashboard.screens.upload_found import (
    show_all_notes,
    show_distances,
    show_found,
    show_model_genes,
    show_preview,
)
from mtm_core.dashboard.state.background import need
from mtm_core.dashboard.state.saved_session import save
from mtm_core.dashboard.widgets.batching_view import choose_batching
from mtm_core.dashboard.widgets.further_tables import choose_further
from mtm_core.dashboard.widgets.layout import begin, mark_simulated
from mtm_core.dashboard.widgets.uploads import TABLE_ENDINGS

session, model = begin(
    "Upload",
    "One table of expression, samples by genes or genes by samples: read counts, CPM, TPM, FPKM "
    "or a logarithm of these, with Ensembl ids, symbols or Entrez ids.",
)
predictor = model.predictor
mark_simulated(session)
read_as = session.source, session.unit

left, right = st.columns([2, 1], gap="large")
with left:
    uploads = choose_files(session)
with right:
    choose_source(session, model)
    offer_example_and_deletion(session, model)
table = read_files(session, predictor, uploads)

show_found(table.report)
unit_column, alignment_column = st.columns(2, gap="large")
with unit_column:
    choose_unit(session, table)
with alignment_column:
    choose_alignment(session)
leave_old_shares(session, read_as)
choose_batching(session)
choose_further(session, model, TABLE_ENDINGS)
save(session)

need_unit(session, predictor, table)
need(session, session.preparing(predictor))
prepared = session.prepare(predictor)
offer_prediction(session, predictor, prepared)

people = session.people(predictor)
show_all_notes(table.report, prepared, people)
show_model_genes(prepared)
show_distances(session, model, prepared, people)
show_preview(table)
