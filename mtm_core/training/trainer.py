"""The training loop."""

from __future__ import annotations

import hashlib
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import anndata as ad
import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mtm_core.config import RunConfig, ScalingConfig, TrainingConfig, to_json
from mtm_core.data.cohort import tissue_codes, tissue_names
from mtm_core.data.scaling import TissueScaler
from mtm_core.data.splits import hold_out, rows_of
from mtm_core.errors import TrainingError
from mtm_core.model.mtm import MTM
from mtm_core.training.checkpoint import (
    Checkpoint,
    optimiser_tensors,
    restore_optimiser,
    under_prefix,
    with_prefix,
)
from mtm_core.training.held_out import HeldOutPairs
from mtm_core.training.resident import ResidentPairs
from mtm_core.training.step import active_weights, training_step

Precision = Literal["32-true", "bf16-mixed"]
HISTORY_NAME = "history.csv"


@dataclass(frozen=True)
class Hardware:
    """Where training runs. ``accelerator``: "auto", "cpu" or "cuda"; ``devices`` on each node."""

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Precision = "32-true"


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
    """

    model: MTM
    scaler: TissueScaler
    config: RunConfig
    history: pd.DataFrame
    best_epoch: int
    finished: bool


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
        Told of every step and epoch.

    Raises
    ------
    TrainingError
        If the donors make no pairs, or the checkpoint belongs to another run.
    """
    hardware = hardware or Hardware()
    fabric = _launch(hardware)
    scaler, learnt_rows, held_out_rows = _split(cohort, donors, config.training, config.scaling)
    data = ResidentPairs(
        cohort,
        learnt_rows,
        scaler,
        config.training,
        n_noise=config.model.n_noise,
        device=fabric.device,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    held_out = (
        HeldOutPairs.of(
            cohort, held_out_rows, scaler, config.training.validation_source, fabric.device
        )
        if len(held_out_rows)
        else None
    )

    torch.manual_seed(config.training.seed)
    model = MTM(config.model, scaler).to(fabric.device)
    averaged = _averaged(model, config.training.ema_decay)
    optimisers = _optimisers(model, config.training)
    identity = {
        "config": to_json(config),
        "cohort": str(cohort.uns["mtm"]["sha256"]),
        "donors": hashlib.sha256("\n".join(sorted(donors)).encode()).hexdigest(),
    }
    standing, best = _Standing(), _weights(averaged or model)
    if resume and folder is not None and (saved := Checkpoint.load(folder)) is not None:
        standing, best = _restore(saved, identity, model, averaged, optimisers)

    with _stop_on_interrupt() as interrupted:
        for epoch in range(standing.epochs_done, config.training.epochs):
            if _has_stalled(standing, config.training):
                break
            began = time.perf_counter()
            _begin_epoch(epoch, config.training, optimisers, fabric.global_rank)
            weights = active_weights(config.loss, epoch)
            sums: dict[str, Tensor] = {}
            model.train()
            for step, batch in enumerate(data.batches(epoch)):
                terms = training_step(
                    model,
                    batch,
                    weights,
                    optimisers,
                    autocast=fabric.autocast,
                    backward=fabric.backward,
                    average=partial(_average, fabric=fabric),
                )
                if averaged is not None:
                    averaged.update_parameters(model)
                for name, term in terms.items():
                    sums[name] = sums.get(name, torch.zeros_like(term)) + term
                if interrupted():
                    return _result(model, best, scaler, config, standing, finished=False)
                if on_progress is not None:
                    on_progress(
                        TrainingProgress(
                            epoch + 1, config.training.epochs, step + 1, data.steps_per_epoch
                        )
                    )

            row = {"epoch": float(epoch + 1)} | {
                name: float(_mean_over_processes(total, fabric)) / data.steps_per_epoch
                for name, total in sums.items()
            }
            kept = model if averaged is None else cast("MTM", averaged.module)
            if held_out is not None:
                row["held_out_rho"], row["held_out_mae"] = held_out.score(kept)
            row["seconds"] = time.perf_counter() - began
            standing.history.append(row)
            standing.epochs_done = epoch + 1
            score = row.get("held_out_rho", float(epoch))
            if score > standing.best_score:
                standing.best_epoch, standing.best_score = epoch + 1, score
                best = _weights(kept)
            last = epoch + 1 == config.training.epochs or _has_stalled(standing, config.training)
            if folder is not None and fabric.is_global_zero:
                if last or (epoch + 1) % config.training.checkpoint_every == 0:
                    _checkpoint(model, averaged, best, optimisers, standing, identity).save(folder)
                pd.DataFrame(standing.history).to_csv(folder / HISTORY_NAME, index=False)
            if on_progress is not None:
                n_steps = data.steps_per_epoch
                on_progress(
                    TrainingProgress(epoch + 1, config.training.epochs, n_steps, n_steps, row)
                )
    return _result(model, best, scaler, config, standing, finished=True)


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
    return fabric


def _split(
    cohort: ad.AnnData, donors: Sequence[str], training: TrainingConfig, scaling: ScalingConfig
) -> tuple[TissueScaler, np.ndarray, np.ndarray]:
    """Set aside the watched donors and fit the scaler on the rest: (scaler, learnt, watched)."""
    rows = rows_of(cohort.obs["donor"], donors)
    watched: np.ndarray = rows[:0]
    if training.validation_fraction > 0:
        kept, held = hold_out(
            cohort.obs.iloc[rows], fraction=training.validation_fraction, seed=training.seed
        )
        rows, watched = rows_of(cohort.obs["donor"], kept), rows_of(cohort.obs["donor"], held)
    scaler = TissueScaler.fit(
        np.asarray(cohort.X[rows]), tissue_codes(cohort)[rows], len(tissue_names(cohort)), scaling
    )
    return scaler, rows, watched


def _averaged(model: MTM, decay: float) -> AveragedModel | None:
    if decay == 0:
        return None
    average: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average)


