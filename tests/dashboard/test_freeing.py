"""Closed tabs and unused files go by themselves."""

from __future__ import annotations

import subprocess
import sys
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileUploaderState, FileURLs, UploadedFileInfo
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime import Runtime
from streamlit.runtime.session_manager import SessionInfo
from streamlit.runtime.state import SessionState
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from mtm_core.dashboard.serving.freeing import UNUSED_SECONDS, ClosedTabs, Uploads, files_in_use
from mtm_core.dashboard.serving.server import DashboardRuntime
from mtm_core.dashboard.state.jobs import JobPool, Task
from mtm_core.dashboard.state.session import SESSION_KEY, Session
from tests.dashboard.saved_work import Clock


def closed_tab(identifier: str, own: Session) -> SessionInfo:
    state = SessionState()
    state[SESSION_KEY] = own
    session: Any = SimpleNamespace(id=identifier, session_state=state)
    return SessionInfo(client=None, session=session, script_run_count=1)


def test_a_closed_tab_may_come_back_until_it_is_too_old(clock: Clock) -> None:
    tabs, closed = ClosedTabs(120, clock=clock), list[str]()
    own = Session()
    own.table_sha256 = "of a table"
    info = closed_tab("a", own)
    tabs.save(info)
    clock.now += 119
    assert tabs.free(closed.append) == 0
    assert tabs.get("a") is info
    clock.now += 1
    assert tabs.get("a") is None  # nobody goes on with it from here
    assert tabs.list() == []
    assert own.table_sha256  # but its data are still there: nobody else comes or goes

    def close(identifier: str) -> None:
        assert tabs.get(identifier) is info  # the runtime asks for it to shut it down
        closed.append(identifier)

    assert tabs.free(close) == 1
    assert closed == ["a"]
    assert own.table_sha256 == ""
    assert SESSION_KEY not in info.session.session_state
    assert tabs.free(close) == 0


def test_jobs_of_a_freed_session_are_cancelled_though_they_hold_it(clock: Clock) -> None:
    """A job that is under way keeps what it was given alive, the session among it."""
    own, began, pool = Session(), Event(), JobPool(1)
    ended: list[str] = []

    def work(progress: Any) -> None:
        began.set()
        try:
            while True:
                progress(0, 1)
        finally:
            ended.append("cancelled")

    job = own.jobs.start(Task("table", 1, "Reading", work, lambda _: own.forget()), pool)
    assert began.wait(20)
    tabs = ClosedTabs(120, clock=clock)
    tabs.save(closed_tab("a", own))
    clock.now += 121
    tabs.free(lambda _: None)
    assert job.state == "cancelled"
    pool._executor.shutdown(wait=True)
    assert ended == ["cancelled"]


def test_a_tab_that_cannot_be_closed_does_not_block_the_others(clock: Clock) -> None:
    tabs = ClosedTabs(1, clock=clock)
    for name in ("a", "b"):
        tabs.save(closed_tab(name, Session()))
    clock.now += 2

    def close(identifier: str) -> None:
        if identifier == "a":
            raise ValueError("cannot")

    for _ in range(2):
        try:
            tabs.free(close)
        except ValueError:
            continue
    assert not tabs._held


def file(name: str, size: int = 10) -> UploadedFileRec:
    return UploadedFileRec(name, f"{name}.csv", "text/csv", b"x" * size)


def test_uploads_that_no_widget_uses_are_freed_after_a_while(clock: Clock) -> None:
    uploads = Uploads("/upload", 10_000, clock=clock)
    uploads.in_use = lambda session: frozenset({"used"}) if session == "a" else frozenset()
    for number in range(60):
        uploads.add_file("a", file(str(number)))
    uploads.add_file("a", file("used"))
    uploads.add_file("b", file("used"))
    assert uploads.total_bytes == 620
    clock.now += UNUSED_SECONDS - 1
    assert uploads.free() == 0
    clock.now += 1
    assert uploads.free() == 61
    assert [rec.file_id for rec in uploads.file_storage["a"].values()] == ["used"]
    uploads.in_use = lambda session: frozenset()  # its widget was left
    assert uploads.free() == 0
    clock.now += UNUSED_SECONDS
    assert uploads.free() == 1
    assert uploads.total_bytes == 0


def test_the_oldest_unused_make_room(clock: Clock) -> None:
    uploads = Uploads("/upload", 100, clock=clock)
    uploads.in_use = lambda _: frozenset({"used"})
    for name in ("used", "1", "2", "3"):
        clock.now += 1
        uploads.add_file("a", file(name, 40))
    assert list(uploads.file_storage["a"]) == ["used", "2", "3"]
    uploads.add_file("a", file("large", 100))
    assert list(uploads.file_storage["a"]) == ["used", "large"]
    uploads.add_file("b", file("1", 40))  # another session has room of its own
    assert uploads.total_bytes == 180
    uploads.remove_session_files("a")
    assert uploads.total_bytes == 40
    assert set(uploads._since) == {("b", "1")}


def test_the_files_of_widgets_are_known_as_they_come_and_as_they_are_read() -> None:
    state = SessionState()
    urls = FileURLs(file_id="old")
    state._old_state = {"$$ID-1-table": UploadedFile(file("old"), urls), "other": 3}
    state._old_state["$$ID-2-many"] = [UploadedFile(file("many"), urls)]
    info = FileUploaderState(uploaded_file_info=[UploadedFileInfo(file_id="new")])
    state._new_widget_state.set_widget_from_proto(
        WidgetState(id="$$ID-3-x", file_uploader_state_value=info)
    )
    assert files_in_use(state) == {"old", "many", "new"}


def test_a_visitor_cannot_empty_the_caches_of_all(monkeypatch: Any) -> None:
    answered: list[str | None] = []
    monkeypatch.setattr(
        Runtime,
        "handle_backmsg",
        lambda self, session, msg, client=None: answered.append(msg.WhichOneof("type")),
    )
    runtime = DashboardRuntime.__new__(DashboardRuntime)
    for message in (
        BackMsg(clear_cache=True),
        BackMsg(load_git_info=True),
        BackMsg(set_run_on_save=True),
        BackMsg(),
        BackMsg(rerun_script={}),
        BackMsg(app_heartbeat=True),
    ):
        runtime.handle_backmsg("a", message)
    assert answered == ["rerun_script", "app_heartbeat"]


_FREED = """
import sys
from pathlib import Path
import numpy as np
from mtm_core.dashboard.serving.freeing import keep_little_freed_memory

def held():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

if sys.argv[1] == "keep_little":
    keep_little_freed_memory()
np.ones(3_000_000)  # 24 MB: once it is freed, glibc keeps what is smaller
before, small = held(), []
large = []
for _ in range(20):
    large.append(np.ones(1_000_000))
    small.append(bytes(100_000))
del large
print(held() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="malloc is another")
def test_arrays_go_back_to_the_system_though_small_things_lie_between_them() -> None:
    held = {}
    for how in ("keep_little", "as_it_is"):
        words = [sys.executable, "-c", _FREED, how]
        held[how] = float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    if held["as_it_is"] < 100:  # MB, of 160
        pytest.skip("here malloc gives arrays back without being asked")
    assert held["keep_little"] < 10
