"""Who reads when: a few at a time, the owners in turn, and nobody left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest

from mtm_core.data.isolation.reading_turns import Turn, Turns


class Reader:
    """Reads in a thread of its own until it is asked to stop, and says when it has begun."""

    def __init__(self, turns: Turns, owner: str, log: list[str]) -> None:
        self.turn, self.done, self.begun = Turn(owner, self._check), Event(), Event()
        self.cancelled = False
        self._turns, self._log = turns, log
        self.thread = Thread(target=self._read)
        self.thread.start()

    def _check(self) -> None:
        if self.cancelled:
            raise InterruptedError

    def _read(self) -> None:
        try:
            with self._turns.take(self.turn):
                self._log.append(str(self.turn.owner))
                self.begun.set()
                self.done.wait(20)
        except InterruptedError:
            self._log.append(f"{self.turn.owner} cancelled")

    def end(self) -> None:
        self.done.set()
        self.thread.join(20)


@contextmanager
def readers(turns: Turns, owners: str, log: list[str]) -> Iterator[list[Reader]]:
    """One after another, each waiting or reading before the next comes."""
    started: list[Reader] = []
    for owner in owners:
        reader = Reader(turns, owner, log)
        started.append(reader)
        until = time.monotonic() + 20
        while not reader.begun.is_set() and reader.turn.ahead is None:
            assert time.monotonic() < until
            time.sleep(0.01)
    try:
        yield started
    finally:
        for reader in started:
            reader.end()


def test_two_at_a_time_and_the_others_know_how_many_are_before_them() -> None:
    log: list[str] = []
    with readers(Turns(2), "abcd", log) as (a, b, c, d):
        assert sorted(log) == ["a", "b"]
        assert wait_for(lambda: (c.turn.ahead, d.turn.ahead) == (0, 1))
        assert a.turn.ahead is None
        b.end()
        assert c.begun.wait(20)
        assert log[2:] == ["c"]
        assert wait_for(lambda: d.turn.ahead == 0)


def test_owners_take_turns_however_many_files_one_of_them_brings() -> None:
    log: list[str] = []
    with readers(Turns(1), "aaaab", log) as (first, second, *_, of_b):
        first.end()
        assert wait_for(lambda: len(log) == 2)
        # b has nothing that reads, nor has a any more: who came first goes first.
        assert log == ["a", "a"]
        second.end()
        assert wait_for(lambda: len(log) == 3)
    log.clear()
    with readers(Turns(2), "aaaab", log) as (first, second, *_, of_b):
        assert log == ["a", "a"]
        first.end()
        assert of_b.begun.wait(20)  # one of a still reads: b is before the others of a
        assert log == ["a", "a", "b"]


def test_a_cancelled_reader_does_not_delay_the_others() -> None:
    log: list[str] = []
    with readers(Turns(1), "abc", log) as (a, b, c):
        b.cancelled = True
        assert wait_for(lambda: "b cancelled" in log)
        assert wait_for(lambda: c.turn.ahead == 0)
        a.end()
        assert c.begun.wait(20)
    assert log == ["a", "b cancelled", "c"]


def test_a_place_is_given_back_where_reading_fails() -> None:
    turns = Turns(1)
    with pytest.raises(ValueError, match="damaged"), turns.take(Turn("a")):
        raise ValueError("damaged")
    with turns.take(Turn("b")):
        pass


def wait_for(holds: object) -> bool:
    assert callable(holds)
    until = time.monotonic() + 20
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
