"""``mtm judge``: predictions held to what was measured in the same people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
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
    AlignmentOption,
    AndOption,
    AndUnitOption,
    ModelOption,
    NearPeopleOption,
    SourceOption,
    TablesArgument,
    UnitOption,
    further_tissues,
    print_found,
)
from mtm_core.cli.predict_chunked import progress_bar
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.units import UnitChoice
from mtm_core.escaping import on_terminal
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.models import DEFAULT_MODEL
from mtm_core.inference.options import PredictionOptions
from mtm_core.studies.against_measured import N_SHUFFLES
from mtm_core.workflows.judge import JudgeOptions, judge_predictions


def judge_command(
    tables: TablesArgument,
    measured: Annotated[
        list[Path],
        typer.Option(help="Measured expression of --tissue in some of the same people."),
    ],
    tissue: Annotated[str, typer.Option(help="Measured tissue and is predicted.")],
    output: Annotated[Path, typer.Option(help="Folder for the tables.")],
    model: ModelOption = DEFAULT_MODEL,
    source: SourceOption = WHOLE_BLOOD,
    unit: UnitOption = "auto",
    measured_unit: Annotated[
        UnitChoice,
        typer.Option(help="Unit of the measured table, as --unit."),
    ] = "auto",
    alignment: AlignmentOption = "auto",
    measured_alignment: Annotated[
        AlignmentMethod,
        typer.Option(help="Alignment of the measured table, as --alignment."),
    ] = "auto",
    and_: AndOption = None,
    and_unit: AndUnitOption = None,
    near_people: NearPeopleOption = False,
    metadata: Annotated[
        Path | None,
        typer.Option(help="Age and sex of the samples, for models that read them: csv, tsv, xlsx."),
    ] = None,
    age_column: AgeColumnOption = None,
    sex_column: SexColumnOption = None,
    sex_codes: SexCodesOption = "",
    unknown: UnknownOption = None,
    near_names: NearNamesOption = False,
    metadata_sheet: MetadataSheetOption = "",
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
    further, further_tables = further_tissues(and_, and_unit)
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
            metadata=said,
            further=further,
            near_people=near_people,
        ),
        measured_unit,
        measured_alignment,
        further_tables,
        metadata,
        shuffles,
        seed,
        overwrite,
    )
    with progress_bar(by_lines=False) as show:
        found = judge_predictions(options, print_found, show)
    for line in in_lines(found.summary):
        say(on_terminal(line))
    err.print(
        f"Wrote the tables to {output}: {len(found.people)} people, {len(found.genes):,} genes of"
        f" {tissue}. For research use, not for diagnosis."
    )


def in_lines(summary: pd.DataFrame) -> list[str]:
    """Say each figure of a check in a line, with what was promised and what chance gives."""
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
