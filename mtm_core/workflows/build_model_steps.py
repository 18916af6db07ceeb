"""The last steps of a build: the model is fitted, evaluated, given associations, and written."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.cohort import read_cohort, tissue_names
from mtm_core.evaluation.results import EVALUATION, TABLES, EvaluationTables
from mtm_core.inference.verification import write_verification
from mtm_core.memory_budget import in_words
from mtm_core.model_folder import LICENCE, MODEL
from mtm_core.reporting.model_card import render_model_card
from mtm_core.safe_output import OwnFolder, writing
from mtm_core.sharing.licence import licence_text
from mtm_core.training.checkpoint import CHECKPOINT_NAME
from mtm_core.training.hardware import Hardware
from mtm_core.workflows.associations import AssociationOptions, associate
from mtm_core.workflows.build_run import WRITE, BuildRun
from mtm_core.workflows.evaluate import evaluate_methods
from mtm_core.workflows.evaluate_options import EvaluateOptions
from mtm_core.workflows.ledger import DoneStep
from mtm_core.workflows.run_settings import run_config
from mtm_core.workflows.train import TrainOptions, fit_method, train_model


def fit_model(run: BuildRun, name: str, cohort: Path) -> Mapping[str, Any]:
    """Fit the method to the whole cohort, in the step ``name``."""
    options, output = run.options, run.work / "fit"
    with run.steps.running(name) as advance:
        if options.method == "mtm":
            train_model(
                TrainOptions(
                    cohort,
                    output,
                    preset=options.preset,
                    settings=options.settings,
                    resume=(output / CHECKPOINT_NAME).exists(),
                    overwrite=True,
                    command=options.command,
                ),
                lambda now: advance(now.epoch, now.n_epochs, "epochs"),
            )
        else:
            data = read_cohort(cohort)
            n_tissues = len(tissue_names(data))
            config = run_config(options.preset, options.settings, data.n_vars, n_tissues)
            # What takes days is cached as it comes; what takes minutes is saved as a model alone.
            cache = _cached_fits(run) if options.method == "stack" else None
            fitted = fit_method(
                options.method,
                data,
                config,
                Hardware(),
                cache,
                on_step=lambda what, done, total: advance(done, total, what),
            )
            made_by = {"command": options.command}
            artefact = Artefact.of(fitted, data, name=options.output.name, provenance=made_by)
            advance(0, 0, "")
            with writing(output, overwrite=True, folder=True, kind=MODEL) as place:
                artefact.save(place)
    return run.made(output / "model.json", output / "model.safetensors")


def _cached_fits(run: BuildRun) -> Path:
    """Make the folder in which the evaluation caches its fits."""
    folder = OwnFolder.claim(run.work / "evaluation", EVALUATION)
    folder.own("fits/")
    return folder.path / "fits"


def evaluate(run: BuildRun, cohort: Path) -> Mapping[str, Any]:
    """Evaluate the methods on the cohort, out of fold."""
    options, output = run.options, run.work / "evaluation"
    evaluate_methods(
        EvaluateOptions(
            cohort,
            output,
            methods=run.methods,
            folds=options.folds,
            seed=options.seed,
            source=options.source,
            preset=options.preset,
            settings=options.settings,
            jobs=options.jobs,
            resamples=options.resamples,
            combinations=options.combinations,
            overwrite=True,
        ),
        run.steps.merged,
    )
    return run.made(*(output / name for name in TABLES if (output / name).exists()))


def find_associations(run: BuildRun, cohort: Path) -> Mapping[str, Any]:
    """Find the associations of the cohort's genes with traits."""
    output = run.work / "associations"
    associate(AssociationOptions(cohort, output, overwrite=True), run.steps.merged)
    return run.made(*sorted(path for path in output.iterdir() if path.name[0] != "."))


def write_model(run: BuildRun, of: Mapping[str, Any]) -> Mapping[str, Any]:
    """Put the model together beside its place, and give it its place.

    It is entered before it has its place: a run that is killed in between is known by it.
    """
    options = run.options
    with run.steps.running(WRITE) as advance:
        artefact = replace(Artefact.load(run.work / "fit"), name=options.output.name)
        tables = EvaluationTables.load(run.work / "evaluation") if run.methods else None
        if tables is not None:
            artefact = replace(artefact, accuracy=tables.of_method(artefact.method.name))
        with writing(options.output, overwrite=options.overwrite, folder=True, kind=MODEL) as place:
            if tables is not None:
                _copy(run.work / "evaluation", place / "evaluation", TABLES)
            if run.plan.has_phenotypes:
                _copy(run.work / "associations", place / "associations")
            card = render_model_card(artefact, tables)
            (place / "README.md").write_text(card, encoding="utf-8")
            if options.licence is not None:
                text = licence_text(options.licence, options.licence_file)
                (place / LICENCE).write_text(text, encoding="utf-8")
            artefact.save(place)
            write_verification(place)
            size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
            result = {"sha256": hashlib.sha256((place / "model.json").read_bytes()).hexdigest()}
            run.ledger.enter("model", DoneStep(of, result | {"took": {}}, 0.0, 0))
        advance(0, detail=f"{in_words(size)} in {options.output}")
    return result


def _copy(source: Path, target: Path, names: tuple[str, ...] | None = None) -> None:
    """Copy the plain files of a folder of ours, without its mark."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        if path.is_file() and path.name[0] != "." and (names is None or path.name in names):
            shutil.copyfile(path, target / path.name)
