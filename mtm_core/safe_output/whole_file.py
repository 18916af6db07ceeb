"""A file for libraries that crash when a write fails."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class WholeFile(io.RawIOBase):
    """A file whose writing never fails: the error is held.

    HDF5 ends the process when it cannot write what it has in hand at closing. Here it is answered
    that all was written; :func:`whole_file` says what was not.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("w+b", buffering=0)
        self._end = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Write ``data``, unless something could not be written before."""
        view = memoryview(data).cast("B")
        n, place = len(view), self._file.tell()
        self._end = max(self._end, place + n)
        try:
            while self.error is None and len(view):
                view = view[self._file.write(view) :]
        except OSError as error:
            self.error = error
        self._file.seek(place + n)
        return n

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer
        """Read what was written; zeros in the place of what could not be."""
        view = memoryview(buffer).cast("B")
        n = 0
        while n < len(view) and (got := self._file.readinto(view[n:])):
            n += got
        if self.error is not None and n < len(view):
            view[n:] = bytes(len(view) - n)
            self._file.seek(len(view) - n, os.SEEK_CUR)
            return len(view)
        return n

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; the end is where it would be had all been written."""
        if whence == os.SEEK_END:
            return self._file.seek(self._end + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        """Set the length."""
        self._end = self._file.tell() if size is None else size
        try:
            if self.error is None:
                self._file.truncate(self._end)
        except OSError as error:
            self.error = error
        return self._end

    def seekable(self) -> bool:
        """Tell that any place can be gone to."""
        return True

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def close(self) -> None:
        """Close it; :attr:`error` has what could not be written."""
        if not self.closed:
            self._file.close()
        super().close()


@contextmanager
def whole_file(path: Path) -> Iterator[WholeFile]:
    """Open a :class:`WholeFile` at ``path``.

    Raises
    ------
    OSError
        If something could not be written, whatever else was raised because of it.
    """
    file = WholeFile(path)
    try:
        yield file
    finally:
        file.close()
        if file.error is not None:
            raise file.error
