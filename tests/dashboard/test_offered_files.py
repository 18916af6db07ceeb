"""Files to download are there for whoever presses a button, also while the page runs again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from threading import Event

import pytest
from streamlit.runtime import Runtime, media_file_manager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from mtm_core.dashboard.serving.offered_files import UNFETCHED_SECONDS, OfferedFiles
from mtm_core.dashboard.serving.server import Dashboard
from tests.dashboard.saved_work import Clock


class Pages:
    """Sessions that run one after the other, each offering one file."""

    def __init__(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.storage = MemoryMediaFileStorage("/media")
        self.files = OfferedFiles(self.storage, clock=clock)
        self.running = ""
        monkeypatch.setattr(media_file_manager, "_get_session_id", lambda: self.running)

    def begin(self, session: str) -> None:
        self.running = session
        self.files.clear_session_refs()

    def offer(self, data: bytes, name: str = "all.csv", button: str = "all") -> str:
        return self.files.add_deferred(
            lambda: data, "text/csv", f"0.{button}", name, element_id=button
        )

    def end(self, session: str) -> None:
        self.running = session
        self.files.remove_orphaned_files()

    def run(self, session: str, data: bytes, name: str = "all.csv") -> str:
        self.begin(session)
        offered = self.offer(data, name)
        self.end(session)
        return offered

    def press(self, offered: str) -> bytes:
        return self.fetch(self.files.execute_deferred(offered))

    def fetch(self, url: str) -> bytes:
        content = self.storage.get_file(PurePosixPath(url).name).content
        assert isinstance(content, bytes)
        return content


@pytest.fixture
def pages(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Pages:
    return Pages(clock, monkeypatch)


def test_a_press_on_what_was_replaced_gives_what_the_button_offers_now(pages: Pages) -> None:
    first = pages.run("a", b"old")
    assert pages.press(first) == b"old"
    pages.run("a", b"new")
    assert pages.press(first) == b"new"
    assert len(pages.files._deferred_callables) == 1  # the one before, and its data, are gone


def test_a_press_in_the_middle_of_a_run_counts_whoever_else_is_done(pages: Pages) -> None:
    first = pages.run("a", b"old")
    pages.begin("a")
    pages.run("b", b"of b")
    assert pages.press(first) == b"old"


def test_a_press_after_a_run_that_was_cut_short_waits_for_the_next(pages: Pages) -> None:
    first = pages.run("a", b"old")
    pages.begin("a")
    pages.end("a")  # st.rerun() at its first line
    with ThreadPoolExecutor() as threads:
        pressed = threads.submit(pages.press, first)
        pages.begin("a")
        pages.offer(b"new")
        pages.end("a")
        assert pressed.result(30) == b"new"


def test_another_file_or_another_sessions_is_never_given_instead(pages: Pages) -> None:
    first = pages.run("a", b"of the lung", "lung.csv")
    pages.run("b", b"of b", "lung.csv")
    pages.run("a", b"of the liver", "liver.csv")
    pages.files.forget("a")
    with pytest.raises(MediaFileStorageError, match="not found"):
        pages.press(first)
    with pytest.raises(MediaFileStorageError, match="not found"):
        pages.press("made up")


def test_a_file_stays_until_a_browser_can_have_fetched_it(
    pages: Pages,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = pages.files.execute_deferred(pages.run("a", b"data"))
    for _ in range(5):  # others are at work
        pages.run("b", b"of b")
    assert pages.fetch(url) == b"data"
    clock.now += UNFETCHED_SECONDS
    monkeypatch.undo()  # nobody runs: the server looks by itself, and says nothing of it
    pages.files.free()
    assert not caplog.records
    with pytest.raises(MediaFileStorageError):
        pages.fetch(url)
    assert not pages.files._made_for
    assert not pages.files._unused_since


@pytest.mark.parametrize("end", [OfferedFiles.forget, OfferedFiles.clear_session_refs])
def test_deleted_data_are_gone_at_once(
    pages: Pages, end: Callable[[OfferedFiles, str], None]
) -> None:
    offered = pages.run("a", b"data")
    url, others = pages.files.execute_deferred(offered), pages.run("b", b"of b")
    end(pages.files, "a")
    with pytest.raises(MediaFileStorageError):
        pages.fetch(url)
    with pytest.raises(MediaFileStorageError):
        pages.press(offered)
    assert pages.press(others) == b"of b"
    assert not pages.files._before["a"]


def test_the_same_bytes_of_two_sessions_stay_for_the_other(pages: Pages) -> None:
    urls = {pages.files.execute_deferred(pages.run(session, b"example")) for session in "ab"}
    (url,) = urls
    pages.files.forget("a")
    assert pages.fetch(url) == b"example"
    pages.files.forget("b")
    with pytest.raises(MediaFileStorageError):
        pages.fetch(url)


def test_the_server_keeps_its_files_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those of a user who deletes the data go."""
    monkeypatch.setattr(Runtime, "_instance", None)
    runtime = Dashboard()._create_runtime()
    files = runtime.media_file_mgr
    assert isinstance(files, OfferedFiles)
    called = Event()
    monkeypatch.setattr(media_file_manager, "_get_session_id", lambda: "a")
    offered = files.add_deferred(called.set, None, "0", "a.csv", element_id="button")
    assert runtime.uploaded_file_mgr is not None
    runtime.uploaded_file_mgr.remove_session_files("a")
    with pytest.raises(MediaFileStorageError):
        files.execute_deferred(offered)
    assert not called.is_set()
