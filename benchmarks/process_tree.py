"""Run a command as a user would, and look at its steps and memory from outside."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_EVERY_SECONDS = 0.2
_STEP = re.compile(r"\[\d+/\d+\] (?P<name>.+?): (?P<state>begun|done before|done)\b")
"""A line of a step that a workflow prints where there is no terminal."""


@dataclass(frozen=True)
class Step:
    """What a step took, and the most that all processes held meanwhile."""

    name: str
    seconds: float
    peak_bytes: int


@dataclass
class Measured:
    """What a command took, what it printed, and what its processes held, by time.

    ``processor_seconds`` are those of all its processes, user and system together. Memory is what
    is resident in all of them together: pages that two share count twice.
    """

    command: tuple[str, ...]
    seconds: float = 0.0
    processor_seconds: float = 0.0
    returncode: int = 0
    lines: list[tuple[float, str]] = field(default_factory=list)
    held: list[tuple[float, int]] = field(default_factory=list)

    def check(self) -> None:
        """Give up where it failed.

        Raises
        ------
        SystemExit
            With the last of what it printed.
        """
        if self.returncode:
            said = "\n".join(line for _, line in self.lines[-15:])
            raise SystemExit(f"{' '.join(self.command)}\nended with {self.returncode}:\n{said}")

    def peak_bytes(self, start: float = 0.0, end: float = float("inf")) -> int:
        """Return the most that was held between two moments."""
        return max((n for at, n in self.held if start <= at <= end), default=0)

    def steps(self) -> list[Step]:
        """Return the steps that were done, by the lines in which they begin and end."""
        began: dict[str, float] = {}
        done: list[Step] = []
        for at, line in self.lines:
            if not (match := _STEP.match(line)):
                continue
            name = match["name"]
            if match["state"] == "begun":
                began[name] = at
            elif name in began:
                start = began.pop(name)
                done.append(Step(name, at - start, self.peak_bytes(start, at)))
        return done


def run_measured(
    command: Sequence[str], log: Path, *, environment: dict[str, str] | None = None
) -> Measured:
    """Run ``command`` and look at all of its processes a few times a second."""
    measured = Measured(tuple(command))
    began, worked = time.monotonic(), _processor_seconds()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
    ) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=_read, args=(process.stdout, log, measured, began))
        reader.start()
        while process.poll() is None:
            measured.held.append((time.monotonic() - began, held_by_tree(process.pid)))
            time.sleep(_EVERY_SECONDS)
        reader.join()
    measured.seconds, measured.returncode = time.monotonic() - began, process.returncode
    measured.processor_seconds = _processor_seconds() - worked
    return measured


def _processor_seconds() -> float:
    """Return what the processes took that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _read(output: IO[bytes], log: Path, measured: Measured, began: float) -> None:
    with log.open("ab") as file:
        for line in output:
            at = time.monotonic() - began
            measured.lines.append((at, line.decode(errors="replace").rstrip()))
            file.write(f"{at:9.1f} ".encode() + line)
            file.flush()


def held_by_tree(root: int) -> int:
    """Count what a process and all that come from it hold."""
    held, todo = 0, [root]
    while todo:
        pid = todo.pop()
        try:
            pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):
            continue  # it has ended
        held += int(pages) * os.sysconf("SC_PAGE_SIZE")
    return held
