"""A user's table read and made ready, with everything found in it said on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from mtm_core.cli.output import err
from mtm_core.data.alignment import AlignmentMethod
from mtm_core.data.expression import ExpressionTable, read_expression
from mtm_core.data.reading_options import NumberStyle, ReadingOptions, Strand
from mtm_core.data.report import Note
from mtm_core.data.units import UNIT_HELP, UnitChoice
from mtm_core.errors import SelectionError
from mtm_core.inference.name_lists import split_names
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor, Prepared

UnitOption = Annotated[UnitChoice, typer.Option(help=UNIT_HELP)]
AlignmentOption = Annotated[
    AlignmentMethod,
    typer.Option(help="Bring each gene's mean and SD in the samples to the reference's."),
]
SourceOption = Annotated[str, typer.Option(help="Tissue of the samples.")]
TargetsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Tissues, comma-separated or repeated, or all; 'mtm model describe' lists them. A name"
        " with a comma goes in double quotes."
    ),
]
TakeBackOption = Annotated[
    list[str] | None,
    typer.Option(help="Columns that are set aside and are samples all the same, as --targets."),
]
LeaveOutOption = Annotated[
    list[str] | None,
    typer.Option(help="Columns that are read as samples and are none, as --targets."),
]
NumbersOption = Annotated[
    NumberStyle,
    typer.Option(help="What separates decimals; with comma, 1.234 is a thousand."),
]
QuantityOption = Annotated[
    str, typer.Option(help="Column to read where there are several of a sample: TPM, unstranded.")
]
SheetOption = Annotated[str, typer.Option(help="Sheet of a workbook to read.")]
StrandOption = Annotated[Strand, typer.Option(help="Column of STAR's ReadsPerGene to read.")]
TablesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="INPUT...",
        help="Expression: csv, tsv, txt, gct (also .gz), xlsx, parquet, h5ad. Or files of one"
        " sample each (STAR, HTSeq, featureCounts, RSEM, Salmon, kallisto, StringTie): several, a"
        " folder or a zip.",
    ),
]
TranscriptsOption = Annotated[
    Path | None,
    typer.Option(
        "--tx2gene", help="Transcripts and their genes, for files of transcripts: csv, tsv or GTF."
    ),
]
ModelOption = Annotated[str, typer.Option(help="Bundled model, or a model's folder.")]


def reading_options(
    take_back: list[str] | None,
    leave_out: list[str] | None,
    numbers: NumberStyle,
    quantity: str,
    sheet: str,
    strand: Strand,
) -> ReadingOptions:
    """Give what the options say about the table of expression.

    Raises
    ------
    SelectionError
        If a list of names cannot be read.
    """
    return ReadingOptions(
        take_back=tuple(split_names(take_back or [])),
        leave_out=tuple(split_names(leave_out or [])),
        numbers=numbers,
        sheet=sheet,
        quantity=quantity,
        strand=strand,
    )


def targets_option(targets: list[str] | None) -> tuple[str, ...] | None:
    """Give the tissues that ``--targets`` names; ``None`` for all.

    Raises
    ------
    SelectionError
        If the option is given and names none, or cannot be read.
    """
    names = split_names(targets or ["all"])
    if not names:
        raise SelectionError("--targets names no tissue. Name at least one, or leave it out.")
    return None if names == ["all"] else tuple(names)


def read_samples(
    tables: Sequence[Path],
    predictor: Predictor,
    options: PredictionOptions,
    tx2gene: Path | None = None,
) -> tuple[ExpressionTable, Prepared]:
    """Read ``tables`` and bring them to the model's genes, unit and z-scores.

    Raises
    ------
    InputFileError, ExpressionError, SelectionError
        As :func:`mtm_core.data.expression.read_expression` and
        :meth:`mtm_core.inference.predictor.Predictor.prepare`.
    """
    read = read_expression(
        tables,
        known_genes=predictor.genes,
        typical=predictor.typical(options.source),
        options=options.reading,
        tx2gene=tx2gene,
    )
    report = read.report
    err.print(
        f"{report.file}: {report.n_samples} samples, {report.n_genes:,} genes,"
        f" {report.orientation}, {report.id_type} ids."
    )
    prepared = options.prepare(predictor, read)
    print_reading(prepared.unit, prepared.aligned.how, prepared.aligned.distance)
    # What the reader took the unit for does not hold where the user has said otherwise.
    print_notes(
        note
        for note in (*report.notes, *prepared.notes)
        if note.found != report.unit_reason or options.unit == "auto"
    )
    return read, prepared


def print_reading(unit: str, alignment: str, distance: pd.DataFrame) -> None:
    """Print how samples were read: ``distance_before`` and ``distance_after`` are by sample."""
    median = distance[["distance_before", "distance_after"]].median()
    err.print(
        f"Read as {unit}. Alignment: {alignment}. Distance from the reference, median over"
        f" samples: {median['distance_before']:.2f} before, {median['distance_after']:.2f} after."
    )


def print_notes(notes: Iterable[Note]) -> None:
    """Print findings, a line each."""
    for note in notes:
        label = "Warning: " if note.level == "warning" else "Note: "
        style = "yellow" if note.level == "warning" else None
        err.print(label + str(note), style=style)
