"""``mtm study external``: changes between a user's groups against those of a model's cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.metadata_options import (
    AgeColumnOption,
    BothSexesOption,
    MetadataSheetOption,
    NearNamesOption,
    SexCodesOption,
    SexColumnOption,
    UnknownOption,
    metadata_options,
)
from mtm_core.cli.output import OverwriteOption, err
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
    TargetsOption,
    TranscriptsOption,
    UnitOption,
    further_tissues,
    print_found,
    reading_options,
    targets_option,
)
from mtm_core.cli.study_options import OutputOption, print_study
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.inference.options import PredictionOptions
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.workflows.study_external import ExternalOptions, study_external_samples


def external_command(
    given: TablesArgument,
    metadata: Annotated[
        Path, typer.Option(help="Metadata table of the samples, with their groups.")
    ],
    group: Annotated[str, typer.Option(help="Metadata column of the groups.")],
    case: Annotated[str, typer.Option(help="Name of the cases' group.")],
    control: Annotated[str, typer.Option(help="Name of the controls' group.")],
    trait: Annotated[str, typer.Option(help="Reference trait to compare with.")],
    output: OutputOption,
    adjusted_for: Annotated[
        str,
        typer.Option(
            help="Covariates to adjust the reference for, such as age+sex; by default none."
        ),
    ] = "",
    model: ModelOption = DEFAULT_MODEL,
    reference: Annotated[
        Path | None,
        typer.Option(help="Output folder of 'mtm study reference'; by default the model's own."),
    ] = None,
    source: SourceOption = WHOLE_BLOOD,
    targets: TargetsOption = None,
    unit: UnitOption = "auto",
    alignment: AlignmentOption = "auto",
    batch: BatchOption = "",
    alignment_from: AlignmentFromOption = "",
    as_batch: AsBatchOption = "",
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
    age_column: AgeColumnOption = None,
    sex_column: SexColumnOption = None,
    sex_codes: SexCodesOption = "",
    unknown: UnknownOption = None,
    near_names: NearNamesOption = False,
    metadata_sheet: MetadataSheetOption = "",
    both_sexes: BothSexesOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Hold predicted changes between groups of other samples against a reference's.

    The samples are predicted in every tissue; log2 ratios of the means of case and control are
    correlated with those of a trait of the model's own cohort.

    **Example:** `mtm study external blood.tsv --metadata groups.tsv --group group --case disease
    --control healthy --trait age --output studies/external`
    """
    said = metadata_options(
        age_column, sex_column, sex_codes, unknown, metadata_sheet, near_names=near_names
    )
    reading = reading_options(take_back, leave_out, numbers, quantity, sheet, strand)
    further, further_tables = further_tissues(and_, and_unit, and_batch)
    options = ExternalOptions(
        *(tuple(given), metadata, group, case, control, trait, output),
        adjusted_for=adjusted_for,
        model=model,
        reference=reference,
        prediction=PredictionOptions(
            source,
            targets_option(targets),
            unit,
            alignment,
            reading,
            said,
            batch=batch,
            alignment_from=alignment_from,
            as_batch=as_batch,
            further=further,
            near_people=near_people,
        ),
        tx2gene=tx2gene,
        overwrite=overwrite,
        further=further_tables,
        both_sexes=both_sexes,
    )
    done = study_external_samples(options, print_found)
    err.print(f"Wrote {output}.")
    print_study(
        f"Predicted log2 ratio of means, {done.case} against {done.control}, and the reference's of"
        f" {trait}",
        done.summary,
    )
