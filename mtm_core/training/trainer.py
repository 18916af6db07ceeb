"""Training loop of MTM."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtm_core.config import RunConfig, ScalingConfig, TrainingConfig, to_json
from mtm_core.data.cohort.scaling import TissueScaler, fit_scaler
from mtm_core.data.cohort.splits import hold_out, rows_of
from mtm_core.safe_output import replacing
from mtm_core.training.checkpoint import HISTORY_NAME, Checkpoint, claim_run
from mtm_core.training.hardware import Hardware, any_process, launch
from mtm_core.training.interrupt import stop_on_interrupt
from mtm_core.training.resident import ResidentPairs
from mtm_core.training.run import Run, TrainingResult
from mtm_core.training.validation import ValidationPairs


@dataclass(frozen=True)
class TrainingProgress:
    """Progress of training.

    Attributes
    ----------
    epoch, n_epochs
        Current epoch, from 1, and number of epochs.
    step, n_steps
        Current step of the epoch, from 1, and number of steps.
    row
        History row of the epoch, when it is finished.
    """

    epoch: int
    n_epochs: int
    step: int
    n_steps: int
    row: dict[str, float] | None = None


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
        Cohort, as described in :mod:`mtm_core.data.cohort.cohort`.
    donors
        Training donors. The fraction ``config.training.validation_fraction`` of them is held out
        for validation, to choose the best epoch; scaler and networks are fitted to the rest.
    config
        Sizes, losses, scaling and training.
    hardware
        Devices to train on; ``None`` for the default.
    folder
        Folder for checkpoints and ``history.csv``; ``None`` for none.
    resume
        Whether to continue from the checkpoint in ``folder``, if there is one.
    on_progress
        Called after every step and epoch, in the first process.

    Raises
    ------
    TrainingError
        If the donors make no pairs, the loss diverges, or the checkpoint belongs to another run.
    OutputError
        If ``folder`` holds files that are not ours, or cannot be written to.
    """
    hardware = hardware or Hardware()
    fabric = launch(hardware)
    training = config.training
    scaler, training_rows, validation_rows = _split(cohort, donors, training, config.scaling)
    data = ResidentPairs(
        cohort,
        training_rows,
        scaler,
        training,
        n_noise=config.model.n_noise,
        device=fabric.device,
        rank=fabric.global_rank,
        world_size=fabric.world_size,
    )
    validation = (
        ValidationPairs.of(
            cohort, validation_rows, scaler, training.validation_source, fabric.device
        )
        if len(validation_rows)
        else None
    )
    run = Run(
        config,
        scaler,
        _identity(cohort, donors, config),
        fabric,
        cuda_graph=hardware.cuda_graph,
    )
    if folder is not None and fabric.is_global_zero:
        claim_run(folder)
    if resume and folder is not None and (saved := Checkpoint.load(folder)) is not None:
        run.restore(saved)
    report = on_progress if on_progress and fabric.is_global_zero else _no_progress

    with stop_on_interrupt() as interrupted:
        while not run.is_over:
            began = time.perf_counter()
            epoch, weights = run.begin_epoch()
            sums: dict[str, Tensor] = {}
            for step, batch in enumerate(data.batches(epoch), start=1):
                for name, term in run.step(batch, weights).items():
                    sums[name] = sums.get(name, torch.zeros_like(term)) + term
                if any_process(fabric, interrupted()):
                    return run.result(finished=False)
                report(TrainingProgress(epoch + 1, training.epochs, step, data.steps_per_epoch))
            row = run.end_epoch(sums, data.steps_per_epoch, validation, began)
            if folder is not None and fabric.is_global_zero:
                if run.is_over or (epoch + 1) % training.checkpoint_every == 0:
                    run.checkpoint().save(folder)
                with replacing(folder / HISTORY_NAME) as place:
                    pd.DataFrame(run.progress.history).to_csv(place, index=False)
            n_steps = data.steps_per_epoch
            report(TrainingProgress(epoch + 1, training.epochs, n_steps, n_steps, row))
    return run.result(finished=True)


def _no_progress(progress: TrainingProgress) -> None:
    """Do nothing."""


def _split(
    cohort: ad.AnnData, donors: Sequence[str], training: TrainingConfig, scaling: ScalingConfig
) -> tuple[TissueScaler, NDArray[np.intp], NDArray[np.intp]]:
    """Hold out validation donors; return scaler, training rows and validation rows."""
    rows = rows_of(cohort.obs["donor"], donors)
    validation = rows[:0]
    if training.validation_fraction > 0:
        trained, held = hold_out(
            cohort.obs.iloc[rows],
            fraction=training.validation_fraction,
            seed=training.seed,
            balance_tissue=training.validation_source,
        )
        rows = rows_of(cohort.obs["donor"], trained)
        validation = rows_of(cohort.obs["donor"], held)
    return fit_scaler(cohort, rows, scaling), rows, validation


def _identity(cohort: ad.AnnData, donors: Sequence[str], config: RunConfig) -> dict[str, Any]:
    """Return the JSON values that a checkpoint must share with the run that resumes it."""
    return {
        "config": json.dumps(to_json(config)),  # as text, because JSON turns tuples into lists
        "cohort": str(cohort.uns["mtm"]["sha256"]),
        "donors": hashlib.sha256("\n".join(sorted(donors)).encode()).hexdigest(),
    }
