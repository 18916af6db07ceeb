"""Files that pages offer to download: a press of a button counts while the page runs again.

A page offers its files anew at each run, and Streamlit then forgets those before, though a browser
still shows their buttons: who pressed one got nothing. Nor does it keep the file that a press has
made for longer than two runs, of whatever session: with others at work that is less than a
browser may take to ask for it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import PurePosixPath
from threading import Condition

from streamlit.runtime import media_file_manager
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorage, MediaFileStorageError

UNFETCHED_SECONDS = 60.0
"""How long a file stays that no page shows: a browser gets its address, and then asks for it."""
REOFFER_SECONDS = 10.0
"""How long a press waits for the page to offer its file again."""
_MOST_BEFORE = 256
_Button = tuple[str, str | None]


class OfferedFiles(MediaFileManager):
    """Streamlit's files of pages, of which those just replaced or just made still count.

    Parameters
    ----------
    storage
        Storage of the files.
    clock
        Gives the time in seconds.
    """

    def __init__(
        self, storage: MediaFileStorage, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(storage)
        self._clock = clock
        self._offered = Condition(self._lock)
        self._before: dict[str, dict[str, _Button]] = defaultdict(dict)
        """Earlier file ids of each session, with the button that each belonged to."""
        self._unused_since: dict[str, float] = {}
        self._made_for: dict[str, set[str]] = defaultdict(set)

    def add_deferred(self, *args: object, **options: object) -> str:
        """Offer a file that is made where it is asked for; as Streamlit's."""
        file_id: str = super().add_deferred(*args, **options)  # type: ignore[arg-type]
        with self._offered:
            self._offered.notify_all()
        return file_id

    def execute_deferred(self, file_id: str) -> str:
        """Make the file of a button; of one that was replaced, what it offers now.

        Returns
        -------
        str
            The address to fetch it from.

        Raises
        ------
        MediaFileStorageError
            If the page offers it no more, or it cannot be made.
        """
        with self._offered:
            present = self._present(file_id)
            session_id = self._deferred_callables[present]["session_id"]
        url = super().execute_deferred(present)
        made = PurePosixPath(url).stem
        with self._lock:
            self._made_for[made].add(session_id)
            self._unused_since.pop(made, None)
        return url

    def remove_orphaned_files(self) -> None:
        """Let go of what no page shows any more, files not before a browser can have had them."""
        # Of the session that has run, no other: that may be in the middle of its run.
        with self._lock:
            self._forget_offers_before(media_file_manager._get_session_id())
        self.free()

    def free(self) -> None:
        """Let go of files that no page has shown for a while."""
        with self._lock:
            unused = self._get_inactive_file_ids()
            now = self._clock()
            for file_id in self._unused_since.keys() - unused:
                del self._unused_since[file_id]
            for file_id in unused:
                if now - self._unused_since.setdefault(file_id, now) >= UNFETCHED_SECONDS:
                    self._delete_file(file_id)

    def clear_session_refs(self, session_id: str | None = None) -> None:
        """Know of no file that a session shows: its page runs anew, or, of one named, it ends."""
        super().clear_session_refs(session_id)
        if session_id is not None:
            self.forget(session_id)

    def forget(self, session_id: str) -> None:
        """Let go at once of all that was offered to a session, and of what was made for it."""
        with self._lock:
            self._files_by_session_and_coord.pop(session_id, None)
            for file_id in list(self._deferred_ids_by_session.get(session_id, ())):
                self._drop_deferred_id(file_id)
            self._before.pop(session_id, None)
            unused = self._get_inactive_file_ids()
            for file_id, sessions in list(self._made_for.items()):
                sessions.discard(session_id)
                if not sessions and file_id in unused:
                    self._delete_file(file_id)

    def _present(self, file_id: str) -> str:
        """Return the id under which the button of ``file_id`` offers its file now."""
        until = time.monotonic() + REOFFER_SECONDS
        while file_id not in self._deferred_callables:
            owners = [owner for owner, before in self._before.items() if file_id in before]
            for owner in owners:
                for other in self._deferred_ids_by_session.get(owner, ()):
                    if self._button(other) == self._before[owner][file_id]:
                        return other
            if not owners or not self._offered.wait(until - time.monotonic()):
                raise MediaFileStorageError(f"Deferred file {file_id} not found")
        return file_id

    def _button(self, file_id: str) -> _Button:
        entry = self._deferred_callables[file_id]
        return entry["element_id"], entry["filename"]

    def _forget_offers_before(self, session_id: str) -> None:
        shown = set(self._files_by_session_and_coord.get(session_id, {}).values())
        before = self._before[session_id]
        for file_id in list(self._deferred_ids_by_session.get(session_id, ())):
            if file_id not in shown:
                before[file_id] = self._button(file_id)
                self._drop_deferred_id(file_id)
        for file_id in list(before)[:-_MOST_BEFORE]:
            del before[file_id]

    def _delete_file(self, file_id: str) -> None:
        super()._delete_file(file_id)
        self._made_for.pop(file_id, None)
        self._unused_since.pop(file_id, None)
