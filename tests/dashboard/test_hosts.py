"""Whom the server answers, and that it asks nobody anything."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from streamlit import file_util, net_util
from streamlit.web.server.server_util import is_url_from_allowed_origins

from mtm_core.dashboard.serving.hosts import (
    HOSTS_VARIABLE,
    Door,
    Hosts,
    look_nothing_up,
    security_headers,
)

ALONE = Hosts.of_server("127.0.0.1")


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:8501", "localhost.", "127.0.0.1", "127.0.0.1:8600", "[::1]:8501"],
)
def test_a_server_of_this_machine_answers_to_this_machine(host: str) -> None:
    assert ALONE.allow(host)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example.org",
            "localhost.evil.example.org",
            "127.0.0.1.evil.example.org",
            "10.0.0.1",
        ),
        *("", " ", "a@localhost", "localhost@evil.example", "localhost/x", "localhost:99999999"),
        *(
            "localhost, evil.example",
            "localhost evil",
            "[::1",
            "2130706433",
            "0x7f.1",
            "localhost\r",
        ),
    ],
)
def test_and_to_no_other_name(host: str) -> None:
    assert not ALONE.allow(host)


def test_other_names_come_from_options_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, "lab.example.org, *.clinic.example")
    hosts = Hosts.of_server("10.1.2.3", allowed=["MTM.example.org"])
    for name in ("mtm.example.org", "lab.example.org:8501", "a.clinic.example", "10.1.2.3"):
        assert hosts.allow(name), name
    for name in ("example.org", "clinic.example", "evilclinic.example", "10.1.2.4"):
        assert not hosts.allow(name), name


def test_a_server_on_all_interfaces_accepts_addresses_but_no_names() -> None:
    hosts = Hosts.of_server("0.0.0.0")
    assert hosts.allow("10.0.0.7:8501")
    assert hosts.allow("[fe80::1]:8501")
    assert not hosts.allow("evil.example.org:8501")


@pytest.mark.parametrize(
    ("origin", "host", "is_own"),
    [
        ("http://localhost:8501", "localhost:8501", True),
        ("https://mtm.example.org", "mtm.example.org", True),
        ("https://mtm.example.org", "127.0.0.1:8501", True),  # a proxy that changes Host
        ("http://localhost:3000", "localhost:8501", False),  # another program of this machine
        ("http://127.0.0.1:8501", "localhost:8501", False),
        ("http://evil.example", "localhost:8501", False),
        ("null", "localhost:8501", False),
        ("file://", "localhost:8501", False),
        ("", "localhost:8501", False),
        ("https://mtm.example.org.evil.example", "mtm.example.org", False),
        ("javascript://localhost:8501", "localhost:8501", False),
    ],
)
def test_pages_of_its_own_alone_may_ask(origin: str, host: str, is_own: bool) -> None:
    hosts = Hosts.of_server("127.0.0.1", origins=["https://mtm.example.org"])
    assert hosts.allow(host)
    assert hosts.allow_origin(origin, host) == is_own


Headers = list[tuple[str, str]]


def answers(kind: str, headers: Headers) -> list[dict[str, Any]]:
    """Ask a page behind the door that answers "page", or a websocket that accepts."""
    index = Path(file_util.get_static_dir()) / "index.html"
    sent: list[dict[str, Any]] = []

    async def page(scope: Any, receive: Any, send: Any) -> None:
        if kind == "websocket":
            await send({"type": "websocket.accept"})
            return
        theirs = [(b"X-Frame-Options", b"ALLOWALL"), (b"x-own", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": theirs})
        await send({"type": "http.response.body", "body": b"page"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": "GET",
        "path": "/",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    door = Door(page, ALONE, security_headers(index))
    with suppress(StopIteration):  # it waits for nothing: no event loop is needed
        door(scope, None, send).send(None)  # type: ignore[arg-type, attr-defined]
    return sent


def test_every_answer_has_security_headers() -> None:
    for host, status in (("localhost:8501", 200), ("evil.example", 403)):
        start, body = answers("http", [("host", host)])
        assert start["status"] == status
        names = [name.lower() for name, _ in start["headers"]]
        assert len(set(names)) == len(names)
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        assert ("x-own" in headers) == (status == 200)
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        parts = headers["content-security-policy"].split("; ")
        policy = dict(part.split(" ", 1) for part in parts)
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in policy["script-src"]
        assert "*" not in str(policy)
        assert "http" not in str(policy)
    assert b"evil.example" in body["body"]
    assert b"--allow-host" in body["body"]


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        ([("host", "localhost:8501"), ("origin", "http://localhost:8501")], True),
        ([("host", "localhost:8501")], True),  # no browser: it has nobody's cookies
        ([("host", "evil.example:8501"), ("origin", "http://evil.example:8501")], False),
        ([("host", "localhost:8501"), ("origin", "http://evil.example")], False),
        ([("host", "localhost:8501"), ("origin", "null")], False),
        ([("host", "localhost:8501"), ("host", "evil.example")], False),
        ([("origin", "http://localhost:8501")], False),
    ],
)
def test_the_websocket_admits_the_same_requests(headers: Headers, is_let_in: bool) -> None:
    (message,) = answers("websocket", headers)
    assert message["type"] == ("websocket.accept" if is_let_in else "websocket.close")
    start, *_ = answers("http", headers)
    assert start["status"] == (200 if is_let_in else 403)


def test_the_script_in_streamlits_page_is_the_one_allowed() -> None:
    index = Path(file_util.get_static_dir()) / "index.html"
    scripts = re.findall(r"<script(?![^>]*src=)[^>]*>", index.read_text())
    assert scripts == ["<script>"]
    assert dict(security_headers(index))["content-security-policy"].count("'sha256-") == 1


def test_no_address_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for a page of another origin nor for the address that is printed."""
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise OSError("this test lets nobody out")

    for module, name in ((socket.socket, "connect"), (socket, "getaddrinfo"), (requests, "get")):
        monkeypatch.setattr(module, name, refuse)
    for name in ("get_external_ip", "get_internal_ip", "_make_blocking_http_get"):
        monkeypatch.setattr(net_util, name, getattr(net_util, name))  # put back afterwards
    look_nothing_up()
    assert not is_url_from_allowed_origins("http://evil.example")
    assert net_util.get_external_ip() is None
    assert asked == []


def test_streamlit_alone_would_look_the_address_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above guards against is what Streamlit does."""
    asked: list[str] = []
    look: Callable[..., None] = lambda url, timeout: asked.append(url)  # noqa: E731
    monkeypatch.setattr(net_util, "_make_blocking_http_get", look)
    monkeypatch.setattr(net_util, "_external_ip", None)
    is_url_from_allowed_origins("http://evil.example")
    assert asked
