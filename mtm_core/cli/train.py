"""``mtm train``: train MTM on a cohort and write a model's folder."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mtm_core.artefact import Artefact
from mtm_core.cli.training_options import (
    AcceleratorOption,
    DevicesOption,
    NodesOption,
    PrecisionOption,
    PresetOption,
    SettingOption,
    run_config,
    training_bar,
)
from mtm_core.data.cohort import read_cohort, tissue_names
from mtm_core.errors import TrainingError
from mtm_core.evaluation.model_card import render_model_card
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.methods.mtm import FittedMTM
from mtm_core.training.checkpoint import CHECKPOINT_NAME
from mtm_core.training.trainer import Hardware, train

console = Console()


def train_command(
    cohort: Annotated[Path, typer.Argument(help="Cohort (.h5ad) of 'mtm data prepare'.")],
    output: Annotated[Path, typer.Option(help="Folder for the model.")],
    preset_name: PresetOption = "acmg59",
    settings: SettingOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from OUTPUT's checkpoint.")
    ] = False,
    evaluation: Annotated[
        Path | None,
        typer.Option(help="Folder of 'mtm evaluate' whose accuracy the model carries."),
    ] = None,
    accelerator: AcceleratorOption = "auto",
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    precision: PrecisionOption = "32-true",
) -> None:
    """Train MTM on every donor of a cohort and write a model's folder.

    A checkpoint is written every epoch: after Ctrl-C, a kill or a power cut, the same command with
    `--resume` goes on and ends with the same weights.

    **Example:** `mtm train cohort.h5ad --preset acmg59 --output trained_models/mine`
    """
    if (output / CHECKPOINT_NAME).exists() and not resume:
        raise TrainingError(
            f"{output} holds a run already. Go on with it by --resume, or name another folder."
        )
    data = read_cohort(cohort)
    config = run_config(preset_name, settings, data.n_vars, len(tissue_names(data)))
    tables = EvaluationTables.load(evaluation) if evaluation is not None else None
    donors = sorted(data.obs["donor"].unique())
    with training_bar() as show:
        result = train(
            data,
            donors,
            config,
            hardware=Hardware(accelerator, devices, nodes, precision),
            folder=output,
            resume=resume,
            on_progress=show,
        )
    if not result.is_first_process:
        return
    if not result.finished:
        console.print(
            f"Stopped after epoch {len(result.history)}. Go on with the same command and --resume.",
            soft_wrap=True,
        )
        raise typer.Exit(130)
    fitted = FittedMTM(result.model, result.scaler, tissue_names(data), config)
    artefact = Artefact.of(
        fitted,
        data,
        name=output.resolve().name,
        provenance={
            "command": shlex.join(["mtm", *sys.argv[1:]]),
            "epochs": len(result.history),
            "best_epoch": result.best_epoch,
        },
    )
    if tables is not None:
        artefact = replace(artefact, accuracy=tables.of_method(fitted.name))
        tables.save(output / "evaluation")
    artefact.save(output)
    (output / "README.md").write_text(render_model_card(artefact, tables), encoding="utf-8")
    console.print(f"Wrote {output}.", soft_wrap=True)
