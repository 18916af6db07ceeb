"""State of a training run: networks, optimisers, progress and the best weights so far."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, cast

import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor

from mtm_core.config import LossConfig, RunConfig
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.errors import TrainingError
from mtm_core.model.mtm import MTM
from mtm_core.training.captured import CapturedStep, Step
from mtm_core.training.checkpoint import (
    Checkpoint,
    optimiser_tensors,
    restore_optimiser,
    under_prefix,
    with_prefix,
)
from mtm_core.training.hardware import average_gradients, mean_over_processes
from mtm_core.training.optimisers import averaged_weights, optimisers_of, set_learning_rate
from mtm_core.training.resident import Batch
from mtm_core.training.step import active_weights, training_step
from mtm_core.training.validation import ValidationPairs


@dataclass(frozen=True)
class TrainingResult:
    """Result of a training run.

    Attributes
    ----------
    model
        Model of the best epoch, in evaluation mode.
    scaler
        Scaler of the z-scores.
    config
        Configuration of the run.
    history
        One row for each epoch: losses, and accuracy in the validation donors.
    best_epoch
        Number of the best epoch, from 1.
    finished
        Whether training was completed; if not, the model is the best so far.
    is_first_process
        Whether this is the one process that should write results.
    """

    model: MTM
    scaler: TissueScaler
    config: RunConfig
    history: pd.DataFrame
    best_epoch: int
    finished: bool
    is_first_process: bool


@dataclass
class _Progress:
    """State of a run that changes between epochs, besides tensors."""

    epochs_done: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf
    history: list[dict[str, float]] = field(default_factory=list)


class Run:
    """A training run: networks, optimisers, averaged weights and the best weights so far.

    Parameters
    ----------
    config
        Configuration of the run.
    scaler
        Scaler of the z-scores.
    identity
        JSON values that a checkpoint must share with the run that resumes it.
    fabric
        Processes and devices.
    cuda_graph
        Whether to replay each step as one CUDA graph.
    """

    def __init__(
        self,
        config: RunConfig,
        scaler: TissueScaler,
        identity: dict[str, Any],
        fabric: Fabric,
        *,
        cuda_graph: bool = False,
    ) -> None:
        torch.manual_seed(config.training.seed)
        self.config = config
        self.scaler = scaler
        self.identity = identity
        self.fabric = fabric
        self.model = MTM(config.model, scaler).to(fabric.device)
        self.averaged = averaged_weights(self.model, config.training.ema_decay)
        self.optimisers = optimisers_of(self.model, config.training, capturable=cuda_graph)
        self._step: Step = CapturedStep(self._ordinary_step) if cuda_graph else self._ordinary_step
        self.progress = _Progress()
        self.best = _weights(self.validated)

    @property
    def validated(self) -> MTM:
        """The model that is validated and saved: the averaged one, if weights are averaged."""
        return self.model if self.averaged is None else cast("MTM", self.averaged.module)

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or validation has not improved for ``patience`` epochs."""
        training, progress = self.config.training, self.progress
        stalled = (
            training.patience is not None
            and training.validation_fraction > 0
            and progress.epochs_done - progress.best_epoch >= training.patience
            and progress.epochs_done > 0
        )
        return stalled or progress.epochs_done >= training.epochs

    def begin_epoch(self) -> tuple[int, LossConfig]:
        """Set seed and learning rate of the next epoch, which depend on its number alone.

        Returns
        -------
        tuple
            Number of the epoch, from 0, and its loss weights.
        """
        training, epoch = self.config.training, self.progress.epochs_done
        seed = training.seed * 1_000_003 + epoch
        torch.manual_seed(seed * 1_009 + self.fabric.global_rank)  # dropout
        cosine = 0.5 * (1 + math.cos(math.pi * epoch / training.epochs))
        rate = training.learning_rate * (cosine if training.learning_rate_decay else 1.0)
        set_learning_rate(self.optimisers, rate)
        self.model.train()
        return epoch, active_weights(self.config.loss, epoch)

    def step(self, batch: Batch, weights: LossConfig) -> dict[str, Tensor]:
        """Take one step on this process's part of a batch, and return the loss terms by name."""
        terms = self._step(batch, weights)
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        return terms

    def _ordinary_step(self, batch: Batch, weights: LossConfig) -> dict[str, Tensor]:
        return training_step(
            self.model,
            batch,
            weights,
            self.optimisers,
            autocast=self.fabric.autocast,
            backward=self.fabric.backward,
            average=partial(average_gradients, self.fabric),
        )

    def end_epoch(
        self,
        sums: dict[str, Tensor],
        n_steps: int,
        validation: ValidationPairs | None,
        began: float,
    ) -> dict[str, float]:
        """Validate, save the weights if they are the best so far, and return the history row.

        Parameters
        ----------
        sums
            Loss terms of this process, summed over the steps of the epoch.
        n_steps
            Number of steps.
        validation
            Validation pairs, if there are any.
        began
            Time at which the epoch began.

        Raises
        ------
        TrainingError
            If the loss is not finite.
        """
        progress = self.progress
        row = {"epoch": float(progress.epochs_done + 1)} | {
            name: float(mean_over_processes(self.fabric, total)) / n_steps
            for name, total in sums.items()
        }
        if not math.isfinite(row["total"]):
            raise TrainingError(
                f"training diverged in epoch {progress.epochs_done + 1}: its loss is"
                f" {row['total']}. Lower the learning rate, {self.config.training.learning_rate}"
                " now, or the weights of the losses."
            )
        # Without validation donors, the last epoch is the best.
        score = float(progress.epochs_done)
        if validation is not None:
            row["held_out_rho"], row["held_out_mae"] = validation.score(self.validated)
            score = row["held_out_rho"]
        row["seconds"] = time.perf_counter() - began
        progress.history.append(row)
        progress.epochs_done += 1
        if score > progress.best_score:
            progress.best_epoch, progress.best_score = progress.epochs_done, score
            self.best = _weights(self.validated)
        return row

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint from which :meth:`restore` continues the run exactly."""
        tensors = with_prefix("model", self.model.state_dict()) | with_prefix("best", self.best)
        if self.averaged is not None:
            tensors |= with_prefix("averaged", self.averaged.state_dict())
        for name, optimiser in self.optimisers.items():
            tensors |= with_prefix(f"{name}_optimiser", optimiser_tensors(optimiser))
        return Checkpoint(tensors, {"identity": self.identity, "standing": asdict(self.progress)})

    def restore(self, saved: Checkpoint) -> None:
        """Continue from the checkpoint ``saved``.

        Raises
        ------
        TrainingError
            If it is of another configuration, cohort or set of donors.
        """
        other = saved.state["identity"]
        differing = [name for name in self.identity if self.identity[name] != other.get(name)]
        if differing:
            raise TrainingError(
                f"the checkpoint belongs to another run: its {' and '.join(differing)} differ."
                " Resume with what it was started with, or train into another folder."
            )
        self.model.load_state_dict(under_prefix("model", saved.tensors))
        if self.averaged is not None:
            self.averaged.load_state_dict(under_prefix("averaged", saved.tensors))
        for name, optimiser in self.optimisers.items():
            restore_optimiser(optimiser, under_prefix(f"{name}_optimiser", saved.tensors))
        best = under_prefix("best", saved.tensors)
        self.best = {name: tensor.to(self.fabric.device) for name, tensor in best.items()}
        self.progress = _Progress(**saved.state["standing"])

    def result(self, *, finished: bool) -> TrainingResult:
        """Return the best model so far, on the CPU and in evaluation mode."""
        self.model.load_state_dict(self.best)
        return TrainingResult(
            self.model.cpu().eval(),
            self.scaler,
            self.config,
            pd.DataFrame(self.progress.history),
            self.progress.best_epoch,
            finished,
            self.fabric.is_global_zero,
        )


def _weights(model: MTM) -> dict[str, Tensor]:
    """Copy the weights of a model."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
