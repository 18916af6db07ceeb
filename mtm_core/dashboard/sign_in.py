"""Who may use a hosted dashboard: those who sign in, where the server asks for it.

Where ``.streamlit/secrets.toml`` has no ``[auth]`` nothing is asked and nothing changes. See
``docs/serving.md``.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitAuthError

from mtm_core.dashboard.downloads import RESEARCH_USE


def require_sign_in() -> None:
    """Let those who are signed in go on, and end the page for all others; to be called first."""
    if not _is_asked_for():
        return
    if st.user.is_logged_in:
        with st.sidebar:
            st.caption(f"Signed in as {st.user.get('email') or st.user.get('name') or 'a user'}")
            st.button("Sign out", key="sign_out", on_click=st.logout, type="tertiary")
        return
    st.title("Other tissues, from blood")
    st.markdown(f"This server asks you to sign in.  \n{RESEARCH_USE}")
    if st.button("Sign in", key="sign_in", type="primary", icon=":material/login:"):
        try:
            st.login()
        except StreamlitAuthError as error:
            st.error(
                "Sign-in is not set up in full on this server. Tell who runs it, who finds the"
                f" next step in docs/serving.md: {error}",
                icon=":material/error:",
            )
    st.stop()


def _is_asked_for() -> bool:
    if st.secrets.load_if_toml_exists():
        return "auth" in st.secrets
    # Streamlit takes a file that it cannot read for none: that must not open the door.
    if any(Path(file).exists() for file in st.get_option("secrets.files")):
        st.error(
            "The server's secrets.toml cannot be read, so that it is not known who may come in."
            " Tell who runs it: the server's log says what is wrong with the file.",
            icon=":material/error:",
        )
        st.stop()
    return False
