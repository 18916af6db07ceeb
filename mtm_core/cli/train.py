"""``mtm train``: train a method on a cohort and write a model's folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.checks import check_files, check_folders
from mtm_core.cli.output import OverwriteOption, err
from mtm_core.cli.training_options import (
    AcceleratorOption,
    CudaGraphOption,
    DevicesOption,
    NodesOption,
    PrecisionOption,
    PresetOption,
    SettingOption,
    training_bar,
)
from mtm_core.methods.registry import trainable_methods
from mtm_core.training.checkpoint import CHECKPOINT_NAME
from mtm_core.training.hardware import Hardware
from mtm_core.workflows.train import TrainOptions, check_training, train_model


def train_command(
    cohort: Annotated[
        Path, typer.Argument(metavar="COHORT", help="Cohort (.h5ad) of 'mtm data prepare'.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the model.")],
    method: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(trainable_methods())}. The stack is a weighted sum of "
            f"kernel factors and MTM, with an interval for every value."
        ),
    ] = "mtm",
    preset_name: PresetOption = "acmg59",
    settings: SettingOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint in OUTPUT.")
    ] = False,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            help="Output folder of 'mtm evaluate'; its accuracy is stored with the model. A "
            "stack reuses the fits cached there."
        ),
    ] = None,
    accelerator: AcceleratorOption = "auto",
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    precision: PrecisionOption = "32-true",
    cuda_graph: CudaGraphOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Train a method on every donor of a cohort and write a model's folder.

    Training of MTM alone writes a checkpoint every epoch: after Ctrl-C, a kill or a power cut, the
    same command with `--resume` goes on and ends with the same weights.

    **Example:** `mtm train cohort.h5ad --preset acmg59 --output trained_models/mine`

    **Example:** `mtm train cohort.h5ad --method stack --output trained_models/mine_stack`
    """
    check_files(cohort=cohort)
    check_folders(evaluation=evaluation)
    options = TrainOptions(
        cohort,
        output,
        method=method,
        preset=preset_name,
        settings=tuple(settings or ()),
        resume=resume,
        evaluation=evaluation,
        hardware=Hardware(accelerator, devices, nodes, precision, cuda_graph),
        overwrite=overwrite,
        command=shlex.join(["mtm", *sys.argv[1:]]),
    )
    check_training(options)
    if resume and not (output / CHECKPOINT_NAME).exists():
        err.print(f"{output} has no checkpoint: training starts from the beginning.")
    with training_bar() as show:
        trained = train_model(options, show)
    if not trained.is_first_process:
        return
    if not trained.finished:
        err.print(
            f"Stopped after epoch {trained.n_epochs}. Continue with the same command and --resume."
        )
        raise typer.Exit(130)
    err.print(f"Wrote {output}. Try it: mtm predict INPUT --model {output} --output OUTPUT")
