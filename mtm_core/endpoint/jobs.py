"""Predictions that were asked for: a few run at a time, each is stored as long as it is needed.

What a client sends and gets is nowhere but in this process and in one private folder among the
temporary files, which goes with the server.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Literal
from uuid import uuid4

from mtm_core.data.notes import Note
from mtm_core.errors import MTMError

State = Literal["waiting", "running", "done", "failed"]
_log = logging.getLogger(__name__)


class FullError(MTMError):
    """So many predictions wait that no other is taken."""


class UnknownJobError(MTMError):
    """There is no prediction of that id, or not any more."""


class EndedError(MTMError):
    """A prediction was ended by whoever asked for it."""


@dataclass
class Job:
    """A prediction.

    Attributes
    ----------
    id
        Random identifier: who knows it may read and delete the job.
    folder
        Folder of its result.
    state, done, total, error, notes
        How far it is, in samples; why it failed; and what was found in the table.
    result
        File, once it is done.
    ended
        When its result was there, or it failed.
    """

    id: str
    folder: Path
    state: State = "waiting"
    done: int = 0
    total: int = 0
    error: MTMError | None = None
    notes: list[Note] = field(default_factory=list)
    result: Path | None = None
    ended: float | None = None
    finished: Event = field(default_factory=Event)
    stop: Event = field(default_factory=Event)

    def tell(self, done: int, total: int) -> None:
        """Take how far it is; end the work where it was given up."""
        self.done, self.total = done, total
        self.check()

    def check(self) -> None:
        """End the work where it was given up.

        Raises
        ------
        EndedError
            If it was.
        """
        if self.stop.is_set():
            raise EndedError("the prediction was deleted.")


class Jobs:
    """All predictions of a server.

    Parameters
    ----------
    folder
        For results, empty and private.
    at_once
        How many run at a time.
    most
        How many there may be, those that wait or are done among them.
    keep_seconds
        How long a finished result is stored.
    """

    def __init__(self, folder: Path, *, at_once: int, most: int, keep_seconds: float) -> None:
        self.folder, self.most, self.keep_seconds = folder, most, keep_seconds
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="mtm-predict")
        self._jobs: dict[str, Job] = {}
        self._lock = Lock()

    def check_room(self) -> None:
        """Refuse, before a table is taken up, where there are too many.

        Raises
        ------
        FullError
            If there are.
        """
        self.sweep()
        with self._lock:
            self._check_room()

    def start(self, make: Callable[[Job], Path]) -> Job:
        """Make a prediction in its turn; ``make`` writes its file into the job's folder.

        Raises
        ------
        FullError
            If there are too many.
        """
        name = secrets.token_urlsafe(24)
        job = Job(name, self.folder / secrets.token_hex(8))
        with self._lock:
            self._check_room()
            self._jobs[name] = job
        self._pool.submit(self._run, job, make)
        return job

    def find(self, name: str) -> Job:
        """Return a job.

        Raises
        ------
        UnknownJobError
            If it is not there, or not any more.
        """
        self.sweep()
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise UnknownJobError(
                "there is no prediction with this id. Results are stored for"
                f" {self.keep_seconds / 60:g} minutes; send the table again."
            )
        return job

    def delete(self, name: str) -> None:
        """End a job, and forget its result.

        Raises
        ------
        UnknownJobError
            As :meth:`find`.
        """
        self._forget(self.find(name))

    def sweep(self) -> None:
        """Forget what has been stored long enough."""
        before = time.monotonic() - self.keep_seconds
        with self._lock:
            old = [j for j in self._jobs.values() if j.ended is not None and j.ended < before]
        for job in old:
            self._forget(job)

    def close(self) -> None:
        """End all."""
        for job in self._all():
            self._forget(job)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __len__(self) -> int:
        """Count what waits, runs or is stored."""
        return len(self._jobs)

    def _all(self) -> Iterator[Job]:
        with self._lock:
            return iter(list(self._jobs.values()))

    def _check_room(self) -> None:
        if len(self._jobs) >= self.most:
            raise FullError(
                f"this server already holds {self.most} predictions. Try again later, and delete "
                f"results once you have them."
            )

    def _forget(self, job: Job) -> None:
        job.stop.set()
        with self._lock:
            self._jobs.pop(job.id, None)
        if job.ended is not None:
            shutil.rmtree(job.folder, ignore_errors=True)

    def _run(self, job: Job, make: Callable[[Job], Path]) -> None:
        try:
            job.check()
            job.state = "running"
            job.folder.mkdir(mode=0o700)
            job.result = make(job)
            job.state = "done"
        except MTMError as error:
            job.error, job.state = error, "failed"
        except Exception:  # noqa: BLE001 - a fault must reach the client as one, and the log
            number = uuid4().hex[:8]
            _log.exception("Fault %s", number)
            job.error = FaultError(
                f"an error in the program (fault {number}). The server's log has the details."
            )
            job.state = "failed"
        finally:
            job.ended = time.monotonic()
            if job.stop.is_set() or job.state == "failed":
                job.result = None
                shutil.rmtree(job.folder, ignore_errors=True)
            job.finished.set()


class FaultError(MTMError):
    """A fault of the program."""
