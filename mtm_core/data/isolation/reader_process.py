"""The process that reads what users send: it gets bytes, and answers with what is in them.

On Linux one process imports what reading takes and waits; for each file it forks a process
that is sealed (:mod:`mtm_core.data.isolation.sandbox`) and only then given the bytes. Elsewhere a
process is started for each file. Both work in an empty folder, with an empty environment.
"""

from __future__ import annotations

import array
import gc
import gzip
import importlib
import io
import json
import os
import pkgutil
import selectors
import signal
import socket
import struct
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import pandas as pd

from mtm_core.data.files.archive import NamedFile
from mtm_core.data.files.archive import pack as pack_files
from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.formats.tables import read_table
from mtm_core.data.gene_sets.gmt import GeneSets
from mtm_core.data.gene_sets.networks import Network
from mtm_core.data.isolation.packed_sets import pack_network, pack_sets
from mtm_core.data.isolation.packed_table import pack
from mtm_core.data.isolation.reading_limits import check_size
from mtm_core.data.isolation.sandbox import seal
from mtm_core.errors import InputFileError

Content = Literal["table", "gene sets", "network"]
"""What a file is read as."""
TABLE, WORDS, NO_MEMORY, FAULT = b"T", b"W", b"M", b"F"
"""First byte of an answer: what follows is the content, an error's text, nothing, a traceback."""
_LENGTH = struct.Struct("=Q")
STATUS = struct.Struct("=i")
"""Exit status of a process, as its parent tells it."""
_BLOCK = 1 << 20
_NO_ANSWER = 70
"""Exit status of a process that ended without one."""
_MOST_MESSAGE = 4096
_READS = ("encodings", "pandas.core", "openpyxl", "h5py", "numpy.ma", "numpy.lib", "scipy.sparse")
"""Packages that read, of which any part may be imported late."""
_TESTS = {"tests", "testing", "conftest", "f2py", "distutils", "_pyinstaller"}


def encode(
    files: Sequence[tuple[str, bytes]],
    max_bytes: int,
    options: ReadingOptions,
    content: Content = "table",
) -> list[bytes]:
    """Return a question, in parts: ``files`` by name and bytes, and how to read them."""
    about = {
        "names": [name for name, _ in files],
        "sizes": [len(data) for _, data in files],
        "max_bytes": max_bytes,
        "options": options.to_json(),
        "content": content,
    }
    head = json.dumps(about).encode()
    return [_LENGTH.pack(len(head)), head, *(data for _, data in files)]


def answer(read: Callable[[int], bytes]) -> bytes:
    """Read a question by ``read``, which gives up to so many bytes, and answer it."""
    try:
        head = json.loads(_take(read, _LENGTH.unpack(_take(read, _LENGTH.size))[0]))
        files = [
            (name, _take(read, size))
            for name, size in zip(head["names"], head["sizes"], strict=True)
        ]
        options = ReadingOptions.from_json(head["options"])
        if len(files) != 1:
            raise InputFileError("expected one file, got several.")
        return TABLE + _content(*files[0], head["max_bytes"], options, head["content"])
    except InputFileError as error:
        return WORDS + str(error).encode(errors="replace")
    except MemoryError:
        return NO_MEMORY
    except Exception:  # noqa: BLE001 - a fault of ours, shown to whoever runs the server
        return FAULT + traceback.format_exc().encode(errors="replace")


def _content(
    name: str, data: bytes, max_bytes: int, options: ReadingOptions, content: Content
) -> bytes:
    """Read a file as what it is said to be, and pack it."""
    if content == "gene sets":
        return pack_sets(GeneSets.parse(data, name, max_bytes=max_bytes))
    if content == "network":
        return pack_network(Network.parse(data, name, max_bytes=max_bytes))
    table = read_table(data, max_bytes, options)
    check_size(table.cells)
    return pack(table)


