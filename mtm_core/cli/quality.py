"""``mtm quality`` and ``mtm composition``: a user's samples looked at before a prediction."""

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
from mtm_core.cli.output import OverwriteOption, err, print_table
from mtm_core.cli.own_samples import (
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
    print_found,
    reading_options,
)
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.units import UnitChoice
from mtm_core.inference.blood_cells import CELLS
from mtm_core.inference.options import PredictionOptions
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.workflows.composition import CompositionOptions, estimate_blood_composition
from mtm_core.workflows.quality import QualityOptions, check_quality

MetadataFile = Annotated[
    Path | None,
    typer.Option(help="Metadata of the samples, one row per sample: csv, tsv, xlsx or parquet."),
]


def quality_command(
    given: TablesArgument,
    output: Annotated[Path, typer.Option(help="Folder for the tables.")],
    metadata: MetadataFile = None,
    model: ModelOption = DEFAULT_MODEL,
    source: SourceOption = WHOLE_BLOOD,
    unit: UnitOption = "auto",
    batch: BatchOption = "",
    take_back: TakeBackOption = None,
    leave_out: LeaveOutOption = None,
    numbers: NumbersOption = "auto",
    quantity: QuantityOption = "",
    sheet: SheetOption = "",
    strand: StrandOption = "auto",
    tx2gene: TranscriptsOption = None,
    age_column: AgeColumnOption = None,
    sex_column: SexColumnOption = None,
    sex_codes: SexCodesOption = "",
    unknown: UnknownOption = None,
    near_names: NearNamesOption = False,
    metadata_sheet: MetadataSheetOption = "",
    person: Annotated[
        str,
        typer.Option(
            help="Metadata column that names the person of each sample: finds samples under the"
            " wrong name."
        ),
    ] = "",
    also: Annotated[
        Path | None,
        typer.Option(
            help="Another table of the same people, under the same names: finds samples that"
            " were exchanged, and compares sex by XIST and Y genes."
        ),
    ] = None,
    also_tissue: Annotated[
        str, typer.Option(help="Tissue of that table, where it is not the source.")
    ] = "",
    also_unit: Annotated[
        UnitChoice | None, typer.Option(help="Unit of that table; by default as --unit.")
    ] = None,
    near_people: NearPeopleOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Check your samples before you predict: outliers, sex, tissue, swaps.

    Outliers with reasons, sex by expression against the metadata's, the tissue that each sample is
    most like, library sizes, shares of haemoglobin and ribosomal RNA, and principal components
    with what goes with them. Every gene of the table is used; what the table lacks the genes for
    is not computed, and is said.

    **Example:** `mtm quality data_samples/blood_tpm.tsv --metadata data_samples/metadata.tsv
    --output quality`
    """
    said = metadata_options(
        age_column, sex_column, sex_codes, unknown, metadata_sheet, near_names=near_names
    )
    reading = reading_options(take_back, leave_out, numbers, quantity, sheet, strand)
    options = PredictionOptions(
        source=source, unit=unit, reading=reading, metadata=said, batch=batch
    )
    review = check_quality(
        QualityOptions(
            *(tuple(given), output, metadata, model, options, tx2gene),
            *(person, also, also_tissue, overwrite, also_unit, near_people),
        ),
        print_found,
    )
    outliers = review.outliers
    if len(outliers):
        rows = [(str(name), str(row["reasons"])) for name, row in outliers.iterrows()]
        print_table("Flagged samples", ("sample", "reasons"), rows)
    err.print(
        f"{len(outliers)} of {len(review.samples)} samples are flagged. Wrote"
        f" {output}. For research use, not for diagnosis."
    )


def composition_command(
    given: TablesArgument,
    output: Annotated[Path, typer.Option(help="CSV file to write.")],
    metadata: MetadataFile = None,
    model: ModelOption = DEFAULT_MODEL,
    unit: UnitOption = "auto",
    take_back: TakeBackOption = None,
    leave_out: LeaveOutOption = None,
    numbers: NumbersOption = "auto",
    quantity: QuantityOption = "",
    sheet: SheetOption = "",
    strand: StrandOption = "auto",
    tx2gene: TranscriptsOption = None,
    age_column: AgeColumnOption = None,
    sex_column: SexColumnOption = None,
    sex_codes: SexCodesOption = "",
    unknown: UnknownOption = None,
    near_names: NearNamesOption = False,
    metadata_sheet: MetadataSheetOption = "",
    overwrite: OverwriteOption = False,
) -> None:
    """Estimate which cells the RNA of whole blood comes from.

    By non-negative least squares on mean profiles of sorted blood cells. The shares are of RNA, not
    of cells. The file can be given to --metadata of other commands, and its columns to
    --covariates.

    **Example:** `mtm composition counts.csv --metadata metadata.tsv --output with_cells.csv`
    """
    said = metadata_options(
        age_column, sex_column, sex_codes, unknown, metadata_sheet, near_names=near_names
    )
    reading = reading_options(take_back, leave_out, numbers, quantity, sheet, strand)
    options = PredictionOptions(unit=unit, reading=reading, metadata=said)
    found = estimate_blood_composition(
        CompositionOptions(tuple(given), output, metadata, model, options, tx2gene, overwrite),
        print_found,
    )
    quartiles = found.shares.quantile([0.25, 0.5, 0.75])
    rows = [(cells, *(f"{quartiles.loc[level, cells]:.3f}" for level in quartiles.index))
            for cells in CELLS]  # fmt: skip
    print_table("Shares of RNA", ("cells", "lower quartile", "median", "upper quartile"), rows)
    err.print(f"Wrote {output}: {len(found.shares)} samples.")
