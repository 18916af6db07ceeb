"""``mtm app`` up to where the server takes over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtm_core.cli.app import app_command
from mtm_core.dashboard.serving import server
from mtm_core.dashboard.state.workspace_settings import open_store, settings_of_environment


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines that would have taken this process's place."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, words: commands.append(words))
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    for name in ("MTM_WORKSPACE", "MTM_WORKSPACE_HOURS"):
        monkeypatch.setenv(name, "")  # and put back afterwards what the command sets
    return commands


def test_workspace_folder_and_hours_reach_the_server(
    started: list[list[str]], tmp_path: Path
) -> None:
    app_command(port=8600, workspace=os.path.relpath(tmp_path / "saved"), workspace_hours=0.5)
    store = open_store(*settings_of_environment())
    assert store is not None
    assert (store.folder, store.hours) == (tmp_path / "saved", 0.5)
    assert "--server.port=8600" in started[0]


def test_a_server_can_be_set_to_save_no_sessions(started: list[list[str]]) -> None:
    app_command(workspace="off")
    assert open_store(*settings_of_environment()) is None


def test_without_options_the_environment_has_its_say(
    started: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTM_WORKSPACE", str(tmp_path / "other"))
    app_command()
    store = open_store(*settings_of_environment())
    assert store is not None
    assert store.folder == tmp_path / "other"


def test_names_to_answer_to_reach_the_server(started: list[list[str]]) -> None:
    app_command(allow_host=["lab.example.org", "*.clinic.example"])
    names = [word for word in started[0] if word.startswith("--server.allowedHosts")]
    settings = server._settings(started[0][3:])
    assert len(names) == 2
    assert settings["server.allowedHosts"] == ("lab.example.org", "*.clinic.example")
