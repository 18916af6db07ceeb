"""``mtm train``: train a method on a cohort and write a model's folder."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import anndata as ad
import typer

from mtm_core.artefact import Artefact
from mtm_core.cli.checks import check_there
from mtm_core.cli.output import OverwriteOption, err
from mtm_core.cli.training_options import (
    AcceleratorOption,
    CudaGraphOption,
    DevicesOption,
    NodesOption,
    PrecisionOption,
    PresetOption,
    SettingOption,
    run_config,
    training_bar,
)
from mtm_core.config import RunConfig, to_json
from mtm_core.data.cohort import read_cohort, tissue_names
from mtm_core.errors import SelectionError, TrainingError
from mtm_core.evaluation.model_card import render_model_card
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.verification import write_verification
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.protocol import FittedMethod, tissue_index
from mtm_core.methods.registry import make_method, trainable_methods
from mtm_core.training.checkpoint import CHECKPOINT_NAME, check_run, claim_run
from mtm_core.training.hardware import Hardware, check_hardware
from mtm_core.training.run import TrainingResult
from mtm_core.training.trainer import train


def train_command(
    cohort: Annotated[
        Path, typer.Argument(metavar="COHORT", help="Cohort (.h5ad) of 'mtm data prepare'.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the model.")],
    method: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(trainable_methods())}. A stack is curved factors and MTM"
            " weighted, with an interval for every value."
        ),
    ] = "mtm",
    preset_name: PresetOption = "acmg59",
    settings: SettingOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from OUTPUT's checkpoint.")
    ] = False,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            help="Folder of 'mtm evaluate' whose accuracy the model carries. A stack takes the fits"
            " that it kept."
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
    if method not in trainable_methods():
        raise SelectionError.unknown("method", [method], trainable_methods())
    if method != "mtm" and resume:
        raise TrainingError(f"--resume is for --method mtm; {method} keeps no checkpoint.")
    if method != "mtm" and devices * nodes > 1:
        raise TrainingError(f"several processes are for --method mtm, not for {method}.")
    machine = Hardware(accelerator, devices, nodes, precision, cuda_graph)
    check_hardware(machine)
    check_there(cohort=cohort, evaluation=evaluation)
    inputs = [cohort, *([] if evaluation is None else [evaluation / "settings.json"])]
    _check_folder(output, inputs, resume=resume, overwrite=overwrite)
    data = read_cohort(cohort)
    config = run_config(preset_name, settings, data.n_vars, len(tissue_names(data)))
    tissue_index(tissue_names(data), config.training.validation_source)
    tables = _load_evaluation(evaluation, method, data, config) if evaluation is not None else None
    own = claim_run(output)
    provenance: dict[str, Any] = {"command": shlex.join(["mtm", *sys.argv[1:]])}
    if method == "mtm":
        result = _train(data, config, machine, output, resume=resume)
        if not result.is_first_process:
            return
        if not result.finished:
            raise _stopped(len(result.history))
        provenance |= {"epochs": len(result.history), "best_epoch": result.best_epoch}
        fitted: FittedMethod = FittedMTM(result.model, result.scaler, tissue_names(data), config)
    else:
        kept_fits = None if evaluation is None else evaluation / "fits"
        fitted = _fit(method, data, config, machine, kept_fits)
    artefact = Artefact.of(fitted, data, name=output.resolve().name, provenance=provenance)
    if tables is not None:
        artefact = replace(artefact, accuracy=tables.of_method(fitted.name))
        tables.save(output / "evaluation")
    with own.writing("README.md") as place:
        place.write_text(render_model_card(artefact, tables), encoding="utf-8")
    artefact.save(output)
    write_verification(output)
    err.print(f"Wrote {output}. Try it: mtm predict INPUT --model {output} --output OUTPUT")


def _train(
    cohort: ad.AnnData, config: RunConfig, hardware: Hardware, output: Path, *, resume: bool
) -> TrainingResult:
    """Train MTM on every donor, with checkpoints in ``output``."""
    with training_bar() as show:
        return train(
            cohort,
            _donors(cohort),
            config,
            hardware=hardware,
            folder=output,
            resume=resume,
            on_progress=show,
        )


def _fit(
    method: str, cohort: ad.AnnData, config: RunConfig, hardware: Hardware, keep: Path | None
) -> FittedMethod:
    """Fit a method on every donor; fits of MTM and of the stack are taken from ``keep``."""
    with training_bar() as show:
        unfitted = make_method(
            method,
            source=config.training.validation_source,
            config=config,
            hardware=hardware,
            on_progress=show,
            keep=keep,
        )
        return unfitted.fit(cohort, _donors(cohort))


def _donors(cohort: ad.AnnData) -> list[str]:
    return sorted(cohort.obs["donor"].unique())


def _stopped(n_epochs: int) -> typer.Exit:
    err.print(f"Stopped after epoch {n_epochs}. Go on with the same command and --resume.")
    return typer.Exit(130)


def _check_folder(output: Path, inputs: list[Path], *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder whose run or model would be lost, or that is others'.

    What is replaced stays until something whole takes its place.
    """
    check_run(output, inputs)
    has_checkpoint = (output / CHECKPOINT_NAME).exists()
    if has_checkpoint and not resume and not overwrite:
        raise TrainingError(
            f"{output} holds a run already. Go on with it by --resume, begin anew with --overwrite,"
            " or name another folder."
        )
    if not has_checkpoint and (output / "model.json").exists() and not overwrite:
        raise TrainingError(
            f"{output} holds a finished model. Name another folder, or replace it with --overwrite."
        )
    if resume and not has_checkpoint:
        err.print(f"{output} holds no checkpoint: training starts from the beginning.")


def _load_evaluation(
    folder: Path, method: str, cohort: ad.AnnData, config: RunConfig
) -> EvaluationTables:
    """Load an evaluation; one of another cohort or other settings says nothing of this model."""
    tables = EvaluationTables.load(folder)
    if method not in set(tables.tissues["method"]):
        raise SelectionError(
            f"{folder} holds no evaluation of {method}. Run 'mtm evaluate --methods {method}'."
        )
    same = {
        "cohort": tables.settings["cohort_sha256"] == str(cohort.uns["mtm"]["sha256"]),
        "settings": tables.settings["mtm"] == to_json(config),
    }
    differing = " and ".join(name for name, equal in same.items() if not equal)
    if differing:
        raise SelectionError(
            f"{folder} evaluated a model of another kind: its {differing} differ. Run 'mtm"
            " evaluate' on this cohort with these settings, or train without --evaluation."
        )
    return tables
