"""A build in the background: a real child process, its log, its end, and cancelling it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mtm_core import __version__
from mtm_core.dashboard.screens import models_building
from mtm_core.dashboard.screens.models_building import Builder, BuildView
from mtm_core.errors import OutputError

STEPS = """
import sys, time
print("disk: 1 GB needed", flush=True)
print("[1/3] Download: done, 2 s", flush=True)
print("[2/3] Fit: begun", flush=True)
while not sys.argv[1:] == ["quick"]:
    time.sleep(0.05)
"""


@pytest.fixture
def builder() -> Iterator[Builder]:
    made = Builder()
    yield made
    made.cancel()


def wait(builder: Builder, until: Callable[[BuildView], bool]) -> BuildView:
    end = time.monotonic() + 20
    while not until(view := builder.view()):
        assert time.monotonic() < end, view
        time.sleep(0.02)
    return view


def test_nothing_is_built_without_a_request(builder: Builder) -> None:
    assert builder.view() == BuildView()
    builder.cancel()


def test_a_build_is_followed_and_cancelled(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models_building, "_RUN", STEPS)
    builder.start(["build"], tmp_path / "log")
    view = wait(builder, lambda view: view.step == 2)
    assert (view.state, view.n_steps, view.last) == ("running", 3, "Fit: begun")
    assert "disk: 1 GB needed" in view.log
    with pytest.raises(OutputError, match="already being built"):
        builder.start(["build"], tmp_path / "log")
    process = builder._process
    assert process is not None
    builder.cancel()
    assert builder.view().state == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    builder.start(["quick"], tmp_path / "log")  # again, after it
    assert wait(builder, lambda view: view.state != "running").state == "finished"


def test_the_error_of_the_command_is_shown(
    builder: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        models_building,
        "_RUN",
        "print('[1/3] Download: begun'); raise SystemExit('mtm: error: no disk')",
    )
    builder.start(["build"], tmp_path)
    view = wait(builder, lambda view: view.state != "running")
    assert (view.state, view.last) == ("failed", "mtm: error: no disk")


def test_the_build_runs_the_mtm_command(builder: Builder, tmp_path: Path) -> None:
    builder.start(["--version"], tmp_path)
    view = wait(builder, lambda view: view.state != "running")
    assert (view.state, view.log.strip()) == ("finished", f"mtm {__version__}")
