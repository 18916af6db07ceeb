"""The training loop."""

from __future__ import annotations

import hashlib
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import anndata as ad
import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor

from mtm_core.config import LossConfig, RunConfig, ScalingConfig, TrainingConfig, to_json
from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.scaling import TissueScaler
from mtm_core.data.splits import hold_out, rows_of
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
from mtm_core.training.held_out import HeldOutPairs
from mtm_core.training.optimisers import averaged_weights, optimisers_of, set_learning_rate
from mtm_core.training.resident import Batch, ResidentPairs
from mtm_core.training.step import active_weights, training_step

Accelerator = Literal["auto", "cpu", "cuda"]
Precision = Literal["32-true", "bf16-mixed"]
HISTORY_NAME = "history.csv"


@dataclass(frozen=True)
class Hardware:
    """Where training runs: ``devices`` (GPUs, or processes on the CPU) on each of ``nodes``.

    ``cuda_graph`` replays each step as one graph, on one GPU.
    """

    accelerator: Accelerator = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Precision = "32-true"
    cuda_graph: bool = False


@dataclass(frozen=True)
class TrainingProgress:
    """Where training is, for whoever shows it. ``row`` is the history's, after an epoch."""

    epoch: int
    n_epochs: int
    step: int
    n_steps: int
    row: dict[str, float] | None = None


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


