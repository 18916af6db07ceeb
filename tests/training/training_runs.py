"""What tests of training share: a changed configuration, two runs compared, a run that stops."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable

import pandas as pd
import torch

from mtm_core.config import LossConfig, RunConfig
from mtm_core.training.hardware import Hardware
from mtm_core.training.run import TrainingResult
from mtm_core.training.trainer import TrainingProgress

CPU = Hardware(accelerator="cpu")


def changed(config: RunConfig, loss: LossConfig | None = None, **training: object) -> RunConfig:
    return dataclasses.replace(
        config,
        loss=loss or config.loss,
        training=dataclasses.replace(config.training, **training),  # type: ignore[arg-type]
    )


def weights_of(result: TrainingResult) -> dict[str, torch.Tensor]:
    return result.model.state_dict()


def assert_same_weights(first: TrainingResult, second: TrainingResult) -> None:
    a, b = weights_of(first), weights_of(second)
    assert a.keys() == b.keys()
    differing = [name for name in a if not torch.equal(a[name], b[name])]
    assert not differing
    columns = [name for name in first.history.columns if name != "seconds"]
    pd.testing.assert_frame_equal(first.history[columns], second.history[columns])
    assert first.best_epoch == second.best_epoch


def after(
    what: Callable[[], object], *, epoch: int, step: int | None = None
) -> Callable[[TrainingProgress], None]:
    """Do ``what`` once: after ``step`` of ``epoch``, or when ``epoch`` is done."""

    def tell(progress: TrainingProgress) -> None:
        at_step = progress.row is None and progress.step == step
        if progress.epoch == epoch and (at_step or (step is None and progress.row is not None)):
            what()

    return tell


def stop() -> None:
    raise ConnectionAbortedError


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)
