"""One run of training between its epochs: networks, optimisers, the best weights so far."""

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
from mtm_core.training.held_out import HeldOutPairs
from mtm_core.training.optimisers import averaged_weights, optimisers_of, set_learning_rate
from mtm_core.training.resident import Batch
from mtm_core.training.step import active_weights, training_step


@dataclass(frozen=True)
class TrainingResult:
    """What training gives: the model of the best epoch, in evaluation mode, and how it got there.

    ``finished`` is False where training was interrupted; the model is then the best so far.
    ``is_first_process`` is True in the one process that is to write results.
    """

    model: MTM
    scaler: TissueScaler
    config: RunConfig
    history: pd.DataFrame
    best_epoch: int
    finished: bool
    is_first_process: bool


@dataclass
class _Standing:
    """What changes from epoch to epoch beside tensors."""

    epochs_done: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf
    history: list[dict[str, float]] = field(default_factory=list)


class Run:
    """The networks of one run with their optimisers, averaged weights and best weights so far."""

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
        self.take: Step = CapturedStep(self._take) if cuda_graph else self._take
        self.standing = _Standing()
        self.best = _weights(self.validated)

    @property
    def validated(self) -> MTM:
        """The model that is validated and saved: the averaged one, where there is one."""
        return self.model if self.averaged is None else cast("MTM", self.averaged.module)

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or the watched donors have stopped gaining."""
        training, standing = self.config.training, self.standing
        stalled = (
            training.patience is not None
            and training.validation_fraction > 0
            and standing.epochs_done - standing.best_epoch >= training.patience
            and standing.epochs_done > 0
        )
        return stalled or standing.epochs_done >= training.epochs

    def begin_epoch(self) -> tuple[int, LossConfig]:
        """Set what an epoch depends on from its number alone, so that a resumed one is the same.

        Returns the epoch, from 0, and the weights of the losses in it.
        """
        training, epoch = self.config.training, self.standing.epochs_done
        seed = training.seed * 1_000_003 + epoch
        torch.manual_seed(seed * 1_009 + self.fabric.global_rank)  # dropout
        cosine = 0.5 * (1 + math.cos(math.pi * epoch / training.epochs))
        rate = training.learning_rate * (cosine if training.learning_rate_decay else 1.0)
        set_learning_rate(self.optimisers, rate)
        self.model.train()
        return epoch, active_weights(self.config.loss, epoch)

    def step(self, batch: Batch, weights: LossConfig) -> dict[str, Tensor]:
        """Take one step on this process's share of a batch: the named terms."""
        terms = self.take(batch, weights)
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        return terms

    def _take(self, batch: Batch, weights: LossConfig) -> dict[str, Tensor]:
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
        self, sums: dict[str, Tensor], n_steps: int, watched: HeldOutPairs | None, began: float
    ) -> dict[str, float]:
        """Score the watched donors, keep the weights if they are the best, give a history row.

        Raises
        ------
        TrainingError
            If the loss is no longer a number.
        """
        standing = self.standing
        row = {"epoch": float(standing.epochs_done + 1)} | {
            name: float(mean_over_processes(self.fabric, total)) / n_steps
            for name, total in sums.items()
        }
        if not math.isfinite(row["total"]):
            raise TrainingError(
                f"training diverged in epoch {standing.epochs_done + 1}: its loss is"
                f" {row['total']}. Lower the learning rate, {self.config.training.learning_rate}"
                " now, or the weights of the losses."
            )
        # Without watched donors the last epoch counts as the best.
        score = float(standing.epochs_done)
        if watched is not None:
            row["held_out_rho"], row["held_out_mae"] = watched.score(self.validated)
            score = row["held_out_rho"]
        row["seconds"] = time.perf_counter() - began
        standing.history.append(row)
        standing.epochs_done += 1
        if score > standing.best_score:
            standing.best_epoch, standing.best_score = standing.epochs_done, score
            self.best = _weights(self.validated)
        return row

    def checkpoint(self) -> Checkpoint:
        """Return all that :meth:`restore` needs to go on as if nothing had happened."""
        tensors = with_prefix("model", self.model.state_dict()) | with_prefix("best", self.best)
        if self.averaged is not None:
            tensors |= with_prefix("averaged", self.averaged.state_dict())
        for name, optimiser in self.optimisers.items():
            tensors |= with_prefix(f"{name}_optimiser", optimiser_tensors(optimiser))
        return Checkpoint(tensors, {"identity": self.identity, "standing": asdict(self.standing)})

    def restore(self, saved: Checkpoint) -> None:
        """Go back to where ``saved`` was made.

        Raises
        ------
        TrainingError
            If it was made by a run of another config, cohort or donors.
        """
        theirs = saved.state["identity"]
        differing = [name for name in self.identity if self.identity[name] != theirs.get(name)]
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
        self.standing = _Standing(**saved.state["standing"])

    def result(self, *, finished: bool) -> TrainingResult:
        """Return the best model so far, on the CPU and in evaluation mode."""
        self.model.load_state_dict(self.best)
        return TrainingResult(
            self.model.cpu().eval(),
            self.scaler,
            self.config,
            pd.DataFrame(self.standing.history),
            self.standing.best_epoch,
            finished,
            self.fabric.is_global_zero,
        )


def _weights(model: MTM) -> dict[str, Tensor]:
    """Copy the weights of a model."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
