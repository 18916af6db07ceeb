"""Run a command as a user would, and look at the memory of all its processes from outside."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_EVERY_SECONDS = 0.2


@dataclass
class Measured:
    """What a command took, and how much memory its processes held, by time.

    Memory is what is resident in all of them together: pages that two share count twice.
    """

    command: tuple[str, ...]
    log: Path
    seconds: float = 0.0
    returncode: int = 0
    moments: list[float] = field(default_factory=list)
    bytes_held: list[int] = field(default_factory=list)

    @property
    def peak_bytes(self) -> int:
        """The most that was held."""
        return max(self.bytes_held, default=0)


def run_measured(command: Sequence[str], log: Path, *, limit_s: float = 3 * 3600) -> Measured:
    """Run ``command`` with its output in ``log``; it is ended after ``limit_s``."""
    measured = Measured(tuple(command), log)
    began = time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        while process.poll() is None:
            measured.moments.append(time.monotonic() - began)
            measured.bytes_held.append(_held_by_tree(process.pid))
            if measured.moments[-1] > limit_s:
                process.terminate()
            time.sleep(_EVERY_SECONDS)
        measured.returncode = process.returncode
    measured.seconds = time.monotonic() - began
    return measured


def _held_by_tree(root: int) -> int:
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
