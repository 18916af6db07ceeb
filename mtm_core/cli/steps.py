"""The steps of a workflow on standard error: one display at a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import ConsoleRenderable
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mtm_core.cli.output import err
from mtm_core.escaping import on_terminal
from mtm_core.memory_budget import in_words
from mtm_core.workflows.progress import OnProgress, StepProgress

_LINE_SECONDS = 30.0
"""Between two lines of a step in a log file."""
_MARKS = {"left": "·", "running": "▶", "done": "✓", "done before": "✓"}


@contextmanager
def step_display() -> Iterator[OnProgress]:
    """Show all steps of a workflow: what is done, running and left, time and memory beside each."""
    if not err.is_terminal:
        yield _Lines().show
        return
    display = _Display()
    with Live(console=err, get_renderable=display.render, refresh_per_second=4, transient=False):
        yield display.show


class _Display:
    """A table of steps that is drawn anew a few times a second, also while nothing is said."""

    def __init__(self) -> None:
        self._steps: tuple[StepProgress, ...] = ()
        self._said: dict[str, float] = {}

    def show(self, steps: Sequence[StepProgress]) -> None:
        now = time.monotonic()
        for step in steps:
            if step.state == "running":
                self._said[step.name] = now - step.seconds
        self._steps = tuple(steps)

    def render(self) -> ConsoleRenderable:
        table = Table.grid(padding=(0, 2))
        for justify in ("left", "left", "left", "right", "right", "left"):
            table.add_column(justify=justify, no_wrap=True)
        for step in self._steps:
            seconds = step.seconds
            if step.state == "running":
                seconds = time.monotonic() - self._said[step.name]
            bar: ProgressBar | str = ""
            if step.state == "running" and step.total:
                bar = ProgressBar(total=step.total, completed=step.done, width=16)
            table.add_row(
                _MARKS[step.state],
                Text(on_terminal(step.name)),
                bar,
                _duration(seconds) if step.state != "left" else "",
                in_words(step.peak_bytes) if step.peak_bytes else "",
                Text(on_terminal(_words(step))),
            )
        return table


class _Lines:
    """A line when a step begins and ends, and now and then between."""

    def __init__(self) -> None:
        self._printed: dict[str, StepProgress] = {}
        self._last = 0.0

    def show(self, steps: Sequence[StepProgress]) -> None:
        """Print what is worth a line."""
        now = time.monotonic()
        for number, step in enumerate(steps, 1):
            if self._is_news(step, self._printed.get(step.name), now - self._last):
                self._printed[step.name] = step
                self._last = now
                err.print(f"[{number}/{len(steps)}] {step.name}: {_line(step)}")

    @staticmethod
    def _is_news(step: StepProgress, printed: StepProgress | None, seconds: float) -> bool:
        """Tell whether a step has moved from one state, or one part of its work, to another."""
        if printed is None or step.state != printed.state:
            return step.state != "left"
        is_at_end = step.state != "running" or 0 < step.done == step.total
        moved = step.detail not in ("", printed.detail)
        return not is_at_end and (moved or seconds >= _LINE_SECONDS)


def _line(step: StepProgress) -> str:
    """Say in a line of a log file where a step is."""
    took = [_duration(step.seconds)] if step.seconds else []
    took += [f"{in_words(step.peak_bytes)} of memory"] if step.peak_bytes else []
    if step.state == "running" and not (step.done or step.detail):
        return "begun"
    words = {"running": _words(step), "done": "done", "done before": "done before"}
    detail = [step.detail] if step.detail and step.state != "running" else []
    return ", ".join([words[step.state], *took, *detail])


def _words(step: StepProgress) -> str:
    """Say how far a step is, and what it is at."""
    if step.state == "done before":
        return "done before" + (f": {step.detail}" if step.detail else "")
    if step.state != "running":
        return step.detail
    far = ""
    if step.unit or step.total > 1:
        as_said = in_words if step.unit == "bytes" else lambda n: f"{n:,.0f}"
        unit = "" if step.unit in ("", "bytes") else f" {step.unit}"
        far = as_said(int(step.done)) + (f" of {as_said(int(step.total))}" if step.total else "")
        far += unit
    return ", ".join(part for part in (far, step.detail) if part)


def _duration(seconds: float) -> str:
    """Write a time as people read it: 8 s, 3:05, 1:02:07."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
