"""The dashboard's router, which ``mtm app`` serves."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

import mtm_core.dashboard
from mtm_core.dashboard.serving.freeing import forget_old_callbacks
from mtm_core.dashboard.serving.guard import guarded_page
from mtm_core.dashboard.state.background import shown_elsewhere
from mtm_core.dashboard.state.session import current_session
from mtm_core.dashboard.widgets.sign_in import require_sign_in

# A file: a ":material/...:" page icon would be fetched from a font server by every visitor.
ICON = Path(mtm_core.dashboard.__file__).with_name("icon.svg")

st.set_page_config(page_title="MTM", page_icon=str(ICON), layout="wide")
require_sign_in()
page = st.navigation(
    {
        "": [
            st.Page("pages/start/start.py", title="Start", icon=":material/home:", default=True),
        ],
        "Your samples": [
            st.Page("pages/samples/upload.py", title="Upload", icon=":material/upload_file:"),
            st.Page("pages/samples/metadata.py", title="Metadata", icon=":material/badge:"),
            st.Page("pages/samples/quality.py", title="Quality", icon=":material/fact_check:"),
            st.Page(
                "pages/samples/composition.py",
                title="Blood composition",
                icon=":material/bloodtype:",
            ),
            st.Page(
                "pages/samples/predicted.py",
                title="Predicted expression",
                icon=":material/grid_on:",
            ),
            st.Page(
                "pages/samples/reference.py",
                title="Compare with GTEx",
                icon=":material/equalizer:",
            ),
            st.Page(
                "pages/samples/measured.py",
                title="Check against measured",
                icon=":material/rule:",
            ),
            st.Page(
                "pages/samples/report.py",
                title="Report and downloads",
                icon=":material/summarize:",
            ),
        ],
        "Associations": [
            st.Page("pages/associations/traits.py", title="Traits", icon=":material/trending_up:"),
            st.Page(
                "pages/associations/differential.py",
                title="Differential expression",
                icon=":material/scatter_plot:",
            ),
            st.Page(
                "pages/associations/enrichment.py", title="Gene sets", icon=":material/workspaces:"
            ),
            st.Page("pages/associations/activity.py", title="Activity", icon=":material/bolt:"),
            st.Page(
                "pages/associations/external.py",
                title="External cohort",
                icon=":material/groups:",
            ),
            st.Page(
                "pages/associations/disease.py",
                title="Disease concordance",
                icon=":material/healing:",
            ),
        ],
        "The model": [
            st.Page("pages/model/models.py", title="Models", icon=":material/inventory_2:"),
            st.Page(
                "pages/model/predictability.py",
                title="Predictability",
                icon=":material/verified:",
            ),
            st.Page(
                "pages/model/methods.py",
                title="Methods compared",
                icon=":material/compare_arrows:",
            ),
            st.Page(
                "pages/model/latent.py",
                title="Latent space",
                icon=":material/bubble_chart:",
            ),
            st.Page(
                "pages/model/model_card.py",
                title="Model card and training",
                icon=":material/description:",
            ),
        ],
        "Help": [
            st.Page("pages/help/guides.py", title="Guides", icon=":material/menu_book:"),
        ],
    },
    expanded=True,  # a menu that hides its last pages behind "View more" loses them
)
with shown_elsewhere(current_session()), guarded_page():
    page.run()
forget_old_callbacks()
