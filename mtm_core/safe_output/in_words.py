"""A full disk, a quota, a folder that may not be written to: in one line."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mtm_core.errors import MTMError, OutputError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than is allowed here",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "there is no permission to write there",
    errno.EPERM: "there is no permission to write there",
}
# How libraries that raise errors of their own quote the system's.
_QUOTED = re.compile(r"(?:errno = |os error |\[Errno )(\d+)")


@contextmanager
def said_in_words(output: Path, left: str = "Nothing is left of it.") -> Iterator[None]:
    """Turn what ends a write into one line that names ``output``, and says what is left of it.

    Raises
    ------
    OutputError
        If what is raised, or what it was raised from, is a full disk, a quota, a limit, or a folder
        that may not be written to.
    """
    try:
        yield
    except MTMError:
        raise
    except Exception as error:
        number = _cause(error, output)
        if number is None:
            raise
        where = next((p for p in (output, *output.parents) if p.exists()), output)
        room = ""
        if number == errno.ENOSPC:
            with suppress(OSError):
                room = f" ({shutil.disk_usage(where).free / 1e6:,.1f} MB are free)"
        full = number in _NO_ROOM
        advice = "Free some space, or name another place." if full else "Name another place."
        raise OutputError(
            f"cannot write {output}: {_IN_WORDS.get(number, os.strerror(number).lower())}{room}."
            f" {left} {advice}"
        ) from error


def _cause(error: BaseException, output: Path) -> int | None:
    """Return the system's number of what ended a write; ``None`` if it was something else."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return None
        number = seen.errno if isinstance(seen, OSError) else None
        if number is None and (quoted := _QUOTED.search(str(seen))):
            number = int(quoted.group(1))
        if number in _NO_ROOM or number == errno.EROFS:
            return number
        if number in _NOT_ALLOWED and _is_near(getattr(seen, "filename", None), output):
            return number
        seen = seen.__cause__ or seen.__context__
    return None


def _is_near(name: object, output: Path) -> bool:
    """Tell whether an error's file is the output or beside it, not something that was read."""
    if not isinstance(name, str | os.PathLike):
        return False
    path = Path(os.fspath(name)).absolute()
    own = {
        p.absolute() for p in (output, output.parent, real_place(output), real_place(output).parent)
    }
    return bool(own & {path, *path.parents}) or path in real_place(output).parents


def real_place(output: Path) -> Path:
    """Return ``output`` without links on the way to it, nor itself where that is a folder."""
    return output.resolve() if output.is_dir() else output.parent.resolve() / output.name
