"""Start and ask the process that reads what others send (``reader_process``).

It is ended with what it has started when this process ends, also where that is killed: all hold an
end of a socket that closes then.
"""

from __future__ import annotations

import array
import atexit
import json
import logging
import os
import selectors
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from mtm_core.data.isolation.reader_process import STATUS

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_START_SECONDS = 60
_END_SECONDS = 10
_BLOCK = 1 << 18
_MOST_MESSAGE = 4096
_NO_STATUS = -256
"""In the place of an exit status: the process that would report it is gone."""
_ROOT = Path(__file__).parents[2]
_SET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # one thread alone, to divide safely
    "HDF5_PLUGIN_PRELOAD": "::",  # HDF5's way to say: no plugins
    "OPENPYXL_LXML": "False",
}
_PASSED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT", "TMPDIR", "TEMP")
"""Environment variables that Python may need to start."""
_BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1));"
    " from mtm_core.data.isolation.reader_process import main; main()"
)


@dataclass(frozen=True)
class Answer:
    """Exit status and output of the process."""

    status: int
    data: bytearray


class Dead(Exception):
    """The process that reads cannot be started."""


def _command(*arguments: str) -> list[str]:
    path = [str(_ROOT), *(entry for entry in sys.path if entry and Path(entry).is_absolute())]
    return [sys.executable, "-I", "-X", "utf8", "-c", _BEGIN, json.dumps(path), *arguments]


def _environment() -> dict[str, str]:
    return _SET | {name: os.environ[name] for name in _PASSED if name in os.environ}


