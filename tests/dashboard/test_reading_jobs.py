"""Uploads of a session: read in its jobs, in turn with others', and ended with it."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mtm_core.dashboard.state.jobs import Job, JobPool
from mtm_core.dashboard.state.session import Session
from mtm_core.data.isolation.isolated import reading_turns
from mtm_core.inference.predictor import Predictor

BAD_FILES = Path(__file__).parents[1] / "data" / "bad_files"
HANGS = gzip.decompress((BAD_FILES / "hangs.h5ad.gz").read_bytes())
SOON = 20


@pytest.fixture
def pool() -> Iterator[JobPool]:
    pool = JobPool(4)
    yield pool
    pool._executor.shutdown(cancel_futures=True)


def begin(session: Session, pool: JobPool, predictor: Predictor, data: bytes = HANGS) -> Job:
    task = session.reading(data, "t.h5ad", predictor)
    assert task is not None
    return session.jobs.start(task, pool)


def n_reading() -> int:
    return len(reading_turns()._reading)


def soon(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + SOON
    while not holds() and time.monotonic() < until:
        time.sleep(0.05)
    return holds()


def test_more_uploads_than_places_wait_and_say_so_and_go_with_their_sessions(
    pool: JobPool, predictor: Predictor
) -> None:
    places = reading_turns().at_once
    sessions = [Session() for _ in range(places + 1)]
    jobs = [begin(session, pool, predictor) for session in sessions]
    assert soon(lambda: n_reading() == places)
    assert soon(lambda: sum(job.turn.ahead is not None for job in jobs if job.turn) == 1)
    waiting = next(job for job in jobs if job.turn and job.turn.ahead is not None)
    assert waiting.turn is not None
    assert waiting.turn.ahead == 0

    sessions[jobs.index(waiting)].jobs.forget("table")  # gives up waiting
    assert soon(lambda: waiting.is_over)
    assert waiting.state == "cancelled"
    for session in sessions:  # as when their tabs were closed for too long
        session.forget()
    assert soon(lambda: n_reading() == 0)


def test_metadata_are_read_in_the_same_turns(session: Session, predictor: Predictor) -> None:
    metadata = session.reading_metadata(b"sample,age\nSIM-1,40\n", "m.csv")
    table = session.reading(b"gene,P1\n", "t.csv", predictor)
    assert metadata is not None
    assert table is not None
    assert metadata.turn is not None
    assert table.turn is not None
    assert metadata.turn.owner == table.turn.owner
    assert metadata.turn.owner != id(Session().jobs)
