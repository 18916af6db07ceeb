"""Work in the background: each session has its own jobs, all sessions share a few threads.

Nothing here knows Streamlit, which must not be called in a job's thread. A job touches its session
through :attr:`Task.keep` alone, and that is called in the session's own thread.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any, Generic, Literal, TypeVar, cast
from uuid import uuid4

from mtm_core.dashboard.state.held import hold_result
from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.errors import MTMError
from mtm_core.memory_budget import shared_budget

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all); ends the work where it was cancelled."""
T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task(Generic[T]):
    """Something to be made, and what to do with it.

    Attributes
    ----------
    slot
        Kind of work: a session does one task of a slot at a time, the latest that was asked for.
    key
        Key of the task within its slot.
    words
        Name of the work for the user: "Predicting".
    make
        Makes it, in a thread of its own; reads nothing that the session may change meanwhile.
    keep
        Takes it, in the session's thread.
    turn
        If the work is to read a file: its place in the queue of all sessions' files.
    memory
        Most bytes that the work takes, estimated from the shape of its data: reserved in the
        server's budget before it begins; what its result takes is held until that goes.
    instead
        Advice if the server has not that much memory.
    """

    slot: str
    key: Hashable
    words: str
    make: Callable[[Progress], T]
    keep: Callable[[T], None]
    turn: Turn | None = None
    memory: int = 0
    instead: str = ""
    is_long: bool = False

    def now(self) -> None:
        """Make it here and now, and keep it."""
        self.keep(self.made(_tell_nobody))

    def made(self, tell: Progress) -> T:
        """Make it, within the server's budget of memory.

        Raises
        ------
        OverBudgetError
            If the server has not so much for one piece of work, or others take it for too long.
        """
        if not self.memory:
            return self.make(tell)
        budget = shared_budget()
        hold = budget.hold(self.memory, self.words, self.instead, check=lambda: tell(0, 0))
        try:
            result = self.make(tell)
        except BaseException:
            hold.release()
            raise
        return cast("T", hold_result(hold, result))


class Stopped(Exception):
    """Raised inside of a job that was cancelled, where it tells its progress."""


class Job:
    """A task under way, and how it goes.

    Attributes
    ----------
    state
        ``"waiting"`` for a thread, ``"running"``, then one of the other three for good.
    fraction
        Share of the work that is done; ``None`` if unknown.
    error
        Message to the user about a failure.
    is_fault
        Whether the input is not the reason, so that it may succeed another time.
    page
        Title of the page that asked for it.
    turn, is_long
        As in :class:`Task`.
    """

    def __init__(self, task: Task[Any], page: str = "") -> None:
        self.slot, self.key, self.words, self.page = task.slot, task.key, task.words, page
        self.turn, self.is_long = task.turn, task.is_long
        self.state: State = "waiting"
        self.fraction: float | None = None
        self.error = ""
        self.is_fault = False
        self._began, self._ended = time.monotonic(), 0.0
        self._task: Task[Any] | None = task
        self._result: Any = None
        self._lock = Lock()
        self._stop, self._over = Event(), Event()

    @property
    def is_over(self) -> bool:
        """Whether it is done, failed or cancelled."""
        return self._over.is_set()

    @property
    def seconds(self) -> float:
        """Time since it was asked for, or that it took."""
        return (self._ended or time.monotonic()) - self._began

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is over, but no longer than ``seconds``; tell whether it is."""
        return self._over.wait(seconds)

    def cancel(self) -> None:
        """End it: at once for its session, for its thread where it next tells its progress."""
        self._end("cancelled")

    def stop(self) -> None:
        """Have its thread give up. Nothing else: safe wherever memory is being freed."""
        self._stop.set()

    def run(self) -> None:
        """Make the task's thing; called in a thread of its own."""
        with self._lock:
            task = self._task
            if self.state != "waiting" or self._stop.is_set() or task is None:
                return
            self.state = "running"
        try:
            result = task.made(self._tell)
        except Stopped:
            self._end("cancelled")
        except MTMError as error:
            self._end("failed", error=str(error))
        except MemoryError:
            _log.exception("%s: out of memory", self.words)
            self.is_fault = True
            self._end(
                "failed",
                error="The server does not have enough memory for this. Choose fewer tissues or "
                "samples, or run it on your own machine with the command line.",
            )
        except Exception:  # noqa: BLE001 - a fault must reach the user as words, and the log whole
            number = uuid4().hex[:8]
            _log.exception("%s: fault %s", self.words, number)
            self.is_fault = True
            self._end(
                "failed",
                error=f"This failed because of an error in the program, not in your data (fault "
                f"{number}). Try again. If it fails again, tell the person who runs this server "
                f"that number; the server's log has the details under it.",
            )
        else:
            self._end("done", result)

    def deliver(self) -> None:
        """Hand the result to the session, once; called in the session's thread."""
        with self._lock:
            if self.state != "done" or self._task is None:
                return
            task, result = self._task, self._result
            self._task = self._result = None
        task.keep(result)

    def _end(self, state: State, result: object = None, *, error: str = "") -> None:
        """Settle how it ended, unless that is settled: who comes first has it."""
        with self._lock:
            if self._over.is_set():
                return
            self.state, self.error, self._result = state, error, result
            self._ended = time.monotonic()
            if state != "done":
                self._task = None  # lets go of the data that it was to be made from
            self._over.set()
        self._stop.set()

    def _tell(self, done: int, total: int) -> None:
        if self._stop.is_set():
            raise Stopped
        self.fraction = done / total if total else None


