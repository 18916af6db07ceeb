"""One budget of memory for all jobs of a server, so that no job stops it.

The memory of a job is estimated from the shape of its data and reserved before the job begins; that
of its result stays reserved as long as the result exists. A job that is larger than one job may be
is refused at once; one that would fit once others finish waits for them.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Condition

from mtm_core.errors import OverBudgetError, SelectionError

MEMORY_VARIABLE = "MTM_MAX_MEMORY_GB"
"""Environment variable: what all work of a server together may take; half of the machine's or
container's memory where it is not set. One piece of work may take half of that."""
PATIENCE_SECONDS = 60.0
"""How long work waits for memory that others hold."""
_POLL_SECONDS = 0.2
_MEMINFO = "/proc/meminfo"
_CGROUP_USE = (
    tuple(f"/sys/fs/cgroup/memory.{name}" for name in ("max", "current", "stat")),
    tuple(
        f"/sys/fs/cgroup/memory/memory.{name}"
        for name in ("limit_in_bytes", "usage_in_bytes", "stat")
    ),
)
"""Limit, use, and what of it is files that can be read again."""
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Hold:
    """A reservation of part of a budget; ended by :meth:`release`, or as a context."""

    def __init__(self, budget: MemoryBudget, n_bytes: int) -> None:
        self._budget, self.n_bytes = budget, n_bytes

    def release(self) -> None:
        """End the reservation. A second call changes nothing."""
        self.shrink(0)

    def shrink(self, n_bytes: int) -> None:
        """Reduce the reservation to ``n_bytes``."""
        with self._budget.changed:
            if n_bytes < self.n_bytes:
                self._budget.in_use -= self.n_bytes - n_bytes
                self.n_bytes = n_bytes
                self._budget.changed.notify_all()

    def keep_for(self, result: object, n_bytes: int) -> None:
        """Reserve ``n_bytes`` of it while ``result`` exists, and release the rest."""
        self.shrink(n_bytes)
        weakref.finalize(result, _give_back, self._budget, self.n_bytes).atexit = False
        self.n_bytes = 0  # not ours to give back any more

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.release()


class MemoryBudget:
    """Memory shared by all jobs.

    Parameters
    ----------
    total
        Bytes that all reservations together may take.
    most
        Bytes that one reservation may take; half of the total by default.
    """

    def __init__(self, total: int, most: int | None = None) -> None:
        self.total, self.most = total, total // 2 if most is None else most
        self.in_use = 0
        # Re-entrant: a result may be freed, and give back what it held, wherever Python frees it.
        self.changed = Condition()

    def check(self, n_bytes: int, what: str, instead: str = "") -> None:
        """Refuse a job that is larger than one job may be.

        Parameters
        ----------
        n_bytes
            Bytes to reserve.
        what
            Begins the message: "Predicting 100 samples in 48 tissues".
        instead
            Ends it: what to do.

        Raises
        ------
        OverBudgetError
            If it is.
        """
        if n_bytes > self.most:
            raise OverBudgetError(
                f"{what} needs about {in_words(n_bytes)} of memory; this server gives one piece of"
                f" work at most {in_words(self.most)}. {instead or INSTEAD}"
            )

    def hold(
        self,
        n_bytes: int,
        what: str,
        instead: str = "",
        *,
        patience: float = PATIENCE_SECONDS,
        check: Callable[[], object] | None = None,
    ) -> Hold:
        """Reserve part of the budget, waiting for others to release some.

        Parameters
        ----------
        n_bytes, what, instead
            As :meth:`check`.
        patience
            Seconds to wait.
        check
            Called while it waits; what it raises ends that.

        Raises
        ------
        OverBudgetError
            If it is larger than one piece of work may be, or others hold too much for too long.
        """
        self.check(n_bytes, what, instead)
        until = time.monotonic() + patience
        while True:
            with self.changed:
                if self.in_use + n_bytes <= self.total:
                    self.in_use += n_bytes
                    return Hold(self, n_bytes)
                if time.monotonic() >= until:
                    raise OverBudgetError(
                        f"{what} needs about {in_words(n_bytes)} of memory, and"
                        f" {in_words(max(self.total - self.in_use, 0))} are free: other users' "
                        f"work takes the rest. Try again later. {instead or INSTEAD}"
                    )
                self.changed.wait(_POLL_SECONDS)
            if check is not None:
                check()


INSTEAD = "Choose fewer tissues or samples, or run 'mtm predict' on your own machine."


@cache
def shared_budget() -> MemoryBudget:
    """Return the one budget of this process.

    Raises
    ------
    SelectionError
        If the environment's limit is not a number above 0.
    """
    asked = os.environ.get(MEMORY_VARIABLE, "").strip()
    if not asked:
        return MemoryBudget(machine_memory() // 2)
    try:
        gigabytes = float(asked)
    except ValueError:
        gigabytes = 0.0
    if not 0 < gigabytes < float("inf"):
        raise SelectionError(
            f"this server's limit, {MEMORY_VARIABLE}={asked!r}, is not a number above 0. Tell "
            f"the person who runs the server."
        )
    return MemoryBudget(int(gigabytes * 1e9))


def machine_memory() -> int:
    """Return the memory of this machine, or of its container where that has less, in bytes."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        memory = 8 * 1024**3
    for path in _CGROUPS:
        try:
            limit = Path(path).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if limit.isdecimal():
            memory = min(memory, int(limit))
    return memory


def available_memory() -> int:
    """Return the memory that is free now, of this machine or of its container, in bytes.

    What the system would give back at once, such as files it has read, counts as free.
    """
    free = machine_memory()
    with suppress(OSError, ValueError, LookupError):
        fields = dict(line.split(":") for line in _lines(_MEMINFO))
        free = min(free, int(fields["MemAvailable"].split()[0]) * 1024)
    for limit, used, statistics in _CGROUP_USE:
        with suppress(OSError, ValueError, LookupError):
            most, now = int(_lines(limit)[0]), int(_lines(used)[0])
            stored = dict(line.split() for line in _lines(statistics))
            free = min(free, most - now + int(stored["inactive_file"]))
    return max(free, 0)


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="ascii").splitlines()


def in_words(n_bytes: int) -> str:
    """Return a size in words, such as "1.5 GB"."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"


def _give_back(budget: MemoryBudget, n_bytes: int) -> None:
    with budget.changed:
        budget.in_use -= n_bytes
        budget.changed.notify_all()
