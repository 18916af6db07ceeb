"""``mtm predict``: a user's table in, other tissues out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.output import err
from mtm_core.data.alignment import AlignmentMethod
from mtm_core.data.expression import read_expression
from mtm_core.data.report import Note
from mtm_core.inference.export import check_output, write_prediction
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.predictor import Predictor, UnitChoice


def predict_command(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT", help="Expression: csv, tsv, txt, gct (also .gz), xlsx, parquet, h5ad."
        ),
    ],
    output: Annotated[Path, typer.Option(help="File to write: .csv, .parquet, .h5ad or .zarr.")],
    model: Annotated[str, typer.Option(help="Bundled model, or a model's folder.")] = DEFAULT_MODEL,
    source: Annotated[str, typer.Option(help="Tissue of the samples.")] = "Whole Blood",
    targets: Annotated[
        str,
        typer.Option(help="Tissues, comma-separated, or all; 'mtm model describe' lists them."),
    ] = "all",
    unit: Annotated[UnitChoice, typer.Option(help="Unit of the values.")] = "auto",
    alignment: Annotated[
        AlignmentMethod,
        typer.Option(help="Bring each gene's mean and SD in the samples to the reference's."),
    ] = "auto",
) -> None:
    """Predict the expression of other tissues.

    Either orientation and any gene ids (Ensembl, symbol, Entrez) will do; what was found in the
    file and done about it is printed.

    **Example:** `mtm predict blood.csv --output predicted.parquet`

    **Example:** `mtm predict data_samples/blood_tpm.tsv --targets "Lung,Liver" --output lung.csv`
    """
    began = time.perf_counter()
    check_output(output)
    predictor = Predictor.load(find_model(model))
    chosen = None if targets == "all" else [name.strip() for name in targets.split(",")]
    chosen = list(predictor.targets_of(source, chosen))
    read = read_expression(table, known_genes=predictor.genes)
    report = read.report
    err.print(
        f"{report.file}: {report.n_samples} samples, {report.n_genes:,} genes,"
        f" {report.orientation}, {report.id_type} ids."
    )
    prepared = predictor.prepare(read, source=source, unit=unit, alignment=alignment)
    distance = prepared.aligned.distance
    err.print(
        f"Read as {prepared.unit}. Alignment: {prepared.aligned.how}. Distance from the reference,"
        f" median over samples: {distance['distance_before'].median():.2f} before,"
        f" {distance['distance_after'].median():.2f} after."
    )
    for note in (*report.notes, *prepared.notes):
        # What the reader took the unit for does not hold where the user has said otherwise.
        if note.found != report.unit_reason or unit == "auto":
            _print_note(note)
    prediction = predictor.predict_prepared(prepared, chosen)
    write_prediction(prediction, output)
    n_samples, n_tissues, n_genes = prediction["z"].shape
    err.print(
        f"Wrote {output}: {n_samples} samples x {n_tissues} tissues x {n_genes} genes, in"
        f" {time.perf_counter() - began:.1f} s. For research use, not for diagnosis."
    )


def _print_note(note: Note) -> None:
    label = "Warning: " if note.level == "warning" else "Note: "
    style = "yellow" if note.level == "warning" else None
    err.print(label + str(note), style=style)