class JobPool:
    """The threads that all sessions share; a job that finds none free waits its turn."""

    def __init__(self, n_threads: int, name: str = "mtm-job") -> None:
        self._executor = ThreadPoolExecutor(n_threads, thread_name_prefix=name)
        self._queue: list[Job] = []
        self._lock = Lock()

    def submit(self, job: Job) -> None:
        """Run ``job`` as soon as a thread is free."""
        with self._lock:
            self._queue.append(job)
        self._executor.submit(self._run, job)

    def ahead_of(self, job: Job) -> int:
        """Return the number of jobs that wait and came before ``job``."""
        with self._lock:
            waiting = [other for other in self._queue if not other.is_over]
        return waiting.index(job) if job in waiting else 0

    def _run(self, job: Job) -> None:
        with self._lock:
            self._queue.remove(job)
        job.run()


class Jobs:
    """The jobs of one session, one a slot. When the session is freed, its jobs stop."""

    def __init__(self) -> None:
        self._by_slot: dict[str, Job] = {}
        weakref.finalize(self, _stop_all, self._by_slot)

    def start(self, task: Task[Any], pool: JobPool, page: str = "") -> Job:
        """Start ``task``, or give the job of it that there is, however it goes or went.

        Another job of its slot is cancelled: what it makes would be out of date.
        """
        known = self._by_slot.get(task.slot)
        if known is not None:
            if known.key == task.key:
                return known
            known.cancel()
        job = Job(task, page)
        self._by_slot[task.slot] = job
        pool.submit(job)
        return job

    def of(self, slot: str) -> Job | None:
        """Return the last job of ``slot``."""
        return self._by_slot.get(slot)

    def forget(self, slot: str) -> None:
        """Cancel the job of ``slot``, and know nothing of it."""
        job = self._by_slot.pop(slot, None)
        if job is not None:
            job.cancel()

    def forget_all(self) -> None:
        """Cancel all, and know nothing of any."""
        for slot in list(self._by_slot):
            self.forget(slot)

    def deliver(self) -> list[Job]:
        """Hand results to the session, in its thread. Return the jobs that are done."""
        delivered = []
        for job in [job for job in self._by_slot.values() if job.state == "done"]:
            if self._by_slot.get(job.slot) is job:  # else the one before has had all forgotten
                del self._by_slot[job.slot]
                job.deliver()
                delivered.append(job)
        return delivered

    @property
    def under_way(self) -> list[Job]:
        """The jobs that wait or run."""
        return [job for job in self._by_slot.values() if not job.is_over]


def _stop_all(jobs: dict[str, Job]) -> None:
    for job in jobs.values():
        job.stop()


def _tell_nobody(done: int, total: int) -> None:
    pass
