"""Sign-in to a hosted dashboard, if the server asks for it.

Where ``.streamlit/secrets.toml`` has no ``[auth]`` nothing is asked and nothing changes. See
``docs/serving.md``.

The provider sends a browser back to a fresh session, and Streamlit says there no more than whether
somebody is signed in. So the door keeps for an hour which browsers it has sent away, to have words
for those that come back signed out.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import requests
import streamlit as st
from streamlit.auth_util import get_origin_from_redirect_uri
from streamlit.errors import StreamlitAuthError
from streamlit.web.server.starlette.starlette_app_utils import decode_xsrf_token_string

from mtm_core.dashboard.widgets.downloads import RESEARCH_USE
from mtm_core.escaping import plain

_log = logging.getLogger(__name__)
_PROVIDER_SECONDS = 5.0
_TELL = "tell the person who runs the server; its log has the reason."


@dataclass
class _Attempt:
    """Whether a browser was sent to the provider and has not come back signed in."""

    is_open: bool = False


def require_sign_in() -> None:
    """Let those who are signed in go on, and end the page for all others; to be called first."""
    if not is_asked_for():
        return
    attempt = _attempt()
    if st.user.is_logged_in:
        attempt.is_open = False
        with st.sidebar:
            st.caption(
                f"Signed in as {plain(st.user.get('email') or st.user.get('name') or 'a user')}"
            )
            st.button("Sign out", key="sign_out", on_click=st.logout, type="tertiary")
        return
    st.title("Other tissues, from blood")
    st.markdown(f"This server asks you to sign in.  \n{RESEARCH_USE}")
    _offer_sign_in(attempt)
    st.stop()


def _offer_sign_in(attempt: _Attempt) -> None:
    try:
        address, own = st.context.headers.get("Origin"), get_origin_from_redirect_uri()
        if address and own and address != own:
            # The provider sends back to the address it knows, where this browser has no cookies.
            st.warning(
                f"You opened this server as {plain(address)}, where nobody can sign in."
                f" Open it as [{own}]({own}).",
                icon=":material/warning:",
            )
            return
        if attempt.is_open:
            st.warning(
                f"The last sign-in from this browser did not succeed: it was refused, cancelled, "
                f"or could not be checked. Try again. If it fails again, {_TELL}",
                icon=":material/warning:",
            )
        if not st.button("Sign in", key="sign_in", type="primary", icon=":material/login:"):
            return
        if _provider_answers():
            st.login()
            attempt.is_open = True
        else:
            st.error(
                f"The sign-in service does not answer correctly, so nobody can sign in now. Try "
                f"again in a few minutes. If it still fails, {_TELL}",
                icon=":material/error:",
            )
    except StreamlitAuthError as error:
        st.error(
            f"Sign-in is not fully set up on this server. Tell the person who runs it; the next "
            f"step is in docs/serving.md: {error}",
            icon=":material/error:",
        )


def _provider_answers() -> bool:
    """Ask the provider for its description, without which Streamlit leads to a bare error page."""
    address = st.secrets["auth"].get("server_metadata_url")
    if not address:  # st.login says what is missing
        return True
    try:
        answer = requests.get(address, timeout=_PROVIDER_SECONDS)
        answer.raise_for_status()
        description = answer.json()
        if isinstance(description, dict) and "authorization_endpoint" in description:
            return True
        _log.error("%s is not a description of an OpenID Connect provider", address)
    except requests.RequestException as error:
        _log.error("the OpenID Connect provider does not answer: %s", error)
    return False


def _attempt() -> _Attempt:
    """Return what is stored about this browser, by the token that guards Streamlit's forms."""
    token, _ = decode_xsrf_token_string(st.context.cookies.get("_streamlit_xsrf", ""))
    return _attempt_of(token) if token else _Attempt()


@st.cache_resource(ttl=timedelta(hours=1), max_entries=10_000, show_spinner=False)
def _attempt_of(token: bytes) -> _Attempt:
    return _Attempt()


def is_asked_for() -> bool:
    """Tell whether this server asks its visitors to sign in."""
    if st.secrets.load_if_toml_exists():
        return "auth" in st.secrets
    # Streamlit takes a file that it cannot read for none: that must not open the door.
    if any(Path(file).exists() for file in st.get_option("secrets.files")):
        st.error(
            "The server's secrets.toml cannot be read, so it is not known who may sign in. Tell "
            "the person who runs the server: its log says what is wrong with the file.",
            icon=":material/error:",
        )
        st.stop()
    return False
