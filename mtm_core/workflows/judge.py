"""Compare predictions with the same tissue, measured in some of the same people."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.tables.expression import read_expression
from mtm_core.data.units import UnitChoice
from mtm_core.errors import SelectionError
from mtm_core.escaping import in_cells
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.together import Together
from mtm_core.model_folder import ModelFolder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.safe_output import check_output, writing
from mtm_core.studies.against_measured import N_SHUFFLES as N_SHUFFLES
from mtm_core.studies.against_measured import MeasuredCheck as MeasuredCheck
from mtm_core.studies.against_measured import check_against_measured
from mtm_core.studies.beside_model import evaluation_of
from mtm_core.workflows.batches import check_alignment
from mtm_core.workflows.input_files import check_files, check_there
from mtm_core.workflows.own_samples import (
    Say,
    StepProgress,
    check_further,
    read_known,
    read_own_samples,
    say_notes,
    say_nothing,
    say_reading,
    tell_nobody,
)
from mtm_core.workflows.plain_values import PlainValues

TABLES = ("summary", "genes", "people", "rho_counts", "names")
"""Tables that are written, as csv."""


@dataclass(frozen=True)
class JudgeOptions(PlainValues):
    """Options of a check against measured expression.

    Attributes
    ----------
    tables, measured
        Tables to predict from, and the measured table of ``tissue``.
    tissue
        Tissue that is predicted and measured.
    output
        Folder.
    model
        Name of a model, or a model's folder.
    prediction
        Source, unit, alignment and how to read the tables to predict from.
    measured_unit, measured_alignment
        Unit and alignment of the measured table.
    further
        Tables of the further tissues of ``prediction``, in order.
    metadata
        Age and sex, for models that read them.
    shuffles, seed
        Number and seed of the shuffles of people.
    overwrite
        Replace what is there.
    tx2gene
        Transcripts and their genes, for the tables to predict from.
    person
        Column of ``metadata`` that names the person of each sample; empty if each is of another.
    """

    tables: tuple[Path, ...]
    measured: tuple[Path, ...]
    tissue: str
    output: Path
    model: str = DEFAULT_MODEL
    prediction: PredictionOptions = field(default_factory=PredictionOptions)
    measured_unit: UnitChoice = "auto"
    measured_alignment: AlignmentMethod = "auto"
    further: tuple[Path, ...] = ()
    metadata: Path | None = None
    shuffles: int = N_SHUFFLES
    seed: int = 0
    overwrite: bool = False
    tx2gene: Path | None = None
    person: str = ""


@dataclass(frozen=True)
class Judged:
    """A check, and what it depends on.

    Attributes
    ----------
    found
        Result of the check.
    used
        How the tables that were predicted from were read.
    settings
        Everything the result depends on, as JSON values.
    """

    found: MeasuredCheck
    used: PredictionOptions
    settings: dict[str, Any]


def judge_people(
    predictor: Predictor,
    people: Prepared | Together,
    measured: Prepared,
    chosen: PredictionOptions,
    *,
    file: tuple[str, str] = ("", ""),
    phenotypes: pd.DataFrame | None = None,
    evaluation: EvaluationTables | None = None,
    person: pd.Series | None = None,
    shuffles: int = N_SHUFFLES,
    seed: int = 0,
    on_progress: StepProgress = tell_nobody,
) -> Judged:
    """Predict the tissue of ``measured`` in ``people``, and compare the two.

    Parameters
    ----------
    predictor, people, measured
        The model, and the samples as it reads them.
    chosen
        How ``people`` were read; ``near_people`` holds for ``measured`` too.
    file
        Name and SHA-256 of the measured table.
    phenotypes
        Age and sex of ``people``, for models that read them.
    evaluation
        How the model did on held-out donors.
    person
        Person of each sample, by the name of its column; ``None`` if each is of another.
    shuffles, seed
        Number and seed of the shuffles of people.

    Raises
    ------
    SelectionError
        As :func:`mtm_core.studies.against_measured.check_against_measured`.
    """
    on_progress("Predicting", 0, 1)
    prediction = predictor.predict_prepared(people, [measured.source], phenotypes=phenotypes)
    found = check_against_measured(
        prediction,
        measured,
        predictor.artefact,
        evaluation,
        near_people=chosen.near_people,
        person=person,
        n_shuffles=shuffles,
        seed=seed,
        on_progress=lambda done, total: on_progress("Shuffling people", done, total),
    )
    used = chosen.as_used(prediction)
    settings = {
        **{key: str(value) for key, value in prediction.attrs.items()},
        "tissue": measured.source,
        "measured": file[0],
        "measured_sha256": file[1],
        "measured_unit": measured.unit,
        "measured_alignment": measured.aligned.how,
        "options": used.to_json(),
        "person": "" if person is None else str(person.name),
        "shuffles": shuffles,
        "seed": seed,
        "notes": [str(note) for note in found.notes],
    }
    return Judged(found, used, settings)


def judge_predictions(
    options: JudgeOptions,
    say: Say = say_nothing,
    on_progress: StepProgress = tell_nobody,
) -> MeasuredCheck:
    """Predict ``tissue``, compare it with what was measured, and write the tables.

    Raises
    ------
    SelectionError
        If options do not fit each other, the model or the files; if nobody is in both.
    InputFileError, ExpressionError, ArtefactError
        If a table or the model cannot be used.
    OutputError
        If the output is something else, or cannot be written.

    Examples
    --------
    >>> from mtm_core import SAMPLES, JudgeOptions, Predictor, judge_predictions, read_expression
    >>> predictor = Predictor.load("gtex_v8_acmg59_stack")
    >>> table = read_expression(SAMPLES / "blood_tpm.tsv", known_genes=predictor.genes)
    >>> lung = predictor.predict(table, targets=["Lung"])["expression"].sel(tissue="Lung")
    >>> lung.to_pandas().to_csv("lung.csv")  # predicted values, in place of measured ones
    >>> check = judge_predictions(
    ...     JudgeOptions(
    ...         SAMPLES / "blood_tpm.tsv", "lung.csv", "Lung", output="check", shuffles=20
    ...     )
    ... )
    >>> len(check.people), len(check.genes)
    (40, 59)
    >>> bool(check.summary.loc["gene_rho", "value"] > 0.9)
    True
    """
    folder, chosen = find_model(options.model), options.prediction
    beside = [path for path in (options.metadata,) if path is not None]
    beside += [path for path in (options.tx2gene,) if path is not None]
    inputs = [*options.tables, *options.measured, *options.further, *beside, folder / "model.json"]
    check_output(options.output, overwrite=options.overwrite, inputs=inputs, folder=True)
    check_alignment(chosen, options.metadata)
    check_further(options)
    if options.person and options.metadata is None:
        raise SelectionError("--person names a column of the metadata: give --metadata too.")
    files = ModelFolder.open(folder)
    predictor = Predictor(Artefact.load(files))
    predictor.targets_of(chosen.sources, [options.tissue])
    check_there(input=options.tables, measured=options.measured, **{"and": options.further})
    check_files(metadata=options.metadata, tx2gene=options.tx2gene)
    people = read_own_samples(options, predictor, say).people
    read = read_expression(
        options.measured,
        known_genes=predictor.genes,
        typical=predictor.typical(options.tissue),
    )
    report = read.report
    say(f"Measured {options.tissue}: {report.file}: {report.size_in_words}.")
    measured = predictor.prepare(
        read,
        source=options.tissue,
        unit=options.measured_unit,
        alignment=options.measured_alignment,
    )
    say_reading(measured.unit, measured.aligned.how, measured.aligned.distance, say)
    of_measured = (*report.notes, *measured.notes)
    say_notes(
        (
            replace(note, found=f"{options.tissue}: {note.found}")
            for note in of_measured
            if note.found != report.unit_reason or options.measured_unit == "auto"
        ),
        say,
    )
    phenotypes, person = None, None
    if options.metadata is not None and (predictor.covariates or options.person):
        known = read_known(options.metadata, people.samples, chosen.metadata, say)
        phenotypes = known.phenotypes() if predictor.covariates else None
        if options.person:
            known.column(options.person)  # there, and with a value
            person = known.values[options.person]
    judged = judge_people(
        predictor,
        people,
        measured,
        chosen,
        file=(report.file, report.sha256),
        phenotypes=phenotypes,
        evaluation=evaluation_of(files, predictor.artefact),
        person=person,
        shuffles=options.shuffles,
        seed=options.seed,
        on_progress=on_progress,
    )
    say_notes(judged.found.notes, say)
    with writing(
        options.output,
        overwrite=options.overwrite,
        inputs=inputs,
        folder=True,
        kind="a check against measured",
    ) as place:
        for name, data in files_of(judged).items():
            (place / name).write_bytes(data)
    return judged.found


def files_of(judged: Judged) -> dict[str, bytes]:
    """Return the files of a check by name: a CSV a table, and ``settings.json``."""
    files = {
        f"{name}.csv": in_cells(table).to_csv(index=False, float_format="%.6g").encode()
        for name, table in tables_of(judged.found).items()
    }
    files["settings.json"] = (json.dumps(judged.settings, indent=1) + "\n").encode()
    return files


def in_lines(summary: pd.DataFrame) -> list[str]:
    """Describe each figure of a check in a line, beside its out-of-fold value and chance."""
    lines = []
    for row in summary.itertuples():
        if np.isnan(row.value):
            continue
        words = f"{row.meaning}: {_number(row.value)}"
        beside = []
        if not np.isnan(row.low):
            beside.append(f"95 % interval {_number(row.low)} to {_number(row.high)}")
        if not np.isnan(row.out_of_fold):
            beside.append(f"model card {_number(row.out_of_fold)}")
        if not np.isnan(row.chance_low):
            beside.append(f"chance {_number(row.chance_low)} to {_number(row.chance_high)}")
        lines.append(words + (f" ({'; '.join(beside)})" if beside else ""))
    return lines


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) > 1 else f"{value:.3f}"


def tables_of(found: MeasuredCheck) -> dict[str, pd.DataFrame]:
    """Return the tables of a check by name, as they are written."""
    frames = (
        found.summary.reset_index(),
        found.genes.reset_index(),
        found.people.reset_index(),
        found.rho_counts,
        found.match.as_table().rename(columns={"first": "predicted", "further": "measured"}),
    )
    return dict(zip(TABLES, frames, strict=True))
