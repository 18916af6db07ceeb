"""One run at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtm_core.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: nobody is shut out
    fcntl = None  # type: ignore[assignment]


@contextmanager
def held(lock: Path, folder: Path) -> Iterator[None]:
    """Hold the file ``lock`` while the block runs; the system lets go of it if this is killed.

    Raises
    ------
    OutputError
        If another run holds it: it is at work in ``folder``.
    """
    with lock.open("a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise OutputError(
                    f"{folder}: another run is using it. Wait until it has finished, or name "
                    f"another --output."
                ) from error
            except OSError:  # a disk without locks
                pass
        yield
