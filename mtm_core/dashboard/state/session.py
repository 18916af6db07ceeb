"""State of one session across pages: one typed object under one key."""

from __future__ import annotations

from dataclasses import dataclass, field

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from mtm_core.dashboard.state.batching import Batching
from mtm_core.dashboard.state.results import Results
from mtm_core.dashboard.state.work import Work
from mtm_core.inference.predictor import Predictor

SESSION_KEY = "mtm"
"""Under which Streamlit's session state has ours."""


@dataclass
class Session(Results):
    """The samples of one user, what was predicted from them, and what of it is saved on disk.

    Attributes
    ----------
    workspace
        Id of the saved session on disk; empty if the user has not asked for that.
    workspace_is_own
        Whether it was made here, not opened by its address: who opens the address of another's
        work must not leave a table of their own there.
    workspace_seen
        Id that was opened, or could not be, so that it is done and said once.
    saved_state
        Digest of what was last written there.
    """

    workspace: str = field(default="", compare=False)
    workspace_is_own: bool = field(default=False, compare=False)
    workspace_seen: str = field(default="", compare=False)
    saved_state: tuple[object, ...] = field(default=(), compare=False)

    def take_other_samples(self) -> None:
        """Leave the saved session of somebody else as it is."""
        if not self.workspace_is_own:
            self.workspace, self.saved_state = "", ()

    def take_up(self, work: Work, predictor: Predictor) -> None:
        """Go on with a saved session; a tissue that the model lacks is left aside."""
        self.forget()
        self.table, self.table_sha256 = work.table, work.table_sha256
        self.unit, self.alignment, self.targets = work.unit, work.alignment, work.targets
        self.metadata = work.metadata
        self.further, self.near_people = work.further, work.near_people
        self.batching = Batching.from_text(work.batching)
        self.measured, self.second = work.measured, work.second
        if work.source in predictor.tissues:
            self.source = work.source


def current_session() -> Session:
    """Return the session of the user who sees this page."""
    session: Session = st.session_state.setdefault(SESSION_KEY, Session())
    return session


def delete_data(session: Session) -> None:
    """Delete the user's data: table and results here, and the bytes that the server holds."""
    session.forget()
    session.n_deleted += 1
    context = get_script_run_ctx()
    if context is not None and context.uploaded_file_mgr is not None:
        context.uploaded_file_mgr.remove_session_files(context.session_id)
