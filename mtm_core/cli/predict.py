"""``mtm predict``: a user's table in, other tissues out."""

from __future__ import annotations

import time
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
from mtm_core.cli.predict_chunked import (
    BitsOption,
    ChunkOption,
    SchedulerOption,
    ValuesOption,
    WorkersOption,
    is_asked_for,
    progress_bar,
)
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.notes import counted
from mtm_core.errors import SelectionError
from mtm_core.inference.chunk_tasks import ALL_BITS
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.together import BETWEEN
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.reporting.name_lists import split_names
from mtm_core.workflows.predict import predict_samples
from mtm_core.workflows.predict_options import Layout, PartByPart, PredictOptions


def predict_command(
    tables: TablesArgument,
    output: Annotated[
        Path,
        typer.Option(
            help="File to write: .csv, .parquet, .h5ad, .h5mu or .zarr; or a folder, by --format."
        ),
    ],
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
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="Age and sex of the samples, for models that read them: csv, tsv, xlsx or parquet."
        ),
    ] = None,
    age_column: AgeColumnOption = None,
    sex_column: SexColumnOption = None,
    sex_codes: SexCodesOption = "",
    unknown: UnknownOption = None,
    near_names: NearNamesOption = False,
    metadata_sheet: MetadataSheetOption = "",
    layout: Annotated[
        Layout,
        typer.Option(
            "--format",
            help="long: one row per sample, tissue and gene, in one file; parts: the same in a "
            "folder of files of 4 million rows; wide: a folder with one file per tissue, genes x "
            "samples.",
        ),
    ] = "long",
    files: Annotated[
        str | None,
        typer.Option(
            help="File type in a folder: csv, csv.gz, parquet; for wide also tsv, tsv.gz."
        ),
    ] = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    chunk: ChunkOption = None,
    values: ValuesOption = None,
    bits: BitsOption = None,
    save_alignment: Annotated[
        Path | None,
        typer.Option(
            help="File (.json) for the alignment of the samples, for --alignment-from; a folder "
            "of --format wide contains it anyway."
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Predict the expression of other tissues.

    Either orientation and any gene ids (Ensembl, symbol, Entrez) will do; what was found in the
    file and done about it is printed.

    **Example:** `mtm predict blood.csv --output predicted.parquet`

    **Example:** `mtm predict quants/*/quant.sf --tx2gene t2g.csv --output predicted.csv`

    **Example:** `mtm predict data_samples/blood_tpm.tsv --targets "Lung,Liver" --output lung.csv`

    **Example:** `mtm predict blood.tsv --and "Muscle - Skeletal=muscle.tsv" --output predicted.csv`

    **Example:** `mtm predict blood.csv --format wide --files tsv.gz --output predicted`

    **Example:** `mtm predict first.tsv --save-alignment alignment.json --output first.csv`

    **Example:** `mtm predict later.tsv --alignment-from alignment.json --output later.csv`

    A zarr store or a folder of parquet files, and whatever is given one of the options "in
    chunks", is read, predicted and written (.zarr) a few samples at a time; the same command goes
    on with a run that was cut off.

    **Example:** `mtm predict biobank.zarr --workers 8 --values expression --output predicted.zarr`
    """
    began = time.perf_counter()
    said = metadata_options(
        age_column, sex_column, sex_codes, unknown, metadata_sheet, near_names=near_names
    )
    reading = reading_options(take_back, leave_out, numbers, quantity, sheet, strand)
    chosen_targets = targets_option(targets)
    chosen = None if values is None else tuple(split_names(values))
    of_parts = (workers, scheduler, chunk, bits, None if layout == "wide" else values)
    in_parts = is_asked_for(tables, *of_parts)
    further, further_tables = further_tissues(and_, and_unit, and_batch)
    options = PredictOptions(
        tuple(tables),
        output,
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
        metadata,
        layout,
        _ending(files, layout),
        chosen,
        PartByPart(workers, scheduler, chunk or 0, bits or ALL_BITS) if in_parts else None,
        overwrite,
        save_alignment=save_alignment,
        further=further_tables,
    )
    with progress_bar(by_lines=in_parts) as show:
        done = predict_samples(options, print_found, show)
    n_samples, n_tissues, n_genes = done.sizes
    if done.covariates:
        read, n_known = " and ".join(done.covariates), done.n_used_age_sex
        known = counted(n_known, "sample is", "samples are")
        err.print(f"{known} predicted with {read}, {n_samples - n_known:,} without.")
    if (several := done.several) is not None:
        for given, n_people in several.tissues_given.items():
            people = counted(n_people, "person", "people")
            err.print(f"From {given.replace(BETWEEN, ' and ')}: {people}.")
        err.print(f"Interval: {several.interval}. {several.accuracy}")
    n_files = f"{done.n_files} tables of " if layout != "long" else ""
    err.print(
        f"Wrote {output}: {n_files}{counted(n_samples, 'sample', 'samples')} x"
        f" {counted(n_tissues, 'tissue', 'tissues')} x {counted(n_genes, 'gene', 'genes')}, in"
        f" {time.perf_counter() - began:.1f} s. For research use, not for diagnosis."
    )


def _ending(files: str | None, layout: Layout) -> str:
    """Return the ending that ``--files`` names, with or without its point.

    Raises
    ------
    SelectionError
        If the output is one file, whose own ending says what it is.
    """
    if files is None:
        return ".csv"
    if layout == "long":
        raise SelectionError(
            "--files is for folders (--format wide, --format parts). For a single file, the "
            "ending of --output decides: --output predicted.parquet."
        )
    return files if files.startswith(".") else f".{files}"
