"""Options and progress that ``mtm train`` and ``mtm evaluate`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mtm_core.cli.output import err
from mtm_core.config import PresetName
from mtm_core.training.hardware import Accelerator, Precision
from mtm_core.training.trainer import TrainingProgress

PresetOption = Annotated[PresetName, typer.Option("--preset", help="Settings to start from.")]
SettingOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change one setting, such as training.epochs=20; repeatable."),
]
AcceleratorOption = Annotated[Accelerator, typer.Option(help="Where to train.")]
DevicesOption = Annotated[int, typer.Option(help="Devices, or CPU processes, per node.", min=1)]
NodesOption = Annotated[int, typer.Option(help="Nodes.", min=1)]
CudaGraphOption = Annotated[
    bool, typer.Option("--cuda-graph", help="Replay each step as one CUDA graph, on one GPU.")
]
PrecisionOption = Annotated[Precision, typer.Option(help="Precision of the networks' arithmetic.")]


@contextmanager
def training_bar() -> Iterator[Callable[[TrainingProgress], None]]:
    """Show the epoch, its steps, and the last losses and held-out score.

    Not at a terminal, as in a job's log, there is one line an epoch.
    """
    if not err.is_terminal:
        yield _print_epoch
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=err) as bars:
        tasks: list[TaskID] = []  # none before training: what is wrong with the options comes first

        def show(progress: TrainingProgress) -> None:
            whole = progress.n_epochs * progress.n_steps
            done = (progress.epoch - 1) * progress.n_steps + progress.step
            if not tasks:
                tasks.append(bars.add_task("Training", total=None, figures=""))
            bars.update(
                tasks[0],
                description=f"Epoch {progress.epoch}/{progress.n_epochs}",
                total=whole,
                completed=done,
            )
            if progress.row is not None:
                bars.update(tasks[0], figures=_figures(progress.row))

        yield show


def _print_epoch(progress: TrainingProgress) -> None:
    if progress.row is not None:
        row = progress.row
        done = f"Epoch {progress.epoch}/{progress.n_epochs}, {row['seconds']:.0f} s"
        err.print(f"{done}: {_figures(row)}")


def _figures(row: dict[str, float]) -> str:
    return "  ".join(f"{k} {v:.4f}" for k, v in row.items() if k not in {"epoch", "seconds"})
