"""How far a workflow is: its steps, known beforehand, with time and memory beside each.

A workflow takes ``on_progress`` and calls it, in its own thread, with all of its steps whenever one
of them has moved::

    steps = Steps(("Read", "Fit"), on_progress)
    with steps.running("Read", total=n_genes, unit="genes") as advance:
        advance(200)

A workflow inside another one is given ``steps.merged``: its steps are those of the same names.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

StepState = Literal["left", "running", "done", "done before"]
"""``done before``: by an earlier run, whose result is taken."""


@dataclass(frozen=True)
class StepProgress:
    """One step.

    Attributes
    ----------
    name
        Name in words: "Fit factor-stack".
    state
        Whether it is still to come, running or done.
    done, total
        How far it is, in ``unit``; a total of 0 is not known.
    unit
        "bytes", "genes", "folds".
    detail
        Present activity, or result.
    seconds
        Time it took, or has taken so far.
    peak_bytes
        Most memory that this process and its children held meanwhile; 0 where not known.
    """

    name: str
    state: StepState = "left"
    done: float = 0
    total: float = 0
    unit: str = ""
    detail: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0


OnProgress = Callable[[Sequence[StepProgress]], None]
"""Called with all steps of a workflow, in their order, whenever one has moved."""
Advance = Callable[..., None]
"""``advance(done, total=None, detail=None)``: says how far the running step is."""


def ignore_progress(steps: Sequence[StepProgress]) -> None:
    """Show nothing."""


class Steps:
    """The steps of a workflow, passed to ``on_progress``.

    Parameters
    ----------
    names
        Names in order.
    on_progress
        Callback that shows them; none by default.
    """

    def __init__(self, names: Sequence[str], on_progress: OnProgress | None = None) -> None:
        self._steps = {name: StepProgress(name) for name in names}
        self._tell = on_progress or ignore_progress

    @property
    def all(self) -> tuple[StepProgress, ...]:
        """All steps as they are now."""
        return tuple(self._steps.values())

    def was_done(
        self, name: str, *, seconds: float = 0.0, peak_bytes: int = 0, detail: str = ""
    ) -> None:
        """Say that an earlier run has done the step ``name``, and what it took."""
        self._set(name, state="done before", seconds=seconds, peak_bytes=peak_bytes, detail=detail)

    @contextmanager
    def running(self, name: str, *, total: float = 0, unit: str = "") -> Iterator[Advance]:
        """Run the step ``name`` in the block, which is given what to say its progress with."""
        began = time.monotonic()
        self._set(name, state="running", total=total, unit=unit)
        with PeakMemory() as memory:

            def measured() -> dict[str, float]:
                return {"seconds": time.monotonic() - began, "peak_bytes": memory.peak}

            def advance(done: float, total: float | None = None, detail: str | None = None) -> None:
                before = self._steps[name]
                self._set(
                    name,
                    done=done,
                    total=before.total if total is None else total,
                    detail=before.detail if detail is None else detail,
                    **measured(),
                )

            yield advance
        step = self._steps[name]
        self._set(name, state="done", done=step.total or step.done, **measured())

    def merged(self, steps: Sequence[StepProgress]) -> None:
        """Take what a workflow inside this one says of those steps whose names are known here."""
        for step in steps:
            if step.name in self._steps:
                self._steps[step.name] = step
        self._tell(self.all)

    def _set(self, name: str, **changes: object) -> None:
        self._steps[name] = replace(self._steps[name], **changes)  # type: ignore[arg-type]
        self._tell(self.all)


class PeakMemory:
    """The most memory that this process and its children hold while the block runs.

    Looked at often. The system's own mark is of the process since it began, and setting it back
    would hide what the process took from whoever measures it from outside.
    """

    EVERY_SECONDS = 0.1

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="peak-memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        self.peak = memory_in_use()
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._over.set()
        self._thread.join()
        self.peak = max(self.peak, memory_in_use())

    def _look(self) -> None:
        while not self._over.wait(self.EVERY_SECONDS):
            self.peak = max(self.peak, memory_in_use())


def memory_in_use() -> int:
    """Count the memory that this process and its children hold now, in bytes.

    Where the system does not say, the most that this process has held since it began.
    """
    own = _resident(os.getpid())
    if own is None:
        return _most_since_it_began()
    return own + sum(_resident(child) or 0 for child in _children())


def _most_since_it_began() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _resident(pid: int) -> int | None:
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _children() -> Iterator[int]:
    """List the processes that this one has started: of folds, where several run at a time."""
    try:
        for task in Path("/proc/self/task").iterdir():
            for pid in (task / "children").read_text(encoding="ascii").split():
                yield int(pid)
    except OSError:
        return
