"""Hold predictions to the same tissue measured in some of the same people."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mtm_core.artefact import Artefact
from mtm_core.data.tables.expression import read_expression
from mtm_core.data.units import UnitChoice
from mtm_core.errors import SelectionError
from mtm_core.escaping import in_cells
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.together import Together
from mtm_core.model_folder import ModelFolder
from mtm_core.safe_output import check_output, writing
from mtm_core.studies.against_measured import N_SHUFFLES, MeasuredCheck, check_against_measured
from mtm_core.studies.beside_model import evaluation_of
from mtm_core.workflows.input_files import check_files, check_there
from mtm_core.workflows.own_samples import (
    Say,
    StepProgress,
    read_further,
    read_known,
    read_samples,
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
        That is predicted and measured.
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
    """
    folder, chosen = find_model(options.model), options.prediction
    beside = [path for path in (options.metadata,) if path is not None]
    inputs = [*options.tables, *options.measured, *options.further, *beside, folder / "model.json"]
    check_output(options.output, overwrite=options.overwrite, inputs=inputs, folder=True)
    if len(options.further) != len(chosen.further):
        raise SelectionError("give one table for each further tissue.")
    files = ModelFolder.open(folder)
    predictor = Predictor(Artefact.load(files))
    predictor.targets_of(chosen.sources, [options.tissue])
    check_there(input=options.tables, measured=options.measured, **{"and": options.further})
    check_files(metadata=options.metadata)
    _, first = read_samples(options.tables, predictor, chosen, None, say, options.metadata)
    people = chosen.put_together(first, read_further(options.further, predictor, chosen, say))
    if isinstance(people, Together):
        say_notes(people.notes, say)
    read = read_expression(
        options.measured,
        known_genes=predictor.genes,
        typical=predictor.typical(options.tissue),
    )
    report = read.report
    say(
        f"Measured {options.tissue}: {report.file}: {report.n_samples} samples,"
        f" {report.n_genes:,} genes, {report.orientation}, {report.id_type} ids.",
        False,
    )
    measured = predictor.prepare(
        read,
        source=options.tissue,
        unit=options.measured_unit,
        alignment=options.measured_alignment,
    )
    say_reading(measured.unit, measured.aligned.how, measured.aligned.distance, say)
    phenotypes = None
    if options.metadata is not None and predictor.covariates:
        phenotypes = read_known(options.metadata, people.samples, chosen.metadata, say).phenotypes()
    on_progress("Predicting", 0, 1)
    prediction = predictor.predict_prepared(people, [options.tissue], phenotypes=phenotypes)
    found = check_against_measured(
        prediction,
        measured,
        predictor.artefact,
        evaluation_of(files, predictor.artefact),
        near_people=chosen.near_people,
        n_shuffles=options.shuffles,
        seed=options.seed,
        on_progress=lambda done, total: on_progress("Shuffling people", done, total),
    )
    say_notes(found.notes, say)
    with writing(
        options.output,
        overwrite=options.overwrite,
        inputs=inputs,
        folder=True,
        kind="a check against measured",
    ) as place:
        for name, table in tables_of(found).items():
            in_cells(table).to_csv(place / f"{name}.csv", index=False, float_format="%.6g")
        settings = {
            **{key: str(value) for key, value in prediction.attrs.items()},
            "tissue": options.tissue,
            "measured": report.file,
            "measured_sha256": report.sha256,
            "measured_unit": measured.unit,
            "measured_alignment": measured.aligned.how,
            "options": chosen.as_used(prediction).to_json(),
            "shuffles": options.shuffles,
            "seed": options.seed,
            "notes": [str(note) for note in found.notes],
        }
        (place / "settings.json").write_text(json.dumps(settings, indent=1) + "\n")
    return found


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
