"""``mtm judge``: predictions held to what was measured in the same people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.metadata_options import (
    AgeColumnOption,
    MetadataSheetOption,
    NearNamesOption,
    SexCodesOption,
    SexColumnOption,
    UnknownOption,
    metadata_options,
)
from mtm_core.cli.output import OverwriteOption, err, say
from mtm_core.cli.own_samples import (
    AlignmentFromOption,
    AlignmentOption,
    AndBatchOption,
    AndOption,
    AndUnitOption,
    AsBatchOption,
    BatchOption,
    LeaveOutOption,
    ModelOption,
    NearPeopleOption,
    NumbersOption,
    QuantityOption,
    SheetOption,
    SourceOption,
    StrandOption,
    TablesArgument,
    TakeBackOption,
    TranscriptsOption,
    UnitOption,
    further_tissues,
    print_found,
    reading_options,
)
from mtm_core.cli.predict_chunked import progress_bar
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.units import UnitChoice
from mtm_core.escaping import on_terminal
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.options import PredictionOptions
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.workflows.judge import N_SHUFFLES, JudgeOptions, in_lines, judge_predictions


def judge_command(
    tables: TablesArgument,
    measured: Annotated[
        list[Path],
        typer.Option(help="Measured expression of --tissue in some of the same people."),
    ],
    tissue: Annotated[str, typer.Option(help="Tissue that is measured and predicted.")],
    output: Annotated[Path, typer.Option(help="Folder for the tables.")],
    model: ModelOption = DEFAULT_MODEL,
    source: SourceOption = WHOLE_BLOOD,
    unit: UnitOption = "auto",
    measured_unit: Annotated[
        UnitChoice,
        typer.Option(help="Unit of the measured table, as --unit."),
    ] = "auto",
    alignment: AlignmentOption = "auto",
    batch: BatchOption = "",
    alignment_from: AlignmentFromOption = "",
    as_batch: AsBatchOption = "",
    measured_alignment: Annotated[
        AlignmentMethod,
        typer.Option(help="Alignment of the measured table, as --alignment."),
    ] = "auto",
    take_back: TakeBackOption = None,
    leave_out: LeaveOutOption = None,
    numbers: NumbersOption = "auto",
    quantity: QuantityOption = "",
    sheet: SheetOption = "",
    strand: StrandOption = "auto",
    tx2gene: TranscriptsOption = None,
    and_: AndOption = None,
    and_unit: AndUnitOption = None,
    and_batch: AndBatchOption = None,
    near_people: NearPeopleOption = False,
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="Age and sex of the samples, for models that read them, and --person: csv, tsv,"
            " xlsx or parquet."
        ),
    ] = None,
    age_column: AgeColumnOption = None,
    sex_column: SexColumnOption = None,
    sex_codes: SexCodesOption = "",
    unknown: UnknownOption = None,
    near_names: NearNamesOption = False,
    metadata_sheet: MetadataSheetOption = "",
    person: Annotated[
        str,
        typer.Option(
            help="Metadata column that names the person of each sample, where some have several:"
            " their samples are averaged."
        ),
    ] = "",
    shuffles: Annotated[
        int, typer.Option(help="Number of shuffles of people, to show chance.", min=0)
    ] = N_SHUFFLES,
    seed: Annotated[int, typer.Option(help="Seed of the shuffles.", min=0)] = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Compare predictions of a tissue with the same tissue, measured in some of the same people.

    Prints and writes gene-wise and sample-wise rho, which genes hold, how often measured values lie
    in the intervals, and errors in log2 units, beside what the model promises (out-of-fold rho in
    GTEx) and what chance gives (people shuffled). Samples of one person are named alike in both
    tables.

    **Example:** `mtm judge blood.tsv --measured lung.tsv --tissue Lung --output judged`
    """
    said = metadata_options(
        age_column, sex_column, sex_codes, unknown, metadata_sheet, near_names=near_names
    )
    further, further_tables = further_tissues(and_, and_unit, and_batch)
    options = JudgeOptions(
        tuple(tables),
        tuple(measured),
        tissue,
        output,
        model,
        PredictionOptions(
            source,
            (tissue,),
            unit,
            alignment,
            reading_options(take_back, leave_out, numbers, quantity, sheet, strand),
            said,
            batch,
            alignment_from,
            as_batch,
            further,
            near_people,
        ),
        measured_unit,
        measured_alignment,
        further_tables,
        metadata,
        shuffles,
        seed,
        overwrite,
        tx2gene,
        person,
    )
    with progress_bar(by_lines=False) as show:
        found = judge_predictions(options, print_found, show)
    for line in in_lines(found.summary):
        say(on_terminal(line))
    err.print(
        f"Wrote the tables to {output}: {len(found.people)} people, {len(found.genes):,} genes of"
        f" {tissue}. For research use, not for diagnosis."
    )
