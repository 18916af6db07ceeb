"""Read damaged and hostile files as a server does, and count what must not happen.

Run ``python benchmarks/mutations.py`` (``--n 200`` for a part). Every file comes of a
seed (:mod:`benchmarks.mutated_files`); a seed that fails is named.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import io
import json
import logging
import os
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.files_to_mutate import SAMPLES
from benchmarks.mutated_files import CANARY, Mutant, mutant
from mtm_core.data.isolation.isolated import reader_server
from mtm_core.data.isolation.reading_limits import SECONDS
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import MTMError

HANG_SECONDS = SECONDS + 20.0
"""Longer than any file may take."""
_AT_ONCE = 200
_IN_ACCESS, _IN_OPEN, _IN_NONBLOCK = 1, 0x20, 0x800


@dataclass
class Findings:
    """What came of the files; the lists name seeds."""

    n: int = 0
    read: int = 0
    refused: int = 0
    stopped: list[int] = field(default_factory=list)
    """Refused because the reader crashed or was stopped at a limit: contained."""
    tracebacks: list[int] = field(default_factory=list)
    hangs: list[int] = field(default_factory=list)
    leaks: list[int] = field(default_factory=list)
    """Whose table or message gives away the content of the canary."""
    opened: int = 0
    """How often the canary was opened or read, as the system tells."""
    seconds: float = 0.0
    slowest: float = 0.0
    parent_before: float = 0.0
    parent_after: float = 0.0
    """Memory of this process, MB: its most, at the start and at the end."""
    bases: dict[str, int] = field(default_factory=dict)

    def add(self, made: Mutant, how: str, words: str, seconds: float) -> None:
        """Count a file."""
        self.n += 1
        if how in ("read", "refused"):
            setattr(self, how, getattr(self, how) + 1)
        else:
            getattr(self, how).append(made.seed)
        self.slowest = max(self.slowest, seconds)
        if seconds > HANG_SECONDS:
            self.hangs.append(made.seed)
        if CANARY in words:
            self.leaks.append(made.seed)

    @property
    def failed(self) -> bool:
        """Whether anything happened that must not."""
        return bool(self.tracebacks or self.hangs or self.leaks or self.opened)


def read_one(made: Mutant) -> tuple[str, str]:
    """Read a file as the dashboard does; give how that ended, and all words of it."""
    try:
        if made.is_metadata:
            known = read_metadata(io.BytesIO(made.data), "m", samples=SAMPLES, isolated=True)
            words = f"{known.values.to_csv()} {known.notes} {known.phenotypes().to_csv()}"
        else:
            table = read_expression(io.BytesIO(made.data), "t", isolated=True)
            words = f"{table.values.to_csv()} {table.report}"
    except MTMError as error:
        words = str(error)
        if "Traceback" in words or "(fault " in words:
            return "tracebacks", words
        if "stopped the program" in words or "was stopped" in words or "more memory" in words:
            return "stopped", words
        return "refused", words
    except Exception:  # noqa: BLE001 - this is what is looked for
        return "tracebacks", traceback.format_exc()
    return "read", words


def run(first: int, n: int, threads: int = 2, log: io.TextIOBase | None = None) -> Findings:
    """Read the files of seeds ``first`` to ``first + n``."""
    found, bases = Findings(), Counter[str]()
    reader_server().start()
    found.parent_before = _most_memory()
    began = time.monotonic()
    for start in range(first, first + n, _AT_ONCE):
        seeds = range(start, min(start + _AT_ONCE, first + n))
        with canary() as (path, guard), ThreadPoolExecutor(threads) as pool:
            files = [mutant(seed, path) for seed in seeds]  # may look where their links lead
            count = guard()
            for made, how, words, seconds in pool.map(_timed, files):
                bases[made.base] += 1
                found.add(made, how, words, seconds)
                if log is not None and how in ("tracebacks", "stopped"):
                    log.write(f"{made.seed} {made.base} {how} {seconds:.1f} s\n{words}\n")
                    log.flush()
            found.opened += count()
    found.seconds = time.monotonic() - began
    found.bases = dict(sorted(bases.items()))
    gc.collect()
    found.parent_after = _most_memory()
    return found


def _timed(made: Mutant) -> tuple[Mutant, str, str, float]:
    start = time.monotonic()
    how, words = read_one(made)
    return made, how, words, time.monotonic() - start


@contextmanager
def canary() -> Iterator[tuple[Path, Callable[[], Callable[[], int]]]]:
    """Work in an empty folder; give the path of a file that must not be read there.

    The second value puts the file there, and gives what counts who opens or reads it from then on.
    """
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "canary.h5"

        def guard() -> Callable[[], int]:
            path.write_bytes((CANARY + "\n").encode() * 400)
            return _watch(path)

        os.chdir(folder)
        try:
            yield path, guard
        finally:
            os.chdir(before)


def _watch(path: Path) -> Callable[[], int]:
    if sys.platform != "linux":
        return lambda: 0
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(_IN_NONBLOCK)
    libc.inotify_add_watch(watch, str(path).encode(), _IN_OPEN | _IN_ACCESS)

    def count() -> int:
        n = 0
        try:
            while events := os.read(watch, 65536):
                n += len(events) // struct.calcsize("iIII")
        except BlockingIOError:
            os.close(watch)
        return n

    return count


def _most_memory() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Run, print what came of it as JSON, and tell by the status whether all held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=20_000, help="The first seed.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--log", type=Path, help="Where words of what failed or was stopped go.")
    options = parser.parse_args()
    with Path(options.log or os.devnull).open("w", encoding="utf-8") as log:
        logging.basicConfig(stream=log, level=logging.WARNING)
        found = run(options.first, options.n, options.threads, log)
    print(json.dumps(asdict(found) | {"layers": reader_server().layers}, indent=1))
    return int(found.failed)


if __name__ == "__main__":
    sys.exit(main())
