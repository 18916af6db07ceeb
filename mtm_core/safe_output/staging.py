"""The hidden folder beside an output in which it is made, and what becomes of a killed run's."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mtm_core.safe_output.mark import (
    PARTIAL_ENDING,
    PARTIAL_FORMAT,
    PARTIAL_MARK,
    files_below,
    is_partial,
    read_json,
)

try:
    import fcntl
except ImportError:  # Windows: what a killed run left is not swept
    fcntl = None  # type: ignore[assignment]

OLD = f"{PARTIAL_MARK}.old"
"""Name of the old folder for the moment in which a new one takes its place."""
_MOST_SYNCED = 64


@contextmanager
def made_parents(folder: Path) -> Iterator[None]:
    """Make ``folder``; if the block ends in an error, delete of it what is empty."""
    made = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise


@contextmanager
def staged_beside(parent: Path, name: str) -> Iterator[Path]:
    """Make a folder of ours in ``parent``, held while the block runs, and deleted after it."""
    sweep(parent, name)
    folder = Path(tempfile.mkdtemp(prefix=f".{name[:80]}{PARTIAL_ENDING}", dir=parent))
    try:
        with (folder / PARTIAL_MARK).open("w", encoding="utf-8") as mark:
            if fcntl is not None:
                with suppress(OSError):  # a disk without locks: nothing is swept there
                    fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            about = {"format": PARTIAL_FORMAT, "output": name, "pid": os.getpid()}
            json.dump(about | {"host": socket.gethostname()}, mark)
            mark.flush()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path, name: str) -> None:
    """Delete what killed runs left beside ``name``, or of any name: marked and held by nobody."""
    if fcntl is None:
        return
    for folder in parent.glob(f".{_escaped(name[:80])}*{PARTIAL_ENDING}*"):
        about = read_json(folder / PARTIAL_MARK)
        if not is_partial(folder) or name not in ("", about.get("output")):
            continue
        old = folder / OLD
        with suppress(OSError), (folder / PARTIAL_MARK).open("rb") as file:
            if folder.stat().st_uid != os.getuid():
                continue
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where it is held
            if old.is_dir() and name and not (parent / name).exists():
                old.rename(parent / name)  # killed between taking the old away and putting the new
            shutil.rmtree(folder, ignore_errors=True)


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def to_disk(staged: Path) -> None:
    """Have the system write what it holds back: quotas and far disks complain only then."""
    files = [staged] if staged.is_file() else [staged / name for name in files_below(staged)]
    for path in files[:_MOST_SYNCED]:
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.fsync(file.fileno())
