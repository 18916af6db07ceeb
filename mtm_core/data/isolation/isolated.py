"""Read users' files in a process of its own, which a damaged file may hang, crash or bloat.

HDF5 follows addresses in the file: among files of which a few bytes were changed at
random, some never come to an end inside the library, where Python cannot stop it. Text comes to an
end, but 2 MB of gzip may hold 2 GB of it. A server reads what others send it here, and here alone.

The process can open no file and no connection (:mod:`mtm_core.data.isolation.sandbox`); it gets
the bytes by a socket and answers with arrays, never a pickle. All sessions share a few places
(:mod:`mtm_core.data.isolation.reading_turns`) and the server's memory
(:mod:`mtm_core.memory_budget`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TypeVar
from uuid import uuid4

from mtm_core.data.files.raw_table import MAX_BYTES, RawTable
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.gene_sets.gmt import MAX_GMT_BYTES, GeneSets
from mtm_core.data.gene_sets.networks import Network
from mtm_core.data.isolation.packed_sets import unpack_network, unpack_sets
from mtm_core.data.isolation.packed_table import unpack
from mtm_core.data.isolation.reader_process import (
    FAULT,
    NO_MEMORY,
    TABLE,
    WORDS,
    Content,
    encode,
)
from mtm_core.data.isolation.reader_server import Answer, Dead, ReaderServer
from mtm_core.data.isolation.reading_limits import (
    MOST_MEMORY,
    SECONDS,
    memory_to_begin_with,
    processor_seconds,
)
from mtm_core.data.isolation.reading_turns import Turn, Turns, usual_number
from mtm_core.errors import InputFileError
from mtm_core.memory_budget import shared_budget

T = TypeVar("T")
_log = logging.getLogger(__name__)

_MOST_ANSWER = 1024**3
"""Bytes: a table of the most cells is 0.4 GB."""
_SIGXCPU = -24
_LATER = "Try again later."
_NEXT_STEP = "Make the file again, save the table as csv, or include only the model's genes."


@cache
def reader_server() -> ReaderServer:
    """Return the process that reads, which all sessions share."""
    return ReaderServer()


@cache
def reading_turns() -> Turns:
    """Return what all sessions wait for before they read."""
    return Turns(usual_number())


def read_isolated(
    data: bytes | Sequence[tuple[str, bytes]],
    max_bytes: int = MAX_BYTES,
    options: ReadingOptions = AS_IT_LIES,
    *,
    seconds: float = SECONDS,
    turn: Turn | None = None,
    server: ReaderServer | None = None,
) -> RawTable:
    """Read as :func:`mtm_core.data.formats.tables.read_table`, in a process of its own.

    Parameters
    ----------
    data
        The bytes of a file, or several files by name.
    seconds
        The most that it may take from when its turn has come.
    turn
        Owner of the file, and what may end the reading meanwhile.
    server
        By default the one that all share.

    Raises
    ------
    InputFileError
        As :func:`mtm_core.data.formats.tables.read_table`; and if the process crashes, asks for too
        much memory, or takes longer than ``seconds``, or the table is larger than a server takes
        (:mod:`mtm_core.data.isolation.reading_limits`).
    """
    files = [("", data)] if isinstance(data, bytes) else list(data)
    return _read(
        files, max_bytes, options, "table", unpack, seconds=seconds, turn=turn, server=server
    )


def read_sets_isolated(
    data: bytes,
    name: str,
    max_bytes: int = MAX_GMT_BYTES,
    *,
    turn: Turn | None = None,
) -> GeneSets:
    """Read GMT as :meth:`mtm_core.data.gene_sets.gmt.GeneSets.parse`, in a process of its own.

    Raises
    ------
    InputFileError
        As there, and as :func:`read_isolated`.
    """
    read = partial(unpack_sets, name=name)
    return _read([(name, data)], max_bytes, AS_IT_LIES, "gene sets", read, turn=turn)


def read_network_isolated(
    data: bytes,
    name: str,
    max_bytes: int = MAX_GMT_BYTES,
    *,
    turn: Turn | None = None,
) -> Network:
    """Read a network as :meth:`mtm_core.data.gene_sets.networks.Network.parse`, likewise.

    Raises
    ------
    InputFileError
        As there, and as :func:`read_isolated`.
    """
    read = partial(unpack_network, name=name)
    return _read([(name, data)], max_bytes, AS_IT_LIES, "network", read, turn=turn)


def _read(
    files: Sequence[tuple[str, bytes]],
    max_bytes: int,
    options: ReadingOptions,
    content: Content,
    unpacked: Callable[[bytes], T],
    *,
    seconds: float = SECONDS,
    turn: Turn | None = None,
    server: ReaderServer | None = None,
) -> T:
    """Ask for the content of ``files`` when their turn has come, and unpack the answer."""
    turn, server, budget = turn or Turn(), server or reader_server(), shared_budget()
    question = encode(files, max_bytes, options, content)
    most = min(MOST_MEMORY, budget.most)
    with reading_turns().take(turn):
        for memory in (min(memory_to_begin_with(files), most), most):
            with budget.hold(memory, "Reading a file", _LATER, check=turn.check):
                deadline = _Deadline(seconds, turn)
                try:
                    answer = server.ask(
                        question,
                        memory=memory,
                        seconds=min(processor_seconds(files), int(seconds) + 1),
                        most_answer=_MOST_ANSWER,
                        check=deadline.check,
                    )
                except Dead as error:
                    _log.exception("The process that reads uploaded files cannot be started")
                    raise InputFileError(
                        f"this server cannot read files now: {error}. Tell the person who runs it."
                    ) from error
            if answer.data[:1] != NO_MEMORY:
                break
    return _content_of(answer, processor_seconds(files), unpacked)


class _Deadline:
    def __init__(self, seconds: float, turn: Turn) -> None:
        self._seconds, self._turn = seconds, turn
        self._end = time.monotonic() + seconds

    def check(self) -> None:
        self._turn.check()
        if time.monotonic() > self._end:
            raise _too_long(self._seconds)


def _content_of(answer: Answer, seconds: int, unpacked: Callable[[bytes], T]) -> T:
    """Return the content of an answer, or raise what it says."""
    kind, rest, status = bytes(answer.data[:1]), bytes(answer.data[1:]), answer.status
    if kind == TABLE and status == 0:
        try:
            return unpacked(rest)
        except ValueError as error:
            _log.warning("A file made the process that read it answer with %s", error)
    if kind == WORDS:
        raise InputFileError(rest.decode(errors="replace"))
    if kind == NO_MEMORY:
        raise InputFileError(
            "the file asks for more memory than it may have: it is damaged or very large."
            f" {_NEXT_STEP}"
        )
    if kind == FAULT:
        number = uuid4().hex[:8]
        _log.error("Reading a file, fault %s: %s", number, rest.decode(errors="replace"))
        raise InputFileError(f"the file cannot be read (fault {number}, see the log). {_NEXT_STEP}")
    if status == _SIGXCPU:
        raise _too_long(seconds)
    raise InputFileError(
        f"the file stopped the program that read it (exit status {status}): it is damaged"
        f" or very large. {_NEXT_STEP}"
    )


def _too_long(seconds: float) -> InputFileError:
    return InputFileError(
        f"reading the file took longer than {seconds:g} seconds and was stopped: it is damaged or"
        f" very large. {_NEXT_STEP}"
    )