def _optimisers(model: MTM, config: TrainingConfig) -> dict[str, torch.optim.Optimizer]:
    """Give the two optimisers of the alternating game: D's, and that of E, G and M together."""
    generator_side = (model.encoder, model.generator, model.mapping)
    parameters = {
        "discriminator": list(model.discriminator.parameters()),
        "generator": [p for network in generator_side for p in network.parameters()],
    }
    return {
        name: torch.optim.Adam(
            members,
            lr=config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=True,
        )
        for name, members in parameters.items()
    }


def _begin_epoch(
    epoch: int,
    config: TrainingConfig,
    optimisers: dict[str, torch.optim.Optimizer],
    rank: int,
) -> None:
    """Set what an epoch depends on from its number alone, so that a resumed one is the same."""
    torch.manual_seed((config.seed * 1_000_003 + epoch) * 1_009 + rank)  # dropout
    share = 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
    rate = config.learning_rate * (share if config.learning_rate_decay else 1.0)
    for optimiser in optimisers.values():
        for group in optimiser.param_groups:
            group["lr"] = rate


def _average(gradients: Sequence[Tensor], fabric: Fabric) -> None:
    """Average gradients over the processes, in one message."""
    if fabric.world_size == 1:
        return
    flat = _mean_over_processes(torch.cat([g.flatten() for g in gradients]), fabric)
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


def _mean_over_processes(tensor: Tensor, fabric: Fabric) -> Tensor:
    return cast("Tensor", fabric.all_reduce(tensor, reduce_op="mean"))


def _has_stalled(standing: _Standing, config: TrainingConfig) -> bool:
    if config.patience is None or config.validation_fraction == 0:
        return False
    return standing.epochs_done - standing.best_epoch >= config.patience > 0


def _weights(module: torch.nn.Module) -> dict[str, Tensor]:
    """Copy the weights of a model, or of the model inside an average of one."""
    inner = module.module if isinstance(module, AveragedModel) else module
    return {name: tensor.detach().clone() for name, tensor in inner.state_dict().items()}


def _checkpoint(
    model: MTM,
    averaged: AveragedModel | None,
    best: dict[str, Tensor],
    optimisers: dict[str, torch.optim.Optimizer],
    standing: _Standing,
    identity: dict[str, Any],
) -> Checkpoint:
    tensors = with_prefix("model", model.state_dict()) | with_prefix("best", best)
    if averaged is not None:
        tensors |= with_prefix("averaged", averaged.state_dict())
    for name, optimiser in optimisers.items():
        tensors |= with_prefix(f"{name}_optimiser", optimiser_tensors(optimiser))
    return Checkpoint(tensors, {"identity": identity, "standing": asdict(standing)})


def _restore(
    saved: Checkpoint,
    identity: dict[str, Any],
    model: MTM,
    averaged: AveragedModel | None,
    optimisers: dict[str, torch.optim.Optimizer],
) -> tuple[_Standing, dict[str, Tensor]]:
    """Put a checkpoint back into the objects of this run."""
    theirs = saved.state["identity"]
    differing = [name for name in identity if identity[name] != theirs.get(name)]
    if differing:
        raise TrainingError(
            f"the checkpoint belongs to another run: its {' and '.join(differing)} differ."
            " Resume with what it was started with, or train into another folder."
        )
    model.load_state_dict(under_prefix("model", saved.tensors))
    if averaged is not None:
        averaged.load_state_dict(under_prefix("averaged", saved.tensors))
    for name, optimiser in optimisers.items():
        restore_optimiser(optimiser, under_prefix(f"{name}_optimiser", saved.tensors))
    device = model.mean.device
    best = {name: t.to(device) for name, t in under_prefix("best", saved.tensors).items()}
    return _Standing(**saved.state["standing"]), best


def _result(
    model: MTM,
    best: dict[str, Tensor],
    scaler: TissueScaler,
    config: RunConfig,
    standing: _Standing,
    *,
    finished: bool,
) -> TrainingResult:
    model.load_state_dict(best)
    history = pd.DataFrame(standing.history)
    return TrainingResult(
        model.cpu().eval(), scaler, config, history, standing.best_epoch, finished
    )


@contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C into a flag that is looked at between steps; a second Ctrl-C ends at once."""
    asked = False

    def ask(signum: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    try:
        before = signal.signal(signal.SIGINT, ask)
    except ValueError:  # not the main thread: Ctrl-C is not ours to catch
        yield lambda: False
        return
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
