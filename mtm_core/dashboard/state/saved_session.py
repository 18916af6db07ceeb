"""Saved sessions, for users who ask for one: the switch, the address, and the way back.

Nothing is written to disk before the user turns the switch on. The page's address then has the id
of the workspace, and no data.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from mtm_core.dashboard.state import background
from mtm_core.dashboard.state.further import FurtherTable
from mtm_core.dashboard.state.resources import CHOSEN_MODEL, choosable_models, chosen_model
from mtm_core.dashboard.state.session import Session, delete_data
from mtm_core.dashboard.state.work import Work
from mtm_core.dashboard.state.workspace import WorkspaceStore
from mtm_core.dashboard.state.workspace_settings import open_store, settings_of_environment
from mtm_core.errors import MTMError, OutputError, SelectionError
from mtm_core.escaping import plain_message
from mtm_core.inference.predictor import Predictor

_REOPENED = "mtm_reopened"
"""Under which Streamlit's session state has the work that was opened again for its model."""
ADDRESS = "work"
"""Name of the id in the page's address."""
_CHOICES = (
    *("columns", "predictable_only", "highlighted", "table_samples", "all_tissues", "all_genes"),
    *("group_column", "shuffle", "shuffle_seed", "fold_change", "fdr", "n_labels"),
    *("trait", "covariates", "traits_everywhere", "contrast", "agreement_predictable"),
    *("position_groups", "latent_colour", "image_format", CHOSEN_MODEL, "measured_near"),
    *("swaps_near", "person_column", "measured_person"),
)
_CHOICES_BEGIN = ("case_", "control_", "reference_", "beside_", "adjusted_")
"""Keys of widgets whose choice is saved; those that the address has are not."""


def bring_back(session: Session, predictor: Predictor) -> None:
    """Open the work that the page's address names, once a session; say so where that fails."""
    identifier = st.query_params.get(ADDRESS, "")
    if identifier in ("", session.workspace, session.workspace_seen):
        return
    if session.table is not None or session.jobs.under_way:  # what is here is newer
        return
    session.workspace_seen = identifier
    store = _store()
    if store is None:
        st.warning("This server saves no sessions. Upload your table again.")
        return
    try:
        work = store.load(identifier, owner=_owner())
    except MTMError as error:
        st.warning(
            plain_message(f"{str(error)[:1].upper()}{str(error)[1:]}"),
            icon=":material/history_toggle_off:",
        )
        return
    chosen = work.choices.get(CHOSEN_MODEL)
    is_first = st.session_state.get(_REOPENED) != identifier  # a model may fail to load
    if is_first and chosen in choosable_models() and chosen != chosen_model():
        st.session_state[_REOPENED] = identifier
        session.workspace_seen = ""  # to be opened again, with the model that it was saved with
        st.session_state[CHOSEN_MODEL] = chosen
        st.rerun()
    session.workspace, session.workspace_is_own = identifier, False
    session.take_up(work, predictor)
    for key, value in work.choices.items():
        if _is_choice(key):
            st.session_state[key] = value
    st.toast("Your session is back.", icon=":material/history:")
    if work.model_sha256:
        if work.model_sha256 != predictor.artefact.sha256:
            st.info(
                "The model has changed since this session was saved. Predictions are made"
                " again by the present model.",
                icon=":material/info:",
            )
        background.start(session, session.predicting(predictor))


def offer_to_save(session: Session) -> None:
    """Show the switch, in the sidebar; nothing if no samples are loaded or the server has none.

    Call it after :func:`bring_back`.
    """
    if session.table is None and not session.workspace:
        return
    store = _store()
    if store is None:
        return
    key = f"save_session_{session.n_deleted}"
    st.toggle(
        "Save my session",
        value=bool(session.workspace),
        key=key,
        on_change=_switch,
        args=(session, store, key),
        help=f"Saves your tables, metadata and choices on this server's disk until "
        f"{store.hours:g} hours after you last used them. Switch it off, or press 'Delete my "
        f"data now', to delete them at once.",
    )
    if session.workspace:
        st.caption(
            "Saved. The address of this page opens your session again. **Anybody who has the "
            "address can see your data.**"
        )


