"""A process that reads others' files can open nothing, tried from within it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mtm_core.data.isolation import reader_server
from mtm_core.data.isolation.isolated import read_isolated
from mtm_core.data.isolation.reader_server import ReaderServer
from mtm_core.errors import InputFileError

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no layer is there")

ATTACK = """
import ctypes, json, os, socket, subprocess, sys
import mtm_core.data.isolation.reader_process as process
from mtm_core.errors import InputFileError

def connect():
    with socket.socket() as s:
        s.connect(("127.0.0.1", 1))

ATTEMPTS = {
    "read": lambda: open(SECRET).read(),
    "read relative": lambda: open("pyproject.toml").read(),
    "read by number": lambda: os.open(SECRET, os.O_RDONLY),
    "write": lambda: open(SECRET + ".new", "w"),
    "list": lambda: os.listdir("/"),
    "look": lambda: os.stat(SECRET),
    "delete": lambda: os.remove(SECRET),
    "link": lambda: os.link(SECRET, SECRET + ".link"),
    "socket": connect,
    "unix socket": lambda: socket.socketpair(),
    "divide": lambda: os.fork(),
    "run": lambda: os.execv("/bin/true", ["true"]),
    "start": lambda: subprocess.run(["/bin/true"]),
    "signal": lambda: os.kill(os.getppid(), 0),
    "memory file": lambda: os.memfd_create("x"),
    "again": lambda: os.dup(1),
    "memory": lambda: bytearray(6 * 1024**3),
    "import": lambda: __import__("turtle"),
}

def attack(*_):
    reported = {}
    for name, attempt in ATTEMPTS.items():
        try:
            attempt()
        except BaseException as error:
            reported[name] = type(error).__name__
        else:
            reported[name] = "done"
    reported["environment"] = sorted(os.environ)
    reported["open"] = [n for n in range(64) if is_open(n)]
    raise InputFileError(json.dumps(reported))

def is_open(number):
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.read(number, ctypes.create_string_buffer(1), 0) == 0

warm_up = process.warm_up

def then_attack():
    warm_up()
    process.read_table = attack

process.warm_up = then_attack
"""
OF_LINUX = {"look", "list", "delete", "link", "divide", "run", "start", "signal", "import"}
"""What only Landlock and seccomp keep off."""


@pytest.mark.parametrize("divides", [True, False])
def test_the_process_that_reads_can_open_nothing(
    divides: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if divides and sys.platform != "linux":
        pytest.skip("one process divides on Linux alone")
    secret = tmp_path / "secret"
    secret.write_text("of the server")
    monkeypatch.setenv("MTM_TOKEN", "of the server")
    imports, _, start = reader_server._BEGIN.rpartition(" from ")
    attack = f"{imports}\nSECRET = {str(secret)!r}\n{ATTACK}\nfrom {start}"
    monkeypatch.setattr(reader_server, "_BEGIN", attack)
    server = ReaderServer(divides=divides)
    try:
        with pytest.raises(InputFileError) as reported:
            read_isolated(b"gene,P1\nTP53,1\n", server=server)
    finally:
        server.stop()
    found = json.loads(str(reported.value))
    allowed = {*reader_server._SET, *reader_server._PASSED, "LC_CTYPE"}  # Python sets the last
    assert set(found.pop("environment")) <= allowed
    still_open = found.pop("open")
    if divides:
        assert len(still_open) <= 4  # three of nothing, and the one it answers by
        assert "Landlock" in str(server.layers) or "seccomp" in str(server.layers)
    if sys.platform != "linux":
        found = {name: how for name, how in found.items() if name not in OF_LINUX}
    assert "done" not in found.values(), found
    assert list(tmp_path.iterdir()) == [secret]
    assert secret.read_text() == "of the server"


@pytest.mark.skipif(sys.platform != "linux", reason="layers of Linux")
@pytest.mark.parametrize(
    "layer", ["_shut_files(libc)", "_shut_descriptors()", "_filter_calls(libc)"]
)
def test_each_layer_alone_keeps_files_shut(layer: str) -> None:
    """The library is opened before, as it would be."""
    script = f"""
import ctypes
from mtm_core.data.isolation.sandbox import _shut_files, _shut_descriptors, _filter_calls
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
if not {layer}:
    print("not here")
else:
    try:
        open("/etc/passwd")
    except OSError as error:
        print(error.strerror)
    else:
        print("done")
"""
    reported = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.strip()
    if reported == "not here":
        pytest.skip("this kernel lacks it")
    assert reported in ("Permission denied", "Operation not permitted", "Too many open files")


def test_memory_and_time_of_a_processor_are_bounded() -> None:
    script = """
import sys
from mtm_core.data.isolation.sandbox import seal
seal(200_000_000, 1)
some = bytearray(100_000_000)
try:
    more = bytearray(300_000_000)
except MemoryError:
    print("no more", flush=True)
while True:
    pass
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
    )
    assert ended.stdout.strip() == "no more"
    assert ended.returncode == -24  # SIGXCPU


@pytest.mark.parametrize("package", ["pandas.core", "openpyxl", "h5py", "encodings"])
def test_all_reading_modules_are_imported_before_sealing(package: str) -> None:
    script = f"""
import importlib, pkgutil, sys
from mtm_core.data.isolation.reader_process import _TESTS, warm_up
warm_up()
late = []
package = importlib.import_module({package!r})
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if module.name not in sys.modules and not _TESTS & set(module.name.split(".")):
        try:
            importlib.import_module(module.name)
            late.append(module.name)
        except ImportError:
            pass
print(late)
"""
    reported = subprocess.check_output([sys.executable, "-c", script], text=True, cwd=ROOT)
    assert reported.strip() == "[]"
