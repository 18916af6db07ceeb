"""``bin/check`` with a pytest that waits for Ctrl-C, or ends with a chosen status."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = 'set -euo pipefail\ncd "$(dirname "${BASH_SOURCE[0]}")/.."\n'
# Plays every tool; as pytest it ends with what a file says, and waits for Ctrl-C without one.
TOOL = """#!/usr/bin/env bash
case "$*" in
"-m pytest --ignore="*) which=first ;;
"-m pytest "*) which=beside ;;
*) exit 0 ;;
esac
trap 'touch $which.interrupted; exit 2' INT
touch $which.started
[ ! -e $which.status ] || exit "$(cat $which.status)"
sleep 30 &
wait
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    shutil.copy(REPOSITORY / "bin" / "check", tmp_path / "bin")
    (tmp_path / "bin" / "environment").write_text(ENVIRONMENT)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("ruff", "mypy", "lint-imports", "python", "chromium"):
        tool = tmp_path / ".venv" / "bin" / name
        tool.write_text(TOOL)
        tool.chmod(0o755)
    return tmp_path


def begin(checkout: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # As at a terminal: a shell that runs the tests in the background has Ctrl-C ignored.
        ["env", "--default-signal=INT", "bash", "bin/check"],
        cwd=checkout,
        env={"PATH": "/usr/bin:/bin", "MTM_CHROMIUM": str(checkout / ".venv/bin/chromium")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_for(*files: Path) -> None:
    end = time.monotonic() + 30
    while not all(file.exists() for file in files):
        assert time.monotonic() < end, files
        time.sleep(0.02)


@pytest.mark.parametrize(("first", "beside", "status"), [(0, 0, 0), (1, 0, 1), (0, 1, 1)])
def test_the_check_fails_where_either_half_does(
    checkout: Path, first: int, beside: int, status: int
) -> None:
    (checkout / "first.status").write_text(f"{first}")
    (checkout / "beside.status").write_text(f"{beside}")
    assert begin(checkout).wait(timeout=60) == status


def test_ctrl_c_ends_both_halves(checkout: Path) -> None:
    with begin(checkout) as check:
        wait_for(checkout / "first.started", checkout / "beside.started")
        os.killpg(check.pid, signal.SIGINT)
        assert check.wait(timeout=60) == 130
    wait_for(checkout / "first.interrupted", checkout / "beside.interrupted")
