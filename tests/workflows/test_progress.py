"""Steps of a workflow, and how the command line shows them."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.console import Console

from mtm_core.cli import steps as shown
from mtm_core.workflows.progress import StepProgress, Steps


def test_every_step_is_reported_with_the_others() -> None:
    reported: list[tuple[StepProgress, ...]] = []
    steps = Steps(("Read", "Fit", "Score"), lambda now: reported.append(tuple(now)))
    steps.was_done("Read", seconds=3, peak_bytes=5, detail="from disk")
    with steps.running("Fit", total=10, unit="genes") as advance:
        advance(4, detail="chr1")
    states = [[step.state for step in now] for now in reported]
    assert states[0] == ["done before", "left", "left"]
    assert states[1] == states[2] == ["done before", "running", "left"]
    assert states[-1] == ["done before", "done", "left"]
    assert (reported[2][1].done, reported[2][1].total, reported[2][1].detail) == (4, 10, "chr1")
    assert reported[-1][1].done == 10
    assert (reported[-1][0].seconds, reported[-1][0].peak_bytes) == (3, 5)


def test_a_step_that_fails_is_left_as_running() -> None:
    steps = Steps(("Fit",))
    with pytest.raises(ZeroDivisionError), steps.running("Fit"):
        _ = 1 / 0
    assert steps.all[0].state == "running"


def test_a_workflow_within_another_moves_its_steps() -> None:
    outer = Steps(("Fit", "Evaluate ridge", "Write"))
    inner = Steps(("Evaluate ridge", "Something else"), outer.merged)
    with inner.running("Evaluate ridge", total=5, unit="folds") as advance:
        advance(2)
        assert outer.all[1].done == 2
    assert [step.state for step in outer.all] == ["left", "done", "left"]


_HELD = """
import mmap, subprocess, sys
from mtm_core.workflows.progress import PeakMemory

def hold(n_bytes):
    held = mmap.mmap(-1, n_bytes)
    for page in range(0, n_bytes, mmap.PAGESIZE):
        held[page] = 1
    return held

with PeakMemory() as memory:
    before = memory.peak
    held = hold(40_000_000)
print(memory.peak - before)
if sys.platform == "linux":
    code = "x = bytearray([1]) * 60_000_000; print('held', flush=True); input()"
    with PeakMemory() as memory:
        before = memory.peak
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        child.stdout.readline()
    child.communicate(b"done")
    print(memory.peak - before)
"""


def test_memory_is_that_of_the_block_and_of_processes_it_starts() -> None:
    # In a process of its own: this one would take again what earlier tests have freed.
    measured = subprocess.run(
        [sys.executable, "-c", _HELD], check=True, capture_output=True, text=True
    ).stdout.split()
    assert int(measured[0]) == pytest.approx(40_000_000, rel=0.2)
    if sys.platform == "linux":
        assert 55_000_000 < int(measured[1]) < 90_000_000


def test_a_log_file_has_a_line_a_change(capsys: pytest.CaptureFixture[str]) -> None:
    with shown.step_display() as show:
        steps = Steps(("Download", "Fit"), show)
        steps.was_done("Download", seconds=185, peak_bytes=int(2.5e9), detail="4 files")
        with steps.running("Fit", total=10, unit="genes") as advance:
            advance(0, detail="choose settings")
            for done in range(11):
                advance(done)
            advance(10, detail="5 factors")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "[1/2] Download: done before, 3:05, 2.5 GB of memory, 4 files"
    assert lines[1] == "[2/2] Fit: begun"
    assert lines[2].startswith("[2/2] Fit: 0 of 10 genes, choose settings, ")
    assert lines[3].startswith("[2/2] Fit: done, 0.0 s, ")
    assert lines[3].endswith(" of memory, 5 factors")
    assert len(lines) == 4


def test_a_terminal_shows_all_steps_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr(shown, "err", terminal)
    with shown.step_display() as show:
        steps = Steps(("Download", "Fit [x]", "Write"), show)
        steps.was_done("Download", seconds=8.23, peak_bytes=int(4e8))
        with steps.running("Fit [x]", total=4e9, unit="bytes") as advance:
            advance(1.5e9, detail="model.safetensors")
            display = Console(file=io.StringIO(), width=120, color_system=None)
            display.print(shown._Display().render())
    text = terminal.file.getvalue()  # type: ignore[attr-defined]
    assert "✓  Download" in text
    assert "8.2 s" in text
    assert "400 MB" in text
    assert "✓  Fit [x]" in text
    assert "·  Write" in text
