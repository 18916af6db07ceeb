"""What the benchmarks share: a command with its time and memory, and a table of what was measured.

A row has ``what`` was measured, its ``value`` and ``unit``, the ``floor`` or ``peer`` that it is
held against (in the same unit; ``against`` says what that is), their ``ratio``, and the
``command`` that measures it again.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

Row = dict[str, object]


@dataclass(frozen=True)
class Cost:
    """What a process took: wall and processor time in s, most memory at once in bytes."""

    seconds: float
    processor_seconds: float
    peak_bytes: int


def cost_of(command: Sequence[str]) -> Cost:
    """Run ``command``, quiet unless it fails.

    Raises
    ------
    RuntimeError
        If it fails, with what it printed.
    """
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        printed = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{printed.decode(errors='replace')}")
    seconds = time.perf_counter() - began
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def print_rows(rows: Sequence[Row]) -> None:
    """Print rows as a table."""
    cells = [("what", "value", "unit", "against", "its value", "ratio")]
    for row in rows:
        other = row.get("floor", row.get("peer"))
        numbers = (row["value"], other, row.get("ratio"))
        value, beside, ratio = ("" if n is None else f"{float(str(n)):,.3g}" for n in numbers)
        what, unit, against = str(row["what"]), str(row["unit"]), str(row.get("against", ""))
        cells.append((what, value, unit, against, beside, ratio))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        words = zip(line, widths, strict=True)
        print("  ".join(f"{word:<{width}}" for word, width in words).rstrip())
    for command in dict.fromkeys(str(row["command"]) for row in rows):
        print(f"measured by: {command}")
