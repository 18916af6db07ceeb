"""Where sessions are saved: a private folder, and none before it is asked for."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtm_core.dashboard.state import workspace, workspace_settings
from mtm_core.dashboard.state.work import Work
from mtm_core.dashboard.state.workspace import MOST_WORKSPACES, WorkspaceStore
from mtm_core.dashboard.state.workspace_mark import mark
from mtm_core.dashboard.state.workspace_settings import (
    open_store,
    settings_of_environment,
    sweep_for_ever,
)
from mtm_core.errors import SelectionError
from tests.dashboard.saved_work import Clock


def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(SelectionError, match="other users can read it"):
        WorkspaceStore(folder, 24)
    folder.chmod(0o700)
    WorkspaceStore(folder, 24)


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    for name in ("link", "dangling", "file"):
        with pytest.raises(SelectionError, match="not a folder"):
            WorkspaceStore(tmp_path / name, 24)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = WorkspaceStore(tmp_path / "file" / "workspaces", 24)
    with pytest.raises(SelectionError, match=r"sessions cannot be saved in .*workspaces"):
        store.create()


def test_the_number_of_sessions_is_limited(store: WorkspaceStore) -> None:
    store.create()
    for i in range(MOST_WORKSPACES - 1):
        folder = store.folder / f"{i:040x}"
        folder.mkdir()
        mark(folder)
        os.utime(folder, (Clock.now, Clock.now))
        (store.folder / f"others{i}").mkdir()  # count for nothing
    with pytest.raises(SelectionError, match="no more room for saved sessions"):
        store.create()


def test_no_folder_is_made_before_a_session_is_saved(
    store: WorkspaceStore, own_workspaces: Path
) -> None:
    assert store.sweep() == 0
    with pytest.raises(SelectionError, match="no session is saved"):
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
        with pytest.raises(SelectionError, match="not a number of hours above 0"):
            open_store(str(tmp_path / "here"), hours)


def test_only_our_own_files_are_swept(store: WorkspaceStore, work: Work, clock: Clock) -> None:
    """A folder with others' things in it: theses, copies of our marks, links."""
    old, with_a_foreign_file = store.create(), store.create()
    store.save(old, work)
    store.save(with_a_foreign_file, work)
    own = store.folder / hashlib.sha256(old.encode()).hexdigest()[:40]
    beside = store.folder / hashlib.sha256(with_a_foreign_file.encode()).hexdigest()[:40]
    (beside / "mine.parquet").write_text("mine")
    elsewhere = store.folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.txt").write_text("mine")
    folder = store.folder
    (folder / "Documents").mkdir()
    (folder / "Documents" / "thesis.txt").write_text("mine")
    (folder / "notes.txt").write_text("mine")
    (folder / "link").symlink_to(elsewhere)
    (folder / ("a" * 40)).mkdir()
    (folder / ("a" * 40) / "thesis.txt").write_text("mine")
    (folder / ("b" * 40)).symlink_to(own)
    shutil.copytree(own, folder / "copy of ours")
    (folder / ("c" * 40)).mkdir()  # a mark that names another folder
    shutil.copy(own / ".mtm-workspace.json", folder / ("c" * 40))
    (folder / ("d" * 40)).mkdir()
    (folder / ("d" * 40) / "work.json").write_text('{"format": "mtm-workspace"}')
    (folder / ("e" * 40)).mkdir()
    (folder / ("e" * 40) / ".mtm-workspace.json").write_text("[[]]")
    paths = [path for path in folder.rglob("*") if own not in (path, *path.parents)]
    theirs = {path: path.lstat() for path in paths if beside not in path.parents}
    for path in [*theirs, own, beside]:
        os.utime(path, (0, 0), follow_symlinks=False)
    assert store.sweep() == 2
    assert not own.exists()
    assert [path.name for path in beside.iterdir()] == ["mine.parquet"]
    assert all(path.lstat().st_ino == state.st_ino for path, state in theirs.items())
    assert (elsewhere / "thesis.txt").read_text() == "mine"
    assert store.sweep() == 0


def test_a_session_of_a_version_without_marks_is_recognised(
    store: WorkspaceStore, work: Work, clock: Clock
) -> None:
    identifier = store.create()
    store.save(identifier, work)
    folder = next(store.folder.iterdir())
    (folder / ".mtm-workspace.json").unlink()
    assert store.load(identifier).source == work.source
    clock.now += 25 * 3600
    assert store.sweep() == 1
    assert list(store.folder.iterdir()) == []


def test_one_that_cannot_be_deleted_does_not_stop_the_rest(
    store: WorkspaceStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        store.create()
    folders = sorted(store.folder.iterdir())
    for folder in folders:
        os.utime(folder, (0, 0))
    delete = workspace.delete_own

    def delete_all_but_the_second(folder: Path) -> bool:
        if folder == folders[1]:
            raise PermissionError(13, "Permission denied")
        return delete(folder)

    monkeypatch.setattr(workspace, "delete_own", delete_all_but_the_second)
    assert store.sweep() == 2
    assert list(store.folder.iterdir()) == [folders[1]]
    monkeypatch.undo()
    assert store.sweep() == 1


def test_sweeping_goes_on_after_the_disk_was_away(
    own_workspaces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[str] = []

    def sweep(_: WorkspaceStore) -> int:
        swept.append("once more")
        raise OSError(5, "Input/output error")

    def sleep(_: float) -> None:
        if len(swept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(WorkspaceStore, "sweep", sweep)
    monkeypatch.setattr(workspace_settings, "time", SimpleNamespace(sleep=sleep))
    with pytest.raises(KeyboardInterrupt):
        sweep_for_ever()
    assert len(swept) == 3
