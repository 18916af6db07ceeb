"""Where work is kept: a private folder, and none before it is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtm_core.dashboard.workspace import (
    MOST_WORKSPACES,
    WorkspaceStore,
    open_store,
    settings_of_environment,
)
from mtm_core.errors import SelectionError
from tests.dashboard.kept_work import Clock


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(SelectionError, match="others can look into it"):
        WorkspaceStore(folder, 24)
    folder.chmod(0o700)
    WorkspaceStore(folder, 24)


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    for name in ("link", "dangling", "file"):
        with pytest.raises(SelectionError, match="no folder of its own"):
            WorkspaceStore(tmp_path / name, 24)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = WorkspaceStore(tmp_path / "file" / "workspaces", 24)
    with pytest.raises(SelectionError, match=r"work cannot be kept in .*workspaces"):
        store.create()


def test_there_is_an_end_to_how_many(store: WorkspaceStore) -> None:
    store.create()
    for i in range(MOST_WORKSPACES - 1):
        (store.folder / f"other{i}").mkdir()
        os.utime(store.folder / f"other{i}", (Clock.now, Clock.now))
    with pytest.raises(SelectionError, match="as much work as it can"):
        store.create()


def test_nothing_is_made_on_disk_before_it_is_asked_for(
    store: WorkspaceStore, own_workspaces: Path
) -> None:
    assert store.sweep() == 0
    with pytest.raises(SelectionError, match="nothing is kept"):
        store.load("a" * 43)
    assert not own_workspaces.exists()


def test_the_server_says_where_how_long_and_whether(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTM_WORKSPACE", f" {tmp_path / 'here'} ")
    monkeypatch.setenv("MTM_WORKSPACE_HOURS", "1.5")
    store = open_store(*settings_of_environment())
    assert store is not None
    assert (store.folder, store.hours) == (tmp_path / "here", 1.5)
    assert open_store("OFF") is None
    default = open_store(hours="2")
    assert default is not None
    assert default.folder.name.startswith("mtm-workspaces-")
    for hours in ("0", "-1", "a day", "nan", "inf"):
        with pytest.raises(SelectionError, match="no number of hours above 0"):
            open_store(str(tmp_path / "here"), hours)