class ReaderServer:
    """One for a process, and for its threads.

    Parameters
    ----------
    divides
        Whether one process waits and divides for each file; by default where it can.
    """

    def __init__(self, *, divides: bool = sys.platform == "linux") -> None:
        self._divides = divides
        self._lock = Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self.layers: tuple[str, ...] = ()
        """Protections of the process, in words; known after its first answer."""
        atexit.register(self.stop)

    def ask(
        self,
        question: Sequence[bytes],
        *,
        memory: int,
        seconds: int,
        most_answer: int,
        check: Callable[[], None],
    ) -> Answer:
        """Have ``question`` answered by a process of its own.

        Parameters
        ----------
        memory, seconds
            Limits of the process: address space beyond Python's own, and processor time.
        most_answer
            Bytes that are taken of its answer; one of more has the status of a process that was
            killed.
        check
            Called several times a second; what it raises ends the process, and goes on from here.

        Raises
        ------
        Dead
            If it cannot be started.
        """
        limits = {"memory": memory, "seconds": seconds}
        if self._divides:
            for _ in range(2):
                answer = self._ask_ready(question, limits, most_answer, check)
                if answer.status != _NO_STATUS:
                    break  # else the process that waits was killed, and is started anew
            return answer
        return _ask_new(question, limits, most_answer, check)

    def start(self) -> None:
        """Have the process ready before it is asked.

        Raises
        ------
        Dead
            If it cannot be started.
        """
        with self._lock:
            if self._divides and (self._control is None or self._owner != os.getpid()):
                self._start()

    @property
    def process_id(self) -> int:
        """Return the id of the process that waits; 0 where there is none."""
        return self._process.pid if self._process is not None else 0

    def stop(self) -> None:
        """End the process and all that it has started."""
        with self._lock:
            if self._control is not None:
                self._control.close()
                self._control = None
            if self._process is not None and self._owner == os.getpid():
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(_END_SECONDS)
                if self._process.poll() is None:
                    self._process.kill()
                    self._process.wait()
                self._process = None

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                _command("serve", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env=_environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._owner = os.getpid()
        ours.settimeout(_START_SECONDS)
        try:
            ready = ours.recv(_MOST_MESSAGE)
        except OSError as error:
            ready, reason = b"", str(error)
        else:
            reason = "it ended"
        if not ready:
            ours.close()
            self._process.kill()
            status = self._process.wait()
            self._process = None
            raise Dead(f"{reason} (exit status {status})")
        ours.settimeout(None)
        self._control = ours
        self.layers = tuple(json.loads(ready)["layers"])
        held = ", ".join(self.layers) or "limits of memory and time only"
        _log.info("Uploaded files are read in a process isolated by: %s.", held)

    def _ask_ready(
        self,
        question: Sequence[bytes],
        limits: dict[str, int],
        most_answer: int,
        check: Callable[[], None],
    ) -> Answer:
        with ExitStack() as ends:
            talk, their_talk = socket.socketpair()
            line, their_line = socket.socketpair()
            for end in (talk, line):
                ends.enter_context(end)
            with their_talk, their_line:
                self._send(json.dumps(limits).encode(), [their_talk.fileno(), their_line.fileno()])
            try:
                data = _talk(talk, question, most_answer, check)
            finally:
                with suppress(OSError):  # it has ended by itself
                    line.shutdown(socket.SHUT_WR)  # from here on nobody wants an answer
                status = _status(line)
            return Answer(status, data)

    def _send(self, message: bytes, numbers: list[int]) -> None:
        """Hand sockets over; start the process where it is not, or is no more."""
        extras = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", numbers))]
        with self._lock:
            if self._control is not None and self._owner == os.getpid():
                try:
                    self._control.sendmsg([message], extras)
                except OSError:
                    _log.warning(
                        "The process that reads uploaded files has ended; it was started again."
                    )
                    self._control.close()
                    self._control = None
                    if self._process is not None:
                        self._process.wait()
                else:
                    return
            self._start()
            assert self._control is not None
            self._control.sendmsg([message], extras)


def _talk(
    talk: socket.socket, question: Sequence[bytes], most: int, check: Callable[[], None]
) -> bytearray:
    """Send ``question`` and take what comes back, until the other side closes."""
    answer = bytearray()
    parts = [memoryview(part) for part in question if part]
    talk.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(talk, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while True:
            ready = selector.select(_POLL_SECONDS)
            check()
            for _, events in ready:
                try:
                    if events & selectors.EVENT_READ:
                        block = talk.recv(_BLOCK)
                        if not block or len(answer) + len(block) > most:
                            return answer if not block else bytearray()
                        answer += block
                    elif parts:
                        parts[0] = parts[0][talk.send(parts[0][:_BLOCK]) :]
                        if not parts[0]:
                            parts.pop(0)
                except BlockingIOError:
                    continue
                except (BrokenPipeError, ConnectionResetError):  # it has crashed, or answered early
                    parts = []
                    if not events & selectors.EVENT_READ:
                        selector.modify(talk, selectors.EVENT_READ)
                    else:
                        return answer
            if not parts and selector.get_key(talk).events & selectors.EVENT_WRITE:
                selector.modify(talk, selectors.EVENT_READ)


def _status(line: socket.socket) -> int:
    """Wait for the process to end, and return its exit status."""
    line.settimeout(_END_SECONDS)
    try:
        status = line.recv(STATUS.size)
    except OSError:
        status = b""
    return int(STATUS.unpack(status)[0]) if len(status) == STATUS.size else _NO_STATUS


def _ask_new(
    question: Sequence[bytes],
    limits: dict[str, int],
    most_answer: int,
    check: Callable[[], None],
) -> Answer:
    """Ask a process that is started for it, in a folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="mtm-reader-", ignore_cleanup_errors=True) as folder,
        subprocess.Popen(
            _command("once", str(limits["memory"]), str(limits["seconds"])),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            env=_environment(),
        ) as process,
        ThreadPoolExecutor(1) as threads,
    ):
        answering = threads.submit(process.communicate, b"".join(question))
        try:
            while not wait([answering], timeout=_POLL_SECONDS).done:
                check()
        except BaseException:
            process.kill()
            raise
        data, _ = answering.result()
    if len(data) > most_answer:
        return Answer(-9, bytearray())
    return Answer(process.returncode, bytearray(data))
