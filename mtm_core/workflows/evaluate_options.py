"""Options of an evaluation, looked at before anything is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mtm_core.config import PresetName
from mtm_core.errors import SelectionError
from mtm_core.evaluation.bootstrap import N_RESAMPLES
from mtm_core.evaluation.results import EVALUATION
from mtm_core.methods.registry import METHOD_NAMES
from mtm_core.safe_output import OwnFolder
from mtm_core.training.hardware import Hardware, check_hardware
from mtm_core.workflows.plain_values import PlainValues

DEFAULT_METHODS = ("mtm", "ridge", "training-mean")


@dataclass(frozen=True)
class EvaluateOptions(PlainValues):
    """Options of an evaluation.

    Attributes
    ----------
    cohort, output
        Cohort of 'mtm data prepare', and folder for the tables. Folds that are done, fits and
        scores are cached in it; a later call with the same settings goes on from them.
    methods
        Names of :data:`mtm_core.methods.registry.METHOD_NAMES`.
    folds, seed
        How the donors are dealt.
    only
        Folds to run, from 0; ``None``: all.
    source, further_sources
        Tissue to predict from; tissues that a donor gives too, where there: no targets.
    preset, settings
        Settings of MTM to start from, and changes such as ``"training.epochs=20"``.
    hardware
        Device to train on.
    technical
        Table of technical attributes: also score without what the laboratory gave.
    composition
        Shares of blood cells by sample or donor: also score without them. Without it they are
        estimated where the source is whole blood and the cohort has the genes.
    combinations
        Tissues to predict from together, such as ``"Whole Blood+Muscle - Skeletal"``, or
        ``"most-given"``: the methods that can are scored on the donors who give all of them, too.
    jobs
        Folds, or tissues that are scored, at a time.
    resamples
        Resamples of the donors, for intervals and differences.
    save_predictions
        Also keep every out-of-fold value, one file a method.
    overwrite
        Replace the tables of other settings.
    """

    cohort: Path
    output: Path
    methods: tuple[str, ...] = DEFAULT_METHODS
    folds: int = 5
    only: tuple[int, ...] | None = None
    seed: int = 0
    source: str = "Whole Blood"
    further_sources: tuple[str, ...] = ()
    preset: PresetName = "acmg59"
    settings: tuple[str, ...] = ()
    hardware: Hardware = field(default_factory=Hardware)
    technical: Path | None = None
    composition: Path | None = None
    combinations: tuple[str, ...] = ()
    jobs: int = 1
    resamples: int = N_RESAMPLES
    save_predictions: bool = False
    overwrite: bool = False


def check_evaluation(options: EvaluateOptions) -> None:
    """Look at the options, before anything is read.

    Raises
    ------
    SelectionError, OutputError
        If one cannot be.
    """
    unknown = sorted(set(options.methods) - set(METHOD_NAMES))
    if unknown:
        raise SelectionError.unknown("method", unknown, METHOD_NAMES)
    outside = [str(fold) for fold in chosen_folds(options) if not 0 <= fold < options.folds]
    if outside:
        raise SelectionError.unknown("fold", outside, [str(k) for k in range(options.folds)])
    check_hardware(options.hardware)
    OwnFolder.to_be(options.output, EVALUATION, inputs=given_files(options))


def given_files(options: EvaluateOptions) -> list[Path]:
    """Return the files that an evaluation reads."""
    return [
        path
        for path in (options.cohort, options.technical, options.composition)
        if path is not None
    ]


def chosen_folds(options: EvaluateOptions) -> list[int]:
    """Return the folds to run, from 0."""
    return list(range(options.folds) if options.only is None else options.only)