def train(
    cohort: ad.AnnData,
    donors: Sequence[str],
    config: RunConfig,
    *,
    hardware: Hardware | None = None,
    folder: Path | None = None,
    resume: bool = False,
    on_progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult:
    """Train MTM on the samples of ``donors``.

    Parameters
    ----------
    cohort
        As :mod:`mtm_core.data.cohort` describes it.
    donors
        Donors to learn from. Of these, ``config.training.validation_fraction`` are only watched,
        to keep the epoch that predicts them best. The scaler is fitted on the rest.
    folder
        Where checkpoints and ``history.csv`` go; ``None`` keeps none.
    resume
        Go on from the checkpoint in ``folder``, if there is one.
    on_progress
        Told of every step and epoch, in the first process.

    Raises
    ------
    TrainingError
        If the donors make no pairs, the loss diverges, or the checkpoint belongs to another run.
    """
    hardware = hardware or Hardware()
    fabric = _launch(hardware)
    training = config.training
    scaler, learnt_rows, watched_rows = _split(cohort, donors, training, config.scaling)
    data = ResidentPairs(
        cohort,
        learnt_rows,
        scaler,
        training,
        n_noise=config.model.n_noise,
        device=fabric.device,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    watched = (
        HeldOutPairs.of(cohort, watched_rows, scaler, training.validation_source, fabric.device)
        if len(watched_rows)
        else None
    )
    run = _Run(
        config,
        scaler,
        _identity(cohort, donors, config),
        fabric,
        cuda_graph=hardware.cuda_graph,
    )
    if resume and folder is not None and (saved := Checkpoint.load(folder)) is not None:
        run.restore(saved)
    tell = on_progress if on_progress and fabric.is_global_zero else _no_progress

    with _stop_on_interrupt() as interrupted:
        while not run.is_over:
            began = time.perf_counter()
            epoch, weights = run.begin_epoch()
            sums: dict[str, Tensor] = {}
            for step, batch in enumerate(data.batches(epoch), start=1):
                for name, term in run.step(batch, weights).items():
                    sums[name] = sums.get(name, torch.zeros_like(term)) + term
                if run.any_process(interrupted()):
                    return run.result(finished=False)
                tell(TrainingProgress(epoch + 1, training.epochs, step, data.steps_per_epoch))
            row = run.end_epoch(sums, data.steps_per_epoch, watched, began)
            if folder is not None and fabric.is_global_zero:
                if run.is_over or (epoch + 1) % training.checkpoint_every == 0:
                    run.checkpoint().save(folder)
                folder.mkdir(parents=True, exist_ok=True)
                pd.DataFrame(run.standing.history).to_csv(folder / HISTORY_NAME, index=False)
            n_steps = data.steps_per_epoch
            tell(TrainingProgress(epoch + 1, training.epochs, n_steps, n_steps, row))
    return run.result(finished=True)


class _Run:
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
        self.best = _weights(self.kept)

    @property
    def kept(self) -> MTM:
        """The model that is validated and kept: the averaged one, where there is one."""
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
            average=self._average,
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
            name: float(self._mean_over_processes(total)) / n_steps for name, total in sums.items()
        }
        if not math.isfinite(row["total"]):
            raise TrainingError(
                f"training diverged in epoch {standing.epochs_done + 1}: its loss is"
                f" {row['total']}. Lower the learning rate, {self.config.training.learning_rate}"
                " now, or the weights of the losses."
            )
        # Without watched donors the last epoch is kept.
        score = float(standing.epochs_done)
        if watched is not None:
            row["held_out_rho"], row["held_out_mae"] = watched.score(self.kept)
            score = row["held_out_rho"]
        row["seconds"] = time.perf_counter() - began
        standing.history.append(row)
        standing.epochs_done += 1
        if score > standing.best_score:
            standing.best_epoch, standing.best_score = standing.epochs_done, score
            self.best = _weights(self.kept)
        return row

    def checkpoint(self) -> Checkpoint:
        """Give all that :meth:`restore` needs to go on as if nothing had happened."""
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
        """Give the best model so far, on the CPU and in evaluation mode."""
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

    def any_process(self, flag: bool) -> bool:
        """Tell whether ``flag`` is up in any process, so that all of them stop at one step."""
        if self.fabric.world_size == 1:
            return flag
        up = torch.tensor(float(flag), device=self.fabric.device)
        return bool(self._mean_over_processes(up) > 0)

    def _average(self, gradients: Sequence[Tensor]) -> None:
        """Average gradients over the processes, in one message."""
        if self.fabric.world_size == 1:
            return
        flat = self._mean_over_processes(torch.cat([g.flatten() for g in gradients]))
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    def _mean_over_processes(self, tensor: Tensor) -> Tensor:
        return cast("Tensor", self.fabric.all_reduce(tensor, reduce_op="mean"))


def _no_progress(progress: TrainingProgress) -> None:
    """Ignore how far training is."""


def _launch(hardware: Hardware) -> Fabric:
    """Start the processes; past this line the program runs once in each."""
    processes = hardware.devices * hardware.nodes
    try:
        fabric = Fabric(
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            num_nodes=hardware.nodes,
            strategy="ddp" if processes > 1 else "auto",
            precision=hardware.precision,
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"cannot train on {hardware}: {error}") from error
    if hardware.cuda_graph and (processes > 1 or fabric.device.type != "cuda"):
        raise TrainingError(
            f"a CUDA graph needs one GPU; got {processes} of {fabric.device.type!r}. Leave it out,"
            " or choose one GPU."
        )
    return fabric


def _split(
    cohort: ad.AnnData, donors: Sequence[str], training: TrainingConfig, scaling: ScalingConfig
) -> tuple[TissueScaler, np.ndarray, np.ndarray]:
    """Set aside the watched donors and fit the scaler on the rest: (scaler, learnt, watched)."""
    rows = rows_of(cohort.obs["donor"], donors)
    watched: np.ndarray = rows[:0]
    if training.validation_fraction > 0:
        kept, held = hold_out(
            cohort.obs.iloc[rows],
            fraction=training.validation_fraction,
            seed=training.seed,
            balance_tissue=training.validation_source,
        )
        rows, watched = rows_of(cohort.obs["donor"], kept), rows_of(cohort.obs["donor"], held)
    scaler = TissueScaler.fit(
        np.asarray(cohort.X[rows]), tissue_codes(cohort)[rows], len(tissue_names(cohort)), scaling
    )
    return scaler, rows, watched


def _identity(cohort: ad.AnnData, donors: Sequence[str], config: RunConfig) -> dict[str, Any]:
    """Give what a checkpoint must share with the run that resumes it."""
    return {
        "config": json.dumps(to_json(config)),  # as text: JSON gives lists back for tuples
        "cohort": str(cohort.uns["mtm"]["sha256"]),
        "donors": hashlib.sha256("\n".join(sorted(donors)).encode()).hexdigest(),
    }


def _weights(model: MTM) -> dict[str, Tensor]:
    """Copy the weights of a model."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a flag that is looked at between steps; a second Ctrl-C ends at once."""
    asked = False

    def ask(signum: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # Ctrl-C is not ours to catch
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