def save(session: Session) -> None:
    """Write what has changed to the disk, if the user has asked for it, and say so where it fails.

    Called where a page begins, and after choices on it that are saved.
    """
    if st.query_params.get(ADDRESS, "") != session.workspace:
        if session.workspace:
            st.query_params[ADDRESS] = session.workspace
        else:
            del st.query_params[ADDRESS]
    store, table = _store() if session.workspace else None, session.table
    if store is None or table is None:
        return
    prediction = session.prediction
    work = Work(
        table,
        session.table_sha256,
        session.source,
        session.unit,
        session.alignment,
        session.targets,
        session.metadata,
        "" if prediction is None else str(prediction.attrs["model_sha256"]),
        _choices(),
        session.further,
        session.near_people,
        session.batching.text,
        session.measured,
        session.second,
    )
    state = (session.workspace, session.table_sha256, table.report.file, _options(work))
    if state == session.saved_state:
        return
    try:
        with st.spinner("Saving your session…"):
            store.save(session.workspace, work, owner=_owner())
    except SelectionError:  # another tab has deleted it
        _let_go(session)
        st.warning(
            "Your session is no longer saved: it was deleted in another tab, or it was too old. "
            "Switch saving on to save it again.",
            icon=":material/history_toggle_off:",
        )
    except (OSError, OutputError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        st.warning(
            f"Your session could not be saved: {plain_message(why)}. Tell the person who runs this"
            " server.",
            icon=":material/warning:",
        )
    else:
        session.saved_state = state


def delete_all(session: Session) -> None:
    """Delete the user's data here, in the server's memory and on its disk."""
    store = _store()
    if store is not None and session.workspace:
        store.delete(session.workspace)
    _let_go(session)
    delete_data(session)


def _switch(session: Session, store: WorkspaceStore, key: str) -> None:
    if not st.session_state[key]:
        store.delete(session.workspace)
        _let_go(session)
        return
    try:
        session.workspace, session.workspace_is_own = store.create(), True
    except (MTMError, OSError) as error:
        st.warning(plain_message(error), icon=":material/warning:")


def _let_go(session: Session) -> None:
    session.workspace, session.saved_state = "", ()
    if ADDRESS in st.query_params:
        del st.query_params[ADDRESS]


def _options(work: Work) -> tuple[Any, ...]:
    metadata = None if work.metadata is None else work.metadata.state
    choices = tuple(sorted((key, repr(value)) for key, value in work.choices.items()))
    return (
        *(work.source, work.unit, work.alignment, work.targets, work.table.options),
        *(metadata, work.model_sha256, choices),
        *((one.tissue, one.sha256, one.unit, one.batch) for one in work.further),
        *(_in_short(work.measured), _in_short(work.second)),
        *(work.near_people, hash(work.batching)),
    )


def _in_short(one: FurtherTable | None) -> tuple[object, ...]:
    return () if one is None else (one.tissue, one.sha256, one.table.report.file, one.unit)


def _choices() -> dict[str, Any]:
    return {str(key): value for key, value in st.session_state.items() if _is_choice(str(key))}


def _is_choice(key: str) -> bool:
    return key in _CHOICES or key.startswith(_CHOICES_BEGIN)


def _owner() -> str:
    """Name who is signed in; empty if nobody has to."""
    return str(st.user.get("sub") or st.user.get("email") or "")


def _store() -> WorkspaceStore | None:
    """Return the store of saved sessions; ``None`` if there is none. Say so where it fails."""
    try:
        return _opened(*settings_of_environment())
    except MTMError as error:
        st.warning(
            plain_message(f"{str(error)[:1].upper()}{str(error)[1:]}"), icon=":material/warning:"
        )
        return None


@st.cache_resource(show_spinner=False)
def _opened(folder: str, hours: str) -> WorkspaceStore | None:
    return open_store(folder, hours)
