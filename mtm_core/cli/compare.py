"""``mtm compare``: groups and traits of a user's samples, in blood and in predicted tissues."""

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
from mtm_core.data.gene_sets.gmt import BUNDLED_SETS
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.notes import counted
from mtm_core.inference.options import PredictionOptions
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.reporting.name_lists import split_names
from mtm_core.statistics.enrichment import MINIMUM_SIZE
from mtm_core.workflows.compare import (
    CompareOptions,
    compare_samples,
)
from mtm_core.workflows.compare_designs import BlockAs, DesignOptions
from mtm_core.workflows.enrich import Background, EnrichmentOptions
from mtm_core.workflows.table_parts import TableFormat


def compare_command(
    given: TablesArgument,
    metadata: Annotated[
        Path,
        typer.Option(
            help="Metadata of the samples, one row per sample: csv, tsv, xlsx or parquet."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for the tables.")],
    groups: Annotated[
        str,
        typer.Option(
            help="Groups to compare, as COLUMN=CASE,CONTROL of the metadata. Put a name with a"
            " comma or an equals sign in double quotes."
        ),
    ] = "",
    traits: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns of numbers or two groups to correlate, comma-separated or repeated."
        ),
    ] = None,
    covariates: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns to adjust the traits for, comma-separated or repeated; for groups, put "
            "them in --formula."
        ),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=GROUP",
            help="Group of a trait that is coded 0, with which the other is compared; of a column "
            "of --formula too; repeatable. By default one named control, healthy or the like, else "
            "the first in the alphabet; for sex, males.",
        ),
    ] = None,
    composition: Annotated[
        bool,
        typer.Option(
            "--composition",
            help="Estimate the shares of blood cells first: columns RNA_share_neutrophils and so "
            "on, for --traits, --covariates and --formula.",
        ),
    ] = False,
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
    formula: Annotated[
        str,
        typer.Option(
            help="Linear model in every gene, such as 'group + age + batch': columns with +, : "
            "and * between them (a*b is both and their interaction); C(day) treats numbers as "
            "groups; put a name with such a sign in backticks."
        ),
    ] = "",
    contrast: Annotated[
        list[str] | None,
        typer.Option(
            help="What to test, repeatable: COLUMN=CASE,CONTROL, or a term (age, group:sex) with "
            "all its coefficients together. By default the first term."
        ),
    ] = None,
    block: Annotated[
        str,
        typer.Option(help="Metadata column that names the person or pair of each sample."),
    ] = "",
    block_as: Annotated[
        BlockAs,
        typer.Option(
            help="random: samples of a block are correlated (a random intercept); fixed: only "
            "differences within blocks count."
        ),
    ] = "random",
    counts: Annotated[
        bool,
        typer.Option(
            "--counts",
            help="Test the measured counts too, by PyDESeq2 (pip install 'mtm-core[counts]').",
        ),
    ] = False,
    gene: Annotated[
        list[str] | None,
        typer.Option(
            help="Gene to fit by itself too, by statsmodels (least squares, or a mixed model with a"
            " random --block), with all coefficients; comma-separated or repeated."
        ),
    ] = None,
    gene_sets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Test gene sets between the groups, allowing for the correlation of genes: "
            f"{', '.join(BUNDLED_SETS)}, or a GMT file; repeatable.",
        ),
    ] = None,
    background: Annotated[
        Background,
        typer.Option(help="Genes that a set is compared with: the predictable ones, or all."),
    ] = "predictable",
    min_size: Annotated[
        int, typer.Option(help="Minimum number of background genes in a set.")
    ] = MINIMUM_SIZE,
    shuffle: Annotated[
        int | None,
        typer.Option(
            help="Shuffle the labels with this seed: whatever is found then is chance.", min=0
        ),
    ] = None,
    table_format: Annotated[
        TableFormat, typer.Option("--format", help="File type of the tables.")
    ] = "csv",
    overwrite: OverwriteOption = False,
) -> None:
    """Compare groups of your samples, or correlate them with traits, tissue by tissue.

    The measured source, with every gene of your table and as you measured it, and the predicted
    tissues are side by side in each table, with the held-out accuracy of every predicted gene.
    Predictions are functions of the measured samples: they add no
    information to them. They are made from expression alone, whatever else the model can read.
    With `--formula`, each predicted gene is tested twice: whether the prediction differs, and
    whether the tissue would, allowing for prediction error.

    **Example:** `mtm compare data_samples/blood_tpm.tsv --metadata data_samples/metadata.tsv
    --groups group=case,control --traits age --output compared`

    **Example:** `mtm compare blood.tsv --metadata people.tsv --groups group=case,control
    --gene-sets reactome --model gtex_v8 --output compared`

    **Example:** `mtm compare data_samples/blood_tpm.tsv --metadata data_samples/metadata.tsv
    --formula 'group + age + sex' --contrast group=case,control --output adjusted`
    """
    said = metadata_options(
        age_column, sex_column, sex_codes, unknown, metadata_sheet, near_names=near_names
    )
    reading = reading_options(take_back, leave_out, numbers, quantity, sheet, strand)
    chosen_targets = targets_option(targets)
    further, further_tables = further_tissues(and_, and_unit, and_batch)
    options = CompareOptions(
        tuple(given),
        metadata,
        output,
        groups,
        tuple(split_names(traits or [])),
        tuple(split_names(covariates or [])),
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
        shuffle,
        table_format,
        overwrite,
        DesignOptions(
            formula, tuple(contrast or []), block, block_as, counts, tuple(split_names(gene or []))
        ),
        composition,
        further_tables,
        both_sexes,
        tuple(gene_sets or ()),
        EnrichmentOptions(background, minimum_size=min_size),
        tuple(reference or ()),
    )
    with progress_bar(by_lines=False) as show:
        done = compare_samples(options, print_found, show)
    err.print(
        f"Wrote {', '.join(done.tables)} to {output}:"
        f" {counted(done.n_samples, 'sample', 'samples')},"
        f" {counted(done.n_tissues, 'predicted tissue', 'predicted tissues')} beside {source}."
        + (
            " The labels were shuffled: all results are due to chance."
            if shuffle is not None
            else ""
        )
        + " For research use, not for diagnosis."
    )
