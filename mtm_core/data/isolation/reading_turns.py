"""Turns at reading files: a few readers at a time for all sessions."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition

_POLL_SECONDS = 0.2


def _never() -> None:
    pass


@dataclass(eq=False)
class Turn:
    """A wish to read a file, and how far it is from being met.

    Attributes
    ----------
    owner
        Owner of the file: owners take turns, however many files one of them brings.
    check
        Called several times a second while it waits and while it is read; what it raises ends it.
    ahead
        How many will be read before it; ``None`` while it does not wait.
    """

    owner: Hashable = None
    check: Callable[[], None] = _never
    ahead: int | None = None


@dataclass
class Turns:
    """Lets in a few at a time, first the owner who has the fewest, then who came first.

    Attributes
    ----------
    at_once
        How many may read at a time.
    """

    at_once: int
    _waiting: list[Turn] = field(default_factory=list)
    _reading: list[Turn] = field(default_factory=list)
    _changed: Condition = field(default_factory=Condition)

    @contextmanager
    def take(self, turn: Turn) -> Iterator[None]:
        """Wait for a place, hold it, and give it back."""
        with self._changed:
            self._waiting.append(turn)
        try:
            while not self._enter(turn):
                turn.check()
            yield
        finally:
            with self._changed:
                turn.ahead = None
                for turns in (self._waiting, self._reading):
                    if turn in turns:
                        turns.remove(turn)
                self._changed.notify_all()

    def _enter(self, turn: Turn) -> bool:
        """Enter if it is its turn and there is a place, else wait a little."""
        with self._changed:
            order = self._order()
            if order[0] is turn and len(self._reading) < self.at_once:
                self._waiting.remove(turn)
                self._reading.append(turn)
                turn.ahead = None
                self._changed.notify_all()
                return True
            turn.ahead = order.index(turn)
            self._changed.wait(_POLL_SECONDS)
            return False

    def _order(self) -> list[Turn]:
        """Return those who wait in the order in which they are let in."""
        has: dict[Hashable, int] = {}
        for reading in self._reading:
            has[reading.owner] = has.get(reading.owner, 0) + 1
        order, waiting = [], list(self._waiting)
        while waiting:
            first = min(waiting, key=lambda turn: has.get(turn.owner, 0))
            waiting.remove(first)
            order.append(first)
            has[first.owner] = has.get(first.owner, 0) + 1
        return order


def usual_number() -> int:
    """Return how many read at once by default: half of the processors, at least two."""
    return max(2, (os.cpu_count() or 2) // 2)
