"""``bin/app`` itself, on a home folder where nothing of Streamlit's ever ran."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
APP = REPOSITORY / "bin" / "app"
_PATIENCE = 90
Start = Callable[..., "tuple[subprocess.Popen[bytes], Path]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start ``bin/app`` as a shell does; give it and where it prints. It ends with the test."""
    if not (REPOSITORY / ".venv" / ".installed").exists():
        if os.environ.get("CI"):
            pytest.fail("in CI bin/check sets up this checkout; here it has not")
        pytest.skip("bin/app has not set up this checkout: it would install first")
    processes: list[subprocess.Popen[bytes]] = []

    def run(home: Path, command: str, **options: object) -> tuple[subprocess.Popen[bytes], Path]:
        log = tmp_path / "printed"  # of what has no terminal
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("STREAMLIT_", "MTM_")) and "DISPLAY" not in name
        }
        environment |= {"HOME": str(home), "MTM_WORKSPACE": str(tmp_path / "workspaces")}
        with log.open("wb") as printed:
            process = subprocess.Popen(
                ["bash", "-c", command, "bash", str(APP)],
                env=environment,
                cwd=tmp_path,
                start_new_session=True,
                **({"stdout": printed, "stderr": printed} | options),  # type: ignore[call-overload]
            )
        processes.append(process)
        return process, log

    yield run
    for process in processes:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def read_until(pattern: str, read: Callable[[], str], process: subprocess.Popen[bytes]) -> str:
    """Return what was printed as soon as it holds ``pattern``."""
    deadline = time.monotonic() + _PATIENCE
    while not re.search(pattern, text := read()):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"no {pattern!r} was printed:\n{text}")
        time.sleep(0.1)
    return text


def fetch(url: str) -> str:
    with urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def test_first_run_with_standard_input_closed_asks_nothing_serves_and_ends(
    start: Start, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    process, log = start(home, 'exec "$1" <&-')
    printed = read_until(r"dashboard is at http://127\.0\.0\.1:\d+", log.read_text, process)
    url = re.findall(r"http://127\.0\.0\.1:\d+", printed)[-1]
    assert '<div id="root">' in fetch(url)
    assert fetch(f"{url}/_stcore/health") == "ok"
    assert "mail" not in printed
    assert "Traceback" not in printed
    assert list(home.iterdir()) == []
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert "Traceback" not in log.read_text()


def test_first_run_at_a_terminal_asks_nothing_either(start: Start, tmp_path: Path) -> None:
    home = tmp_path / "home"
    damaged = home / ".streamlit" / "credentials.toml"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("[general\n")  # Streamlit alone deletes it and asks again
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminal can be opened: {error}")
    process, _ = start(home, 'exec "$1"', stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.set_blocking(ours, False)
    shown = bytearray()

    def read() -> str:
        with suppress(BlockingIOError):
            shown.extend(os.read(ours, 65536))
        return shown.decode()

    printed = read_until(r"dashboard is at http://127\.0\.0\.1:\d+", read, process)
    assert fetch(re.findall(r"http://127\.0\.0\.1:\d+", printed)[-1] + "/_stcore/health") == "ok"
    assert "mail" not in printed
    assert damaged.read_text() == "[general\n"
    os.close(ours)