def _take(read: Callable[[int], bytes], size: int) -> bytes:
    blocks = []
    while size:
        block = read(min(size, _BLOCK))
        if not block:
            raise EOFError("the question ends early")
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def warm_up() -> None:
    """Import whatever reading may import late: afterwards no module can be found."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for package in _READS:
            _import_all(package)
    table = pd.DataFrame({"gene": ["TP53", "MLH1"], "P1": [1.5, 2], "P2": ["x", None]})
    table["P3"] = pd.Categorical(["a", "b"])
    table["P4"] = pd.to_datetime(["2020-01-01", None]).tz_localize("UTC")
    parquet, book, h5ad = io.BytesIO(), io.BytesIO(), io.BytesIO()
    table.to_parquet(parquet)
    table.drop(columns="P4").to_excel(book)
    with h5py.File(h5ad, "w") as file:
        file["X"] = np.ones((2, 2))
        for axis in ("obs", "var"):
            file[f"{axis}/names"] = ["A", "B"]
            file[axis].attrs["_index"] = "names"
    csv = table.to_csv(index=False).encode()
    gct = b"#1.2\n1\t1\nName\tDescription\tP1\nTP53\tTP53\t1,5\n"
    broken = (b"PAR1" + b"x" * 20, b"PK\x03\x04xx", b"\x89HDF\r\n\x1a\nxx", b"\x1f\x8bxx", b"a\0b")
    counts = b"ENSG00000141510\t1\nENSG00000012048\t2\n"
    study = pack_files([NamedFile("a.txt", counts), NamedFile("b.txt", counts.replace(b"1", b"2"))])
    good = [parquet, book, h5ad]
    for data in (*(file.getvalue() for file in good), csv, gct, study, gzip.compress(csv), *broken):
        with suppress(InputFileError):
            pack(read_table(data))
    for text in (
        b"source\ttarget\tweight\nA\tTP53\t1\n",
        b"A\t\tTP53\n",
        gzip.compress(b"A\t\tTP53"),
    ):
        pack_network(Network.parse(text, "own"))
    pack_sets(GeneSets.parse(b"A\t\tTP53\n", "own"))


def _import_all(name: str) -> None:
    """Import a package and all in it, but what tests it or lacks what it needs."""
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, f"{name}.", onerror=lambda _: None):
        if not _TESTS & set(module.name.split(".")):
            with suppress(ImportError):
                importlib.import_module(module.name)


def _empty_folder() -> None:
    """Work in a folder that is empty and stays so: where the system can, one that is deleted."""
    with suppress(OSError):
        folder = tempfile.mkdtemp(prefix="mtm-reader-")
        os.chdir(folder)
        Path(folder).rmdir()


def _once() -> None:
    """Answer one question on standard input, whose limits are arguments."""
    memory, seconds = map(int, sys.argv[2:4])
    warm_up()
    _empty_folder()
    seal(memory, seconds)
    sys.stdout.buffer.write(answer(sys.stdin.buffer.read))
    sys.stdout.buffer.flush()


class _Server:
    """Divides for each question that comes by ``control``, and looks after what it has started.

    A question is a message of limits with two sockets: one to talk, one that stays open for as long
    as the answer is wanted, and on which the exit status is sent.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._lines: dict[int, socket.socket] = {}
        """Connections by the id of the process that is to answer."""

    def run(self) -> None:
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(woken, selectors.EVENT_READ)
        with suppress(BrokenPipeError):  # the program has ended while this one began
            self._control.send(json.dumps({"layers": self._try()}).encode())
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is woken:
                    with suppress(BlockingIOError):
                        woken.recv(_MOST_MESSAGE)
                elif key.fileobj is self._control:
                    if not self._take():
                        self._end_all()
                        return
                else:
                    self._hang_up(key.data)
            self._reap()

    def _try(self) -> list[str]:
        """Seal a process that does nothing else, and return the layers that hold."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write, json.dumps(seal(_BLOCK * 256, 10)).encode())
            finally:
                os._exit(0)
        os.close(write)
        layers = os.read(read, _MOST_MESSAGE)
        os.close(read)
        os.waitpid(child, 0)
        return [str(layer) for layer in json.loads(layers or b"[]")]

    def _take(self) -> bool:
        """Take a question; tell whether there may be more."""
        size = array.array("i").itemsize * 2
        message, extras, _, _ = self._control.recvmsg(_MOST_MESSAGE, socket.CMSG_SPACE(size))
        if not message:
            return False
        numbers = array.array("i")
        for _, _, data in extras:
            numbers.frombytes(data)
        talk, line = (socket.socket(fileno=number) for number in numbers)
        limits = json.loads(message)
        child = os.fork()
        if child == 0:
            self._answer(talk.fileno(), limits["memory"], limits["seconds"])
        talk.close()
        self._lines[child] = line
        self._selector.register(line, selectors.EVENT_READ, child)
        return True

    def _answer(self, talk: int, memory: int, seconds: int) -> None:
        """Answer as the one that was divided off, and end."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(nothing, number)
            os.closerange(3, talk)
            os.closerange(talk + 1, os.sysconf("SC_OPEN_MAX"))
            seal(memory, seconds)
            rest = memoryview(answer(lambda size: os.read(talk, size)))
            while rest:
                rest = rest[os.write(talk, rest) :]
            os._exit(0)
        finally:
            os._exit(_NO_ANSWER)

    def _hang_up(self, child: int) -> None:
        """Kill a process whose answer is not wanted any more; it is not reaped yet, so it is it."""
        self._selector.unregister(self._lines[child])
        os.kill(child, signal.SIGKILL)

    def _reap(self) -> None:
        while self._lines:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            line = self._lines.pop(child)
            with suppress(KeyError):
                self._selector.unregister(line)
            with suppress(OSError):
                line.send(STATUS.pack(os.waitstatus_to_exitcode(status)))
            line.close()

    def _end_all(self) -> None:
        for child in self._lines:
            os.kill(child, signal.SIGKILL)


def _serve() -> None:
    """Answer questions that come by the socket whose number is an argument, until it closes."""
    control = socket.socket(fileno=int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the server, which ends this
    warm_up()
    _empty_folder()
    gc.collect()
    gc.freeze()
    _Server(control).run()


def main() -> None:
    """Run as ``once MEMORY SECONDS`` or as ``serve SOCKET``."""
    {"once": _once, "serve": _serve}[sys.argv[1]]()
