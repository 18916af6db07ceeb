"""Sign-in is asked for where the server has it, and nowhere else."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import PREDICTED, REPOSITORY, words

AUTH = {"auth": {"redirect_uri": "https://mtm.example.org/oauth2callback"}}


def opened(
    user: dict[str, object] | None = None, secrets: dict[str, object] | None = None
) -> AppTest:
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60)
    app.secrets.update(secrets or {})
    app.user = user or {}
    app.run()
    assert not app.exception
    return app


@pytest.mark.parametrize("secrets", [None, {"other": "value"}])
def test_without_auth_nobody_must_sign_in(secrets: dict[str, object] | None) -> None:
    app = opened(secrets=secrets)
    assert [button.key for button in app.button].count("example") == 1
    assert "Signed in" not in words(app)
    assert not app.error


def test_without_sign_in_only_the_sign_in_page_is_shown() -> None:
    app = opened({"is_logged_in": False}, AUTH)
    assert [button.key for button in app.button] == ["sign_in"]
    assert "asks you to sign in" in words(app)
    assert "For research use, not for diagnosis." in words(app)
    with pytest.raises(ValueError, match="Could not find a navigation page"):
        app.switch_page(PREDICTED)  # no page is there to be opened by its address


def test_a_server_that_is_not_set_up_in_full_says_so() -> None:
    app = opened({"is_logged_in": False}, AUTH)
    app.button(key="sign_in").click().run()
    assert not app.exception
    assert "not fully set up" in app.error[0].value


@pytest.mark.parametrize("answer", [None, b"<p>Moved</p>", b"[]", b'{"issuer": "x"}'])
def test_an_invalid_provider_is_not_used(answer: bytes | None) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            self.wfile.write(answer or b"")

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.handle_request, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        app = opened(
            {"is_logged_in": False}, {"auth": AUTH["auth"] | {"server_metadata_url": address}}
        )
        app.button(key="sign_in").click().run()
    assert not app.exception
    assert "does not answer correctly" in app.error[0].value
    assert [button.key for button in app.button] == ["sign_in"]


def test_a_signed_in_user_sees_the_dashboard_and_can_sign_out() -> None:
    app = opened({"is_logged_in": True, "email": "ada@example.org"}, AUTH)
    assert "Signed in as ada@\u2060example.org" in [
        caption.value for caption in app.sidebar.caption
    ]
    assert app.button(key="example")
    app.button(key="sign_out").click().run()
    assert not app.exception
    assert [button.key for button in app.button] == ["sign_in"]


def test_unreadable_secrets_do_not_allow_access(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = tmp_path / "secrets.toml"
    damaged.write_text("[auth\n")
    options = st.get_option
    monkeypatch.setattr(
        st, "get_option", lambda key: [str(damaged)] if key == "secrets.files" else options(key)
    )
    app = opened()
    assert "cannot be read" in app.error[0].value
    assert not app.button
