"""Study what a method has learnt: which genes it predicts, and MTM's latent codes (paper, 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import anndata as ad
import pandas as pd

from mtm_core.config import PresetName, to_json
from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.data.cohort.splits import DonorFolds
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.evaluation.predictability import matrix_of
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.on_components import OnComponentsMethod
from mtm_core.methods.protocol import Method, tissue_index
from mtm_core.model_places import find_model
from mtm_core.studies.latent import LatentModel, LatentStudy, find_mtm, study_latent
from mtm_core.studies.predictable_genes import (
    PredictableGenesStudy,
    read_annotation,
    study_predictable_genes,
)
from mtm_core.training.hardware import Hardware, check_hardware
from mtm_core.training.trainer import TrainingProgress
from mtm_core.workflows.input_files import check_files, check_folders
from mtm_core.workflows.own_samples import Say, say_nothing
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.progress import OnProgress, Steps
from mtm_core.workflows.run_settings import run_config
from mtm_core.workflows.study_files import (
    check_study_output,
    cohort_settings,
    read_study_cohort,
    save_tables,
)

COMPARING = "Compare predictable with other genes"
TRAINING = "Train MTM without the held-out donors"
LOOKING = "Compare latent codes and their decoding"
WRITING = "Write the tables"
LatentMethod = Literal["mtm", "compact-mtm"]
"""Methods with latent codes."""


@dataclass(frozen=True)
class PredictableGenesOptions(PlainValues):
    """Whose genes to compare, and where to write what is found.

    Attributes
    ----------
    cohort, evaluation
        Cohort, and the folder of 'mtm evaluate' on it.
    output
        Folder for the tables.
    method
        Method of that evaluation.
    annotations
        Tables of genes and one number each, by name.
    seed
        Seed of everything random.
    overwrite
        Replace a study that is there.
    """

    cohort: Path
    evaluation: Path
    output: Path
    method: str = "stack"
    annotations: Mapping[str, Path] = field(default_factory=dict)
    seed: int = 0
    overwrite: bool = False


@dataclass(frozen=True)
class LatentOptions(PlainValues):
    """Whose latent codes to look at, and where to write what is found.

    Attributes
    ----------
    cohort, output
        Cohort, and folder for the tables.
    model
        Model of MTM, or of a stack with one.
    folds, hold_out
        Folds of an evaluation, and which of them: MTM is trained anew without its donors, and
        those alone are looked at. ``None``: the model as it is, and all donors.
    method
        What is trained anew: ``"mtm"``, or ``"compact-mtm"``, which suits genome-wide cohorts.
    preset, settings, hardware
        Settings of that training.
    seed
        Seed of everything random.
    overwrite
        Replace a study that is there.
    """

    cohort: Path
    output: Path
    model: str = "gtex_v8_acmg59"
    folds: Path | None = None
    hold_out: int = 0
    method: LatentMethod = "mtm"
    preset: PresetName = "acmg59"
    settings: tuple[str, ...] = ()
    hardware: Hardware = field(default_factory=lambda: Hardware("auto", 1, 1))
    seed: int = 0
    overwrite: bool = False


def study_predictable(
    options: PredictableGenesOptions,
    on_progress: OnProgress | None = None,
    say: Say = say_nothing,
) -> PredictableGenesStudy:
    """Ask what sets the genes apart that a method predicts; write the tables.

    Parameters
    ----------
    options
        Options of the study.
    on_progress
        Called with each step.
    say
        Called with what is to be known of the cohort.

    Raises
    ------
    SelectionError
        If the method is not there.
    InputFileError, CohortError
        If a file is not what it is given for, or files do not belong together.
    OutputError
        If the output is something else, or cannot be written.

    Examples
    --------
    >>> from mtm_core import (
    ...     EvaluateOptions, PredictableGenesOptions, evaluate_methods, study_predictable
    ... )
    >>> _ = evaluate_methods(
    ...     EvaluateOptions(
    ...         "cohort.h5ad", "evaluation", methods=["ridge"], folds=2
    ...     )
    ... )
    >>> study = study_predictable(
    ...     PredictableGenesOptions("cohort.h5ad", "evaluation", "predictable", method="ridge")
    ... )
    >>> study.quartiles["tissue"].nunique()  # all but whole blood
    2
    """
    annotations = {name: Path(file) for name, file in options.annotations.items()}
    check_files(annotation=list(annotations.values()), cohort=options.cohort)
    check_folders(evaluation=options.evaluation)
    inputs = [options.cohort, options.evaluation / "settings.json", *annotations.values()]
    check_study_output(options.output, inputs, overwrite=options.overwrite)
    data = read_study_cohort(options.cohort, say=say)
    tables = EvaluationTables.load(options.evaluation)
    method = options.method
    if method not in tables.methods:
        raise SelectionError.unknown("method", [method], tables.methods)
    if tables.settings.get("cohort_sha256") != str(data.uns["mtm"]["sha256"]):
        raise InputFileError(
            f"{options.evaluation} is of another cohort. Run 'mtm evaluate' on this one."
        )
    steps = Steps((COMPARING, WRITING), on_progress)
    with steps.running(COMPARING):
        rho = matrix_of(tables, method, "rho_pooled")
        known = {name: read_annotation(file, data.var) for name, file in annotations.items()}
        study = study_predictable_genes(rho, data, known, seed=options.seed)
    settings = cohort_settings(data) | {"method": method, "seed": options.seed, "rho": "pooled"}
    with steps.running(WRITING):
        save_tables(
            options.output,
            settings,
            overwrite=options.overwrite,
            quartiles=study.quartiles,
            summary=study.summary().reset_index(),
            similarity=pd.DataFrame([vars(study.tissues)]),
        )
    return study


def study_latent_codes(
    options: LatentOptions,
    on_progress: OnProgress | None = None,
    say: Say = say_nothing,
    on_training: Callable[[TrainingProgress], None] | None = None,
) -> LatentStudy:
    """Ask whether the tissues of a donor have like latent codes, and how codes are decoded.

    Parameters are as of :func:`study_predictable`, and ``on_training``, which is called with each
    step of training.

    Raises
    ------
    SelectionError
        If the fold is not there, a setting does not fit, or the model has no latent codes.
    ArtefactError, InputFileError, CohortError
        If a file or the model is not what it is given for, or they do not belong together.
    OutputError
        If the output is something else, or cannot be written.
    """
    check_hardware(options.hardware)
    if options.method not in get_args(LatentMethod):
        raise SelectionError.unknown("method", [options.method], get_args(LatentMethod))
    check_files(cohort=options.cohort, folds=options.folds)
    if options.folds is None:
        find_model(options.model)
    inputs = [options.cohort, options.folds]
    check_study_output(options.output, inputs, overwrite=options.overwrite)
    data = read_study_cohort(options.cohort, say=say)
    finding = (TRAINING,) if options.folds is not None else ()
    steps = Steps((*finding, LOOKING, WRITING), on_progress)
    donors: tuple[str, ...] | None = None
    if options.folds is None:
        fitted = find_mtm(Predictor.load(find_model(options.model)).artefact.method)
        about: dict[str, Any] = {
            "model": options.model,
            "donors": "all, and the model was trained on them",
        }
        say(
            "The model was trained on these donors. Use --folds to study donors not seen in "
            "training."
        )
    else:
        fitted, donors, about = _without_a_fold(options, options.folds, data, steps, on_training)
    with steps.running(LOOKING):
        study = study_latent(fitted, data, donors, seed=options.seed)
    with steps.running(WRITING):
        save_tables(
            options.output,
            cohort_settings(data) | about | {"seed": options.seed},
            overwrite=options.overwrite,
            pairs=study.pairs,
            codes=pd.DataFrame([study.codes]),
            layers=study.layers,
        )
    return study


def _without_a_fold(
    options: LatentOptions,
    folds: Path,
    data: ad.AnnData,
    steps: Steps,
    on_training: Callable[[TrainingProgress], None] | None,
) -> tuple[LatentModel, tuple[str, ...], dict[str, Any]]:
    """Train MTM without the donors of a fold; return it, those donors, and what is said of it."""
    dealt, hold_out = DonorFolds.load(folds), options.hold_out
    if hold_out >= len(dealt.folds):
        raise SelectionError.unknown(
            "fold", [str(hold_out)], [str(k) for k in range(len(dealt.folds))]
        )
    tissues = tissue_names(data)
    config = run_config(options.preset, options.settings, data.n_vars, len(tissues))
    tissue_index(tissues, config.training.validation_source)
    donors = dealt.held_out(hold_out)
    with steps.running(TRAINING, unit="epochs") as advance:

        def tell(now: TrainingProgress) -> None:
            advance(now.epoch, now.n_epochs)
            if on_training is not None:
                on_training(now)

        method: Method = MTMMethod(config, options.hardware, tell)
        if options.method != "mtm":
            method = OnComponentsMethod(method)
        fitted = find_mtm(method.fit(data, dealt.training(hold_out)))
    about = {
        "model": f"{options.method}, trained without the donors studied",
        "donors": f"{len(donors)} of fold {hold_out}",
        "config": to_json(config),
    }
    return fitted, donors, about
