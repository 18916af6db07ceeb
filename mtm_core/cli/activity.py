"""``mtm activity``: pathways and transcription factors in a user's samples, by tissue."""

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
from mtm_core.cli.predict_chunked import progress_bar
from mtm_core.data.gene_sets.networks import BUNDLED_NETWORKS
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.inference.options import PredictionOptions
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.workflows.activity import (
    MINIMUM_TARGETS,
    ActivityBackground,
    ActivityMethod,
    ActivityOptions,
    ActivityScoring,
    score_activity,
)
from mtm_core.workflows.table_parts import TableFormat


def activity_command(
    given: TablesArgument,
    output: Annotated[Path, typer.Option(help="Folder for the tables.")],
    network: Annotated[
        str,
        typer.Option(
            help="A table of source, target and weight (csv or tsv), a GMT file, a bundled network"
            f" ({', '.join(BUNDLED_NETWORKS)}), or bundled gene sets (as for mtm enrich)."
        ),
    ] = "progeny",
    method: Annotated[
        ActivityMethod,
        typer.Option(help="ulm: each source alone; mlm: all sources in one model."),
    ] = "ulm",
    background: Annotated[
        ActivityBackground,
        typer.Option(help="Genes to score on: the predictable ones of each tissue, or all."),
    ] = "predictable",
    min_targets: Annotated[
        int, typer.Option(help="Minimum number of targets of a source among these genes.")
    ] = MINIMUM_TARGETS,
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="Metadata of the samples, one row per sample: csv, tsv, xlsx or parquet."
        ),
    ] = None,
    groups: Annotated[
        str,
        typer.Option(
            help="Groups whose scores are compared, as COLUMN=CASE,CONTROL of the metadata."
        ),
    ] = "",
    shuffle: Annotated[
        int | None,
        typer.Option(
            help="Shuffle the groups with this seed: whatever differs then is chance.", min=0
        ),
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
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
    table_format: Annotated[
        TableFormat, typer.Option("--format", help="File type of the tables.")
    ] = "csv",
    overwrite: OverwriteOption = False,
) -> None:
    """Score pathways and transcription factors in each sample and tissue.

    A score is the t of a linear model: do the target genes of a pathway, by their weights, lie
    above or below the other genes of the sample? Genes are z-scores against the reference of the
    tissue; in predicted tissues only predictable genes count. Scores of predicted tissues are
    functions of the measured samples.

    **Example:** `mtm activity blood.tsv --network progeny --metadata people.tsv
    --groups group=case,control --output activity`
    """
    said = metadata_options(
        age_column, sex_column, sex_codes, unknown, metadata_sheet, near_names=near_names
    )
    reading = reading_options(take_back, leave_out, numbers, quantity, sheet, strand)
    chosen_targets = targets_option(targets)
    further, further_tables = further_tissues(and_, and_unit, and_batch)
    options = ActivityOptions(
        tuple(given),
        output,
        network,
        metadata,
        groups,
        model,
        PredictionOptions(
            source,
            chosen_targets,
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
        tx2gene,
        further_tables,
        ActivityScoring(method, background, min_targets),
        shuffle,
        table_format,
        overwrite,
        both_sexes,
    )
    with progress_bar(by_lines=False) as show:
        done = score_activity(options, print_found, show)
    err.print(
        f"Wrote {', '.join(done.tables)} to {output}: {done.n_samples} samples,"
        f" {done.sources['tissue'].nunique()} tissues."
        + (
            " The groups were shuffled: all differences are due to chance."
            if shuffle is not None
            else ""
        )
        + " For research use, not for diagnosis."
    )
