"""Jobs: what they deliver and what they never deliver, in any order. Nothing here sleeps."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from threading import Event, get_ident

import pytest

from mtm_core.dashboard.state import background
from mtm_core.dashboard.state.jobs import Job, JobPool, Jobs, Progress, Task
from mtm_core.errors import SelectionError
from mtm_core.workflows.server_limits import max_jobs

PATIENCE = 30


@pytest.fixture
def pool() -> Iterator[JobPool]:
    """One thread, so that a second job waits."""
    pool = JobPool(1)
    yield pool
    pool._executor.shutdown(cancel_futures=True)


@pytest.fixture
def delivered() -> list[object]:
    """All that was given to the session."""
    return []


def task(
    make: Callable[[Progress], object], delivered: list[object], *, slot: str = "a", key: str = "1"
) -> Task[object]:
    return Task(slot, key, "Working", make, delivered.append)


class Gate:
    """Work that goes on until it is let through, and says when it has begun."""

    def __init__(self, result: object = None) -> None:
        self.begun, self.open, self.left, self.went_on = Event(), Event(), Event(), Event()
        self.result = result

    def __call__(self, tell: Progress) -> object:
        self.begun.set()
        try:
            assert self.open.wait(PATIENCE)
            tell(1, 2)
            self.went_on.set()
        finally:
            self.left.set()
        return self.result


def finished(job: Job) -> Job:
    assert job.wait(PATIENCE)
    return job


def drained(pool: JobPool) -> None:
    """Wait until the thread of ``pool`` has nothing left to do."""
    assert pool._executor.submit(lambda: True).result(PATIENCE)


def test_a_result_is_delivered_once_in_the_sessions_thread(
    pool: JobPool, delivered: list[object]
) -> None:
    threads: list[int] = []

    def make(tell: Progress) -> str:
        threads.append(get_ident())
        return "made"

    jobs = Jobs()
    keep = Task(
        "a", 1, "", make, lambda made: (delivered.append(made), threads.append(get_ident()))
    )
    job = finished(jobs.start(keep, pool))
    assert job.state == "done"
    assert delivered == []
    assert jobs.deliver() == [job]
    assert jobs.deliver() == []
    job.deliver()
    assert delivered == ["made"]
    assert threads[0] != threads[1] == get_ident()


def test_progress_is_reported_while_a_job_runs(pool: JobPool, delivered: list[object]) -> None:
    reported, going = Event(), Event()

    def make(tell: Progress) -> None:
        tell(1, 4)
        reported.set()
        assert going.wait(PATIENCE)

    job = Jobs().start(task(make, delivered), pool)
    assert job.fraction is None or job.fraction == 0.25
    assert reported.wait(PATIENCE)
    assert (job.state, job.fraction, job.is_over) == ("running", 0.25, False)
    going.set()
    assert finished(job).state == "done"
    took = job.seconds
    assert job.seconds == took  # and no longer runs on


def test_a_waiting_job_says_how_many_are_before_it(pool: JobPool, delivered: list[object]) -> None:
    gate, jobs = Gate(), Jobs()
    jobs.start(task(gate, delivered), pool)
    assert gate.begun.wait(PATIENCE)
    others = [jobs.start(task(lambda _: None, delivered, slot=slot), pool) for slot in "bcd"]
    assert [job.state for job in others] == ["waiting"] * 3
    assert [pool.ahead_of(job) for job in others] == [0, 1, 2]
    others[0].cancel()
    assert [pool.ahead_of(job) for job in others[1:]] == [0, 1]
    gate.open.set()
    assert [finished(job).state for job in others] == ["cancelled", "done", "done"]


def test_a_job_cancelled_before_its_start_never_runs(
    pool: JobPool, delivered: list[object]
) -> None:
    gate, jobs, ran = Gate(), Jobs(), Event()
    first = jobs.start(task(gate, delivered), pool)
    assert gate.begun.wait(PATIENCE)
    second = jobs.start(task(lambda _: ran.set(), delivered, slot="b"), pool)
    second.cancel()
    assert second.is_over
    gate.open.set()
    finished(first)
    drained(pool)
    assert not ran.is_set()
    assert second.state == "cancelled"
    jobs.deliver()
    assert delivered == [None]


def test_a_job_cancelled_while_running_is_over_at_once_and_its_thread_stops(
    pool: JobPool, delivered: list[object]
) -> None:
    gate, jobs = Gate("too late"), Jobs()
    job = jobs.start(task(gate, delivered), pool)
    assert gate.begun.wait(PATIENCE)
    job.cancel()
    assert job.is_over
    assert not gate.left.is_set()
    gate.open.set()
    drained(pool)
    assert gate.left.is_set()
    assert not gate.went_on.is_set()
    assert job.state == "cancelled"
    assert jobs.deliver() == []
    assert delivered == []


def test_a_cancelled_job_without_progress_delivers_nothing(
    pool: JobPool, delivered: list[object]
) -> None:
    begun, going = Event(), Event()

    def make(tell: Progress) -> str:
        begun.set()
        assert going.wait(PATIENCE)
        return "too late"

    jobs = Jobs()
    job = jobs.start(task(make, delivered), pool)
    assert begun.wait(PATIENCE)
    job.cancel()
    going.set()
    drained(pool)
    assert (job.state, jobs.deliver(), delivered) == ("cancelled", [], [])


def test_cancelling_a_finished_job_changes_nothing(pool: JobPool, delivered: list[object]) -> None:
    jobs = Jobs()
    job = finished(jobs.start(task(lambda _: "made", delivered), pool))
    job.cancel()
    assert job.state == "done"
    jobs.deliver()
    assert delivered == ["made"]


def test_the_later_of_two_jobs_delivers_whichever_ends_first(delivered: list[object]) -> None:
    pool, jobs = JobPool(2), Jobs()
    slow = Gate("old")
    old = jobs.start(task(slow, delivered, key="old"), pool)
    assert slow.begun.wait(PATIENCE)
    new = jobs.start(task(lambda _: "new", delivered, key="new"), pool)
    finished(new)
    jobs.deliver()
    slow.open.set()
    pool._executor.shutdown()
    jobs.deliver()
    assert (old.state, delivered) == ("cancelled", ["new"])


def test_an_outdated_result_is_not_delivered(pool: JobPool, delivered: list[object]) -> None:
    jobs = Jobs()
    finished(jobs.start(task(lambda _: "old", delivered, key="old"), pool))
    finished(jobs.start(task(lambda _: "new", delivered, key="new"), pool))
    jobs.deliver()
    assert delivered == ["new"]


def test_the_same_task_is_not_started_twice(pool: JobPool, delivered: list[object]) -> None:
    jobs, gate = Jobs(), Gate()
    job = jobs.start(task(gate, delivered), pool)
    assert jobs.start(task(gate, delivered), pool) is job
    gate.open.set()
    finished(job)
    assert jobs.start(task(gate, delivered), pool) is job  # done, and not yet given over


def test_an_error_about_the_input_is_shown_unchanged(
    pool: JobPool, delivered: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    def make(tell: Progress) -> None:
        raise SelectionError("no target tissue is chosen. Choose at least one.")

    jobs = Jobs()
    job = finished(jobs.start(task(make, delivered), pool))
    assert (job.state, job.is_fault) == ("failed", False)
    assert job.error == "no target tissue is chosen. Choose at least one."
    assert not caplog.records
    assert jobs.start(task(make, delivered), pool) is job  # it would fail again
    jobs.forget("a")
    assert jobs.start(task(make, delivered), pool) is not job


def test_a_fault_of_the_program_is_a_number_to_the_user_and_a_traceback_in_the_log(
    pool: JobPool, delivered: list[object], caplog: pytest.LogCaptureFixture
) -> None:
    def make(tell: Progress) -> None:
        raise KeyError("patient 12")

    with caplog.at_level(logging.ERROR):
        job = finished(Jobs().start(task(make, delivered), pool))
    assert (job.state, job.is_fault) == ("failed", True)
    assert "patient 12" not in job.error
    (record,) = caplog.records
    number = record.getMessage().rsplit(" ", 1)[1]
    assert f"(fault {number})" in job.error
    assert record.exc_info is not None
    assert "patient 12" in str(record.exc_info[1])


def test_lack_of_memory_says_what_to_do(pool: JobPool, delivered: list[object]) -> None:
    def make(tell: Progress) -> None:
        raise MemoryError

    job = finished(Jobs().start(task(make, delivered), pool))
    assert "not have enough memory" in job.error
    assert "Choose fewer tissues" in job.error


def test_forgetting_all_cancels_all(pool: JobPool, delivered: list[object]) -> None:
    jobs, gate = Jobs(), Gate()
    running = jobs.start(task(gate, delivered), pool)
    waiting = jobs.start(task(lambda _: "b", delivered, slot="b"), pool)
    assert jobs.under_way == [running, waiting]
    jobs.forget_all()
    assert (jobs.under_way, jobs.of("a"), jobs.of("b")) == ([], None, None)
    gate.open.set()
    drained(pool)
    assert (jobs.deliver(), delivered) == ([], [])


def test_the_first_delivery_may_drop_the_others(pool: JobPool, delivered: list[object]) -> None:
    """As a new table does of a prediction from the table before."""
    jobs = Jobs()
    table = Task("table", 1, "", lambda _: "table", lambda _: jobs.forget_all())
    first = finished(jobs.start(table, pool))
    finished(jobs.start(task(lambda _: "of the table before", delivered, slot="prediction"), pool))
    assert jobs.deliver() == [first]
    assert (jobs.deliver(), delivered) == ([], [])


def test_jobs_of_a_session_that_is_freed_stop(pool: JobPool, delivered: list[object]) -> None:
    jobs, gate, ran = Jobs(), Gate(), Event()
    jobs.start(task(gate, delivered), pool)
    assert gate.begun.wait(PATIENCE)
    jobs.start(task(lambda _: ran.set(), delivered, slot="b"), pool)
    del jobs
    gc.collect()
    gate.open.set()
    drained(pool)
    assert gate.left.is_set()
    assert not gate.went_on.is_set()
    assert not ran.is_set()
    assert delivered == []


def test_a_job_that_is_over_holds_nothing_of_its_data(pool: JobPool) -> None:
    class Data:
        pass

    data = Data()
    gone = weakref.ref(data)
    jobs = Jobs()
    made = Task("a", 1, "", lambda tell, data=data: len(str(data)), lambda _: None)
    job = finished(jobs.start(made, pool))
    jobs.deliver()
    del data, made
    drained(pool)
    gc.collect()
    assert gone() is None
    assert job.state == "done"


def test_quick_work_does_not_wait_for_long_work(delivered: list[object]) -> None:
    gates = [Gate() for _ in range(max_jobs() + 1)]
    long = [
        Task("all", str(i), "Comparing every tissue", g, delivered.append, is_long=True)
        for i, g in enumerate(gates)
    ]
    pools = [background._pool(task) for task in long]
    sessions = [Jobs() for _ in [*long, None]]  # their jobs end with them
    jobs = [sessions[i].start(task, pools[i]) for i, task in enumerate(long)]
    try:
        assert all(gate.begun.wait(PATIENCE) for gate in gates[:-1])
        assert pools[0].ahead_of(jobs[-1]) == 0
        assert jobs[-1].state == "waiting"  # for its like
        quick = task(lambda _: "drawn", delivered)
        job = sessions[-1].start(quick, background._pool(quick))
        assert finished(job).state == "done"
    finally:
        for gate in gates:
            gate.open.set()
    assert [finished(job).state for job in jobs] == ["done"] * len(gates)
