"""Train a method on every donor of a cohort and write a model's folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anndata as ad

from mtm_core.artefact import Artefact
from mtm_core.config import PresetName, RunConfig, to_json
from mtm_core.data.cohort.cohort import read_cohort, tissue_names
from mtm_core.errors import SelectionError, TrainingError
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.verification import write_verification
from mtm_core.methods.factor_stack import FitProgress
from mtm_core.methods.mtm import FittedMTM
from mtm_core.methods.protocol import FittedMethod, tissue_index
from mtm_core.methods.registry import make_method, trainable_methods
from mtm_core.reporting.model_card import render_model_card
from mtm_core.training.checkpoint import CHECKPOINT_NAME, check_run, claim_run
from mtm_core.training.hardware import Hardware, check_hardware
from mtm_core.training.run import TrainingResult
from mtm_core.training.trainer import TrainingProgress, train
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.run_settings import run_config

OnTraining = Callable[[TrainingProgress], None]


@dataclass(frozen=True)
class TrainOptions(PlainValues):
    """Options of a training run.

    Attributes
    ----------
    cohort, output
        Cohort of 'mtm data prepare', and folder for the model.
    method
        One of :func:`mtm_core.methods.registry.trainable_methods`.
    preset, settings
        Settings to start from, and changes such as ``"training.epochs=20"``.
    resume
        Go on from the checkpoint in ``output``; of MTM only.
    evaluation
        Folder of 'mtm evaluate' whose accuracy the model carries; a stack takes its fits.
    hardware
        Device to train on.
    overwrite
        Begin anew where ``output`` holds a run or a model.
    command
        Command line to record in the model.
    """

    cohort: Path
    output: Path
    method: str = "mtm"
    preset: PresetName = "acmg59"
    settings: tuple[str, ...] = ()
    resume: bool = False
    evaluation: Path | None = None
    hardware: Hardware = field(default_factory=Hardware)
    overwrite: bool = False
    command: str = ""


@dataclass(frozen=True)
class Trained:
    """How training ended.

    Attributes
    ----------
    output
        The model's folder.
    finished
        Whether it is a model, and not a run that was stopped after ``n_epochs``.
    is_first_process
        Whether this is the process that writes and reports, of several.
    """

    output: Path
    finished: bool = True
    n_epochs: int = 0
    is_first_process: bool = True


def train_model(options: TrainOptions, on_progress: OnTraining | None = None) -> Trained:
    """Train a method on every donor of a cohort and write a model's folder.

    Raises
    ------
    SelectionError, TrainingError
        If an option does not fit the method, the cohort or what is in the folder.
    InputFileError, OutputError
        If the cohort cannot be read, or the folder not be written to.

    Examples
    --------
    >>> from mtm_core import Predictor, TrainOptions, train_model
    >>> trained = train_model(TrainOptions("cohort.h5ad", output="models/ridge", method="ridge"))
    >>> Predictor.load(trained.output).artefact.method.name
    'ridge'
    """
    method, output, evaluation = options.method, options.output, options.evaluation
    check_training(options)
    data = read_cohort(options.cohort)
    config = run_config(options.preset, options.settings, data.n_vars, len(tissue_names(data)))
    tissue_index(tissue_names(data), config.training.validation_source)
    tables = _load_evaluation(evaluation, method, data, config) if evaluation is not None else None
    own = claim_run(output)
    provenance: dict[str, Any] = {"command": options.command}
    if method == "mtm":
        result = _train(data, config, options, on_progress)
        ended = Trained(output, result.finished, len(result.history), result.is_first_process)
        if not (ended.finished and ended.is_first_process):
            return ended
        provenance |= {"epochs": len(result.history), "best_epoch": result.best_epoch}
        fitted: FittedMethod = FittedMTM(result.model, result.scaler, tissue_names(data), config)
    else:
        cached_fits = None if evaluation is None else evaluation / "fits"
        fitted = fit_method(method, data, config, options.hardware, cached_fits, on_progress)
    artefact = Artefact.of(fitted, data, name=output.resolve().name, provenance=provenance)
    if tables is not None:
        artefact = replace(artefact, accuracy=tables.of_method(fitted.name))
        tables.save(output / "evaluation")
    with own.writing("README.md") as place:
        place.write_text(render_model_card(artefact, tables), encoding="utf-8")
    artefact.save(output)
    write_verification(output)
    return Trained(output)


def check_training(options: TrainOptions) -> None:
    """Refuse, before the cohort is read, what cannot be trained or would take another's place.

    Raises
    ------
    SelectionError, TrainingError, OutputError
        As :func:`train_model`.
    """
    method, machine = options.method, options.hardware
    if method not in trainable_methods():
        raise SelectionError.unknown("method", [method], trainable_methods())
    if method != "mtm" and options.resume:
        raise TrainingError(f"--resume needs --method mtm; {method} writes no checkpoints.")
    if method != "mtm" and machine.devices * machine.nodes > 1:
        raise TrainingError(f"only --method mtm can be trained by several processes, not {method}.")
    check_hardware(machine)
    inputs = [options.cohort]
    if options.evaluation is not None:
        inputs.append(options.evaluation / "settings.json")
    _check_folder(options.output, inputs, resume=options.resume, overwrite=options.overwrite)


def fit_method(
    method: str,
    cohort: ad.AnnData,
    config: RunConfig,
    hardware: Hardware,
    cache: Path | None,
    on_progress: OnTraining | None = None,
    on_step: FitProgress | None = None,
) -> FittedMethod:
    """Fit a method on every donor; fits of MTM and of stacks are taken from ``cache``."""
    unfitted = make_method(
        method,
        source=config.training.validation_source,
        config=config,
        hardware=hardware,
        on_progress=on_progress,
        cache=cache,
        on_step=on_step,
    )
    return unfitted.fit(cohort, _donors(cohort))


def _train(
    cohort: ad.AnnData, config: RunConfig, options: TrainOptions, on_progress: OnTraining | None
) -> TrainingResult:
    """Train MTM on every donor, with checkpoints in the output."""
    return train(
        cohort,
        _donors(cohort),
        config,
        hardware=options.hardware,
        folder=options.output,
        resume=options.resume,
        on_progress=on_progress,
    )


def _donors(cohort: ad.AnnData) -> list[str]:
    return sorted(cohort.obs["donor"].unique())


def _check_folder(output: Path, inputs: list[Path], *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder whose run or model would be lost, or that is others'.

    What is replaced stays until something whole takes its place.
    """
    check_run(output, inputs)
    has_checkpoint = (output / CHECKPOINT_NAME).exists()
    if has_checkpoint and not resume and not overwrite:
        raise TrainingError(
            f"{output} already holds a run. Continue it with --resume, start again with "
            f"--overwrite, or name another folder."
        )
    if not has_checkpoint and (output / "model.json").exists() and not overwrite:
        raise TrainingError(
            f"{output} holds a finished model. Name another folder, or replace it with --overwrite."
        )


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
