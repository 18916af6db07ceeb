"""Freeing of memory: the data of closed tabs, and files that nothing uses.

Streamlit looks at either only when somebody else comes or goes. Here the server looks by itself,
every few seconds.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

import pyarrow as pa
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.session_manager import SessionInfo, SessionStorage
from streamlit.runtime.state import SessionState
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from mtm_core.dashboard.state.session import SESSION_KEY, Session

SWEEP_SECONDS = 5.0
"""How often the server looks."""
UNUSED_SECONDS = 60.0
"""How long an uploaded file may stay that no widget of its session uses."""
_MOST_SESSIONS = 128
_MALLOC_OPTIONS = (  # of malloc.h
    (-3, "MALLOC_MMAP_THRESHOLD_", 2**20),  # larger arrays are mapped, and unmapped when freed
    (-1, "MALLOC_TRIM_THRESHOLD_", 2**22),
    (-8, "MALLOC_ARENA_MAX", 2),
)
_log = logging.getLogger(__name__)
Clock = Callable[[], float]


class ClosedTabs(SessionStorage):
    """Sessions without a connection, until it comes back or they are too old.

    Parameters
    ----------
    seconds
        How long each is held.
    """

    def __init__(self, seconds: float, *, clock: Clock = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._held: OrderedDict[str, tuple[SessionInfo, float]] = OrderedDict()
        self._closing = ""

    def get(self, session_id: str) -> SessionInfo | None:
        """Return a session that may still be gone on with."""
        info, until = self._held.get(session_id, (None, 0.0))
        return info if session_id == self._closing or self._clock() < until else None

    def save(self, session_info: SessionInfo) -> None:
        """Hold a session whose connection was lost; of too many, the oldest are freed next."""
        self._held[session_info.session.id] = (session_info, self._clock() + self._seconds)
        for session_id in list(self._held)[:-_MOST_SESSIONS]:
            self._held[session_id] = (self._held[session_id][0], 0.0)

    def delete(self, session_id: str) -> None:
        """Know nothing of a session any more."""
        self._held.pop(session_id, None)

    def list(self) -> list[SessionInfo]:
        """Return all that may still be gone on with."""
        return [info for info in map(self.get, list(self._held)) if info is not None]

    def free(self, close: Callable[[str], None]) -> int:
        """Free all that is too old; return how many sessions they were.

        Parameters
        ----------
        close
            Closes the session of an id, which is the runtime's.
        """
        now = self._clock()
        old = [session_id for session_id, (_, until) in self._held.items() if until <= now]
        for session_id in old:
            session = self._held[session_id][0].session
            _forget_data(session)
            self._closing = session_id
            try:
                close(session_id)
            finally:
                self._closing = ""
                self._held.pop(session_id, None)
            session.session_state.clear()
        return len(old)


class Uploads(MemoryUploadedFileManager):
    """Uploaded files, of which those that no widget uses go after a while, or to make room.

    Parameters
    ----------
    endpoint
        Address that browsers send them to.
    most_bytes
        Bytes that files without a widget may take in one session; the oldest go first.
    """

    def __init__(self, endpoint: str, most_bytes: int, *, clock: Clock = time.monotonic) -> None:
        super().__init__(endpoint)
        self._most_bytes, self._clock = most_bytes, clock
        self._since: dict[tuple[str, str], float] = {}
        self.in_use: Callable[[str], frozenset[str]] = lambda _: frozenset()
        """Names the files that the widgets of a session use."""
        self.is_removed: Callable[[str], None] = lambda _: None
        """Called with a session whose files all go: its user has deleted them, or it has ended."""

    @property
    def total_bytes(self) -> int:
        """Return the size of all files of all sessions."""
        return self._total_bytes

    def add_file(self, session_id: str, file: UploadedFileRec) -> None:
        """Take a file; where too many are unused, the oldest of them go."""
        super().add_file(session_id, file)
        self._since[session_id, file.file_id] = self._clock()
        unused = [other for other in self._unused(session_id) if other.file_id != file.file_id]
        unused.sort(key=lambda other: self._since.get((session_id, other.file_id), 0.0))
        room = self._most_bytes - len(file.data) - sum(len(other.data) for other in unused)
        for other in unused:
            if room >= 0:
                break
            room += len(other.data)
            self._drop(session_id, other.file_id)

    def remove_session_files(self, session_id: str) -> None:
        """Let go of all files of a session."""
        super().remove_session_files(session_id)
        self.is_removed(session_id)
        for key in [key for key in list(self._since) if key[0] == session_id]:
            self._since.pop(key, None)

    def free(self) -> int:
        """Free files that were not used for too long; return how many."""
        now, n_old = self._clock(), 0
        for session_id in list(self.file_storage):
            unused = {file.file_id for file in self._unused(session_id)}
            for file in list(self.file_storage.get(session_id, {}).values()):
                key = (session_id, file.file_id)
                if file.file_id not in unused:
                    self._since[key] = now
                elif now - self._since.setdefault(key, now) >= UNUSED_SECONDS:
                    self._drop(*key)
                    n_old += 1
        return n_old

    def _unused(self, session_id: str) -> list[UploadedFileRec]:
        used = self.in_use(session_id)
        files = list(self.file_storage.get(session_id, {}).values())
        return [file for file in files if file.file_id not in used]

    def _drop(self, session_id: str, file_id: str) -> None:
        self.remove_file(session_id, file_id)
        self._since.pop((session_id, file_id), None)


def files_in_use(state: SessionState) -> frozenset[str]:
    """Name the uploaded files that the widgets of a session hold."""
    used: set[str] = set()
    for value in (*_values_of(state._old_state), *_values_of(state._new_widget_state.states)):
        held = getattr(value, "value", value)  # a widget's, as it came or already read
        for file in held if isinstance(held, list | tuple) else (held,):
            if isinstance(file, UploadedFile):
                used.add(file.file_id)
        if isinstance(held, WidgetState):
            used.update(file.file_id for file in held.file_uploader_state_value.uploaded_file_info)
    return frozenset(used)


def forget_old_callbacks() -> None:
    """Let go of what callbacks hold whose widgets the page shows no more; called at its end.

    Streamlit keeps the last callback of every widget that a session has ever seen, and a callback
    the variables of the page that made it: a table for each page of a list that was looked at. Not
    where a page has ended early: the widgets further down retain their choices. Components have
    several callbacks, under ids that are not counted among those shown: theirs stay.
    """
    context = get_script_run_ctx()
    if context is None:
        return
    shown = context.shared.widget_ids_this_run.snapshot()
    known = context.session_state._state._new_widget_state.widget_metadata
    for widget_id, widget in list(known.items()):
        if widget_id not in shown and widget.callback:
            known[widget_id] = replace(
                widget, callback=None, callback_args=None, callback_kwargs=None
            )


def give_memory_back() -> None:
    """Free what only a cycle of references holds, and have it go back to the system."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def keep_little_freed_memory() -> None:
    """Have glibc give arrays back to the system as they are freed; called before there are threads.

    Left to itself it learns, at the first large array that is freed, to keep up to 32 MB of each
    kind in as many heaps as eight for each processor: one user's pages left 0.4 GB that nobody
    used. What is set in the environment (``MALLOC_ARENA_MAX`` and the like) stays.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            set_option = ctypes.CDLL("libc.so.6").mallopt
            for number, variable, value in _MALLOC_OPTIONS:
                if variable not in os.environ:
                    set_option(number, value)


def _forget_data(session: AppSession) -> None:
    """Cancel the jobs of a session and let go of its data, whatever still holds the session."""
    try:
        state = session.session_state
        for part in (state._new_session_state, state._old_state):
            own = part.get(SESSION_KEY)
            if isinstance(own, Session):
                own.forget()
    except Exception:  # noqa: BLE001 - the others are to be freed all the same
        _log.exception("the data of a closed tab could not be freed")


def _values_of(values: Mapping[str, object]) -> Iterable[object]:
    for _ in range(3):  # its own thread may be at it
        with suppress(RuntimeError):
            return list(values.values())
    return []
