"""A user's table read and made ready, with everything found in it said on standard error."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.output import err
from mtm_core.data.files.reading_options import NumberStyle, ReadingOptions, Strand
from mtm_core.data.notes import Level
from mtm_core.data.units import UNIT_HELP, UnitChoice
from mtm_core.errors import SelectionError
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.options import FurtherTissue
from mtm_core.reporting.name_lists import split_names
from mtm_core.workflows import further_tissues as workflows

UnitOption = Annotated[UnitChoice, typer.Option(help=UNIT_HELP)]
AlignmentOption = Annotated[
    AlignmentMethod,
    typer.Option(
        help="Set each gene's mean and SD in the samples to those of the reference (cohort; "
        "auto: from 20 samples on), its median and interquartile range (robust) or its quantiles."
    ),
]
BatchOption = Annotated[
    str,
    typer.Option(
        metavar="COLUMN", help="Metadata column of batches; each batch is aligned separately."
    ),
]
AlignmentFromOption = Annotated[
    str,
    typer.Option(
        metavar="FILE|FOLDER",
        help="Read the samples like those of an earlier prediction, even a single one: its "
        "alignment.json, folder or bundle.",
    ),
]
AsBatchOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="Batch of the saved alignment to use for all samples."),
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
    typer.Option(help="Columns that would be set aside but are samples; written as for --targets."),
]
LeaveOutOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns that would be read as samples but are not; written as for --targets."
    ),
]
NumbersOption = Annotated[
    NumberStyle,
    typer.Option(help="Decimal separator; with comma, 1.234 means 1234."),
]
QuantityOption = Annotated[
    str, typer.Option(help="Quantity to read if a sample has several columns: TPM, unstranded.")
]
SheetOption = Annotated[str, typer.Option(help="Sheet of a workbook to read.")]
StrandOption = Annotated[Strand, typer.Option(help="Column of STAR's ReadsPerGene to read.")]
TablesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="INPUT...",
        help="Expression: csv, tsv, txt, gct (also .gz), xlsx, parquet, h5ad. Or one file per "
        "sample (STAR, HTSeq, featureCounts, RSEM, Salmon, kallisto, StringTie): several files, "
        "a folder or a zip.",
    ),
]
TranscriptsOption = Annotated[
    Path | None,
    typer.Option(
        "--tx2gene",
        help="Transcripts and their genes, for transcript-level files: csv, tsv or GTF.",
    ),
]
AndOption = Annotated[
    list[str] | None,
    typer.Option(
        "--and",
        metavar="TISSUE=FILE",
        help="Table of another tissue of the same people; repeatable. A person's samples have "
        "the same name in all tables.",
    ),
]
AndUnitOption = Annotated[
    list[str] | None,
    typer.Option(metavar="TISSUE=UNIT", help="Unit of the table of another tissue."),
]
AndBatchOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TISSUE=COLUMN",
        help="Metadata column of the batches of another tissue's samples; without it they are "
        "aligned together.",
    ),
]
NearPeopleOption = Annotated[
    bool,
    typer.Option(help="Match similar names of one person in two tables (P01_blood, P01_skin)."),
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
    """Return what the options say about the table of expression.

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
    """Return the tissues that ``--targets`` names; ``None`` for all.

    Raises
    ------
    SelectionError
        If the option is given and names none, or cannot be read.
    """
    names = split_names(targets or ["all"])
    if not names:
        raise SelectionError("--targets is empty. Name at least one tissue, or omit the option.")
    return None if names == ["all"] else tuple(names)


def further_tissues(
    tables: list[str] | None, units: list[str] | None, batches: list[str] | None = None
) -> tuple[tuple[FurtherTissue, ...], tuple[Path, ...]]:
    """Return what ``--and``, ``--and-unit`` and ``--and-batch`` say: tissues, and their files.

    Raises
    ------
    SelectionError
        If one is not TISSUE=..., a tissue is given twice, or a unit is of none of them or unknown.
    """
    further, files = workflows.further_tissues(tables, units, batches)
    return further, tuple(map(Path, files))


def print_found(text: str, *, level: Level = "info") -> None:
    """Print what was found or done, a line each."""
    err.print(text, style="yellow" if level == "warning" else None)
