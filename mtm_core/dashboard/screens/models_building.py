"""``mtm build`` run for somebody at the machine itself: a child process, its log, and how it ends.

One build a server, whatever page or tab looks at it. It writes to a log file, so that it does not
wait for a reader; it ends with the server, and the next one goes on where it stopped.
"""

from __future__ import annotations

import atexit
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Literal

from mtm_core.errors import OutputError

State = Literal["none", "running", "finished", "failed", "cancelled"]
_RUN = "from mtm_core.cli.main import run; run()"
_LOG_NAME = "log.txt"
_PATIENCE_SECONDS = 20.0
_TAIL_BYTES = 20_000
_STEP = re.compile(r"^\[(\d+)/(\d+)\] (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class BuildView:
    """How a build goes.

    Attributes
    ----------
    state
        Whether there is one, and how it ended.
    seconds
        Seconds that it runs, or ran.
    step, n_steps
        Number of the step that was last spoken of; 0 before the first.
    last
        Latest progress.
    log
        The end of its log.
    """

    state: State = "none"
    seconds: float = 0.0
    step: int = 0
    n_steps: int = 0
    last: str = ""
    log: str = ""


class Builder:
    """Runs one command of ``mtm`` at a time, in a process group of its own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Path | None = None
        self._began = self._ended = 0.0
        self._cancelled = False

    def start(self, arguments: Sequence[str], folder: Path) -> None:
        """Start ``mtm`` with ``arguments``; its log goes to ``folder``.

        Raises
        ------
        OutputError
            If a build runs already, or the log cannot be written.
        """
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                raise OutputError("a model is already being built. Wait for it, or cancel it.")
            log = folder / _LOG_NAME
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with log.open("wb") as file:
                    self._process = subprocess.Popen(
                        [sys.executable, "-c", _RUN, *arguments],
                        stdin=subprocess.DEVNULL,
                        stdout=file,
                        stderr=subprocess.STDOUT,
                        env=os.environ | {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
                        start_new_session=True,
                    )
            except OSError as error:
                raise OutputError(
                    f"{folder}: the build cannot be started ({error.strerror or error})."
                ) from error
            self._log, self._began, self._ended = log, time.monotonic(), 0.0
            self._cancelled = False

    def cancel(self) -> None:
        """End the build as Ctrl-C would, so that it goes on when it is started again."""
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                return
            self._cancelled = True
            _signal(process, signal.SIGTERM)
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
                process.wait()

    def view(self) -> BuildView:
        """Say how it goes."""
        process = self._process
        if process is None or self._log is None:
            return BuildView()
        code = process.poll()
        if code is not None and not self._ended:
            self._ended = time.monotonic()
        log = _tail(self._log)
        steps = _STEP.findall(log)
        number, n_steps, words = steps[-1] if steps else (0, 0, "")
        return BuildView(
            self._state(code),
            (self._ended or time.monotonic()) - self._began,
            int(number),
            int(n_steps),
            words if words and not code else log.strip().rsplit("\n", 1)[-1],
            log,
        )

    def _state(self, code: int | None) -> State:
        if code is None:
            return "running"
        if self._cancelled:
            return "cancelled"
        return "finished" if code == 0 else "failed"


@cache
def shared_builder() -> Builder:
    """Return the one builder of this server; what it runs ends with the server."""
    builder = Builder()
    atexit.register(builder.cancel)
    return builder


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:  # Windows
            process.terminate()


def _tail(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
