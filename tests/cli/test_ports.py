"""Ports that are taken, on real sockets."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator

import pytest

from mtm_core.cli import app as app_module
from mtm_core.cli import ports
from mtm_core.cli.app import app_command
from mtm_core.cli.ports import choose_port
from mtm_core.errors import SelectionError

HERE = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind((HERE, 0))
        other.listen()
        yield other.getsockname()[1]


def can_listen(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind((HERE, port))
        except OSError:
            return False
        return True


def test_a_free_port_is_used_without_a_message(taken: int) -> None:
    with socket.socket() as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
    assert choose_port(HERE, port) == (port, "")


def test_if_the_default_port_is_taken_the_next_is_used_and_reported(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "DEFAULT_PORT", taken)
    port, note = choose_port(HERE, None)
    assert taken < port <= taken + 100
    assert can_listen(port)
    assert re.match(rf"Port {taken} is taken by another .*: port {port} is used instead", note)


@pytest.mark.parametrize("address", [HERE, "0.0.0.0", "localhost"])
def test_a_requested_port_that_is_taken_is_refused_with_a_free_one(
    taken: int, address: str
) -> None:
    with pytest.raises(SelectionError, match=f"port {taken} is taken") as caught:
        choose_port(address, taken)
    offered = re.search(r"'--port (\d+)'", str(caught.value))
    assert offered
    assert can_listen(int(offered[1]))


def test_a_port_is_taken_if_it_is_at_any_address_of_the_host(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many machines put ::1 before 127.0.0.1 for localhost, and some have no IPv6 at all."""
    found = socket.getaddrinfo

    def both(address: str, port: int, **options: int) -> list[tuple[object, ...]]:
        sixth = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))
        return [sixth, *found(HERE, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(SelectionError, match=f"port {taken} is taken"):
        choose_port("localhost", taken)


def test_the_highest_port_suggests_one_below() -> None:
    with socket.socket() as other:
        try:
            other.bind((HERE, 65535))
            other.listen()
        except OSError:
            pytest.skip("another program has port 65535")
        with pytest.raises(SelectionError, match="port 65535 is taken") as caught:
            choose_port(HERE, 65535)
    offered = re.search(r"'--port (\d+)'", str(caught.value))
    assert offered
    assert can_listen(int(offered[1]))


def test_a_port_just_closed_is_free() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HERE, 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection((HERE, port)):
            server.accept()[0].close()  # the server leaves first: the system remembers it
    assert choose_port(HERE, port) == (port, "")


@pytest.mark.parametrize("address", ["203.0.113.9", "no such host", "x" * 70, "256.1.1.1"])
def test_an_address_of_another_machine_is_refused(address: str) -> None:
    with pytest.raises(SelectionError, match="not an address that this machine can listen on"):
        choose_port(address, 8501)


def test_the_command_reports_it_and_starts_on_the_free_port(
    taken: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: started.append(words))
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    monkeypatch.setattr(ports, "DEFAULT_PORT", taken)
    app_command()
    (port,) = (int(word.split("=")[1]) for word in started[0] if "server.port" in word)
    assert can_listen(port)
    assert f"Port {taken} is taken" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("system", "display", "expected"),
    [("linux", "", False), ("linux", ":0", True), ("darwin", "", True), ("win32", "", True)],
)
def test_a_browser_is_opened_only_where_there_is_a_screen(
    monkeypatch: pytest.MonkeyPatch, system: str, display: str, expected: bool
) -> None:
    monkeypatch.setattr(app_module.sys, "platform", system)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert app_module.has_screen() is expected
