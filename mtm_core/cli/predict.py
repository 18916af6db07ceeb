"""``mtm predict``: a user's table in, other tissues out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from mtm_core.cli.checks import check_metadata, check_there
from mtm_core.cli.metadata_options import (
    AgeColumnOption,
    MetadataSheetOption,
    NearNamesOption,
    SexCodesOption,
    SexColumnOption,
    UnknownOption,
    metadata_options,
    read_known,
)
from mtm_core.cli.output import OverwriteOption, err
from mtm_core.cli.own_samples import (
    AlignmentOption,
    LeaveOutOption,
    ModelOption,
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
    read_samples,
    reading_options,
    targets_option,
)
from mtm_core.cli.predict_chunked import (
    BitsOption,
    ChunkOption,
    SchedulerOption,
    ValuesOption,
    WorkersOption,
    check_chunked_output,
    is_asked_for,
    predict_parts,
)
from mtm_core.data.gtex import WHOLE_BLOOD
from mtm_core.data.metadata_options import MetadataOptions
from mtm_core.data.reading_options import AS_IT_LIES
from mtm_core.data.stored_table import open_stored_table
from mtm_core.errors import SelectionError
from mtm_core.inference.blocks import predict_blocks
from mtm_core.inference.chunk_tasks import ALL_BITS, VALUES
from mtm_core.inference.chunked import ChunkedRequest
from mtm_core.inference.export import check_output, is_folder, write_blocks
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.name_lists import split_names
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.covariates import are_known
from mtm_core.safe_output import check_output as check_place
from mtm_core.safe_output import refuse_inputs


def predict_command(
    tables: TablesArgument,
    output: Annotated[Path, typer.Option(help="File to write: .csv, .parquet, .h5ad or .zarr.")],
    model: ModelOption = DEFAULT_MODEL,
    source: SourceOption = WHOLE_BLOOD,
    targets: TargetsOption = None,
    unit: UnitOption = "auto",
    alignment: AlignmentOption = "auto",
    take_back: TakeBackOption = None,
    leave_out: LeaveOutOption = None,
    numbers: NumbersOption = "auto",
    quantity: QuantityOption = "",
    sheet: SheetOption = "",
    strand: StrandOption = "auto",
    tx2gene: TranscriptsOption = None,
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
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    chunk: ChunkOption = None,
    values: ValuesOption = None,
    bits: BitsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Predict the expression of other tissues.

    Either orientation and any gene ids (Ensembl, symbol, Entrez) will do; what was found in the
    file and done about it is printed.

    **Example:** `mtm predict blood.csv --output predicted.parquet`

    **Example:** `mtm predict quants/*/quant.sf --tx2gene t2g.csv --output predicted.csv`

    **Example:** `mtm predict data_samples/blood_tpm.tsv --targets "Lung,Liver" --output lung.csv`

    A zarr store or a folder of parquet files, and whatever is given one of the options "part by
    part", is read, predicted and written (.zarr) a few samples at a time; the same command goes
    on with a run that was cut off.

    **Example:** `mtm predict biobank.zarr --workers 8 --values expression --output predicted.zarr`
    """
    began = time.perf_counter()
    check_output(output)
    said = metadata_options(
        age_column, sex_column, sex_codes, unknown, metadata_sheet, near_names=near_names
    )
    reading = reading_options(take_back, leave_out, numbers, quantity, sheet, strand)
    chosen_targets = targets_option(targets)
    options = PredictionOptions(source, chosen_targets, unit, alignment, reading, said)
    in_parts = is_asked_for(tables, workers, scheduler, chunk, values, bits)
    folder = find_model(model)
    inputs = [*tables, folder / "model.json", *(p for p in (metadata, tx2gene) if p is not None)]
    if in_parts:
        if reading != AS_IT_LIES:
            raise SelectionError(
                "a table that is read part by part is read as it lies: --take-back, --leave-out,"
                " --numbers, --quantity, --sheet and --strand are for tables that are read whole."
            )
        refuse_inputs(output, inputs)
    else:
        check_place(output, overwrite=overwrite, inputs=inputs, folder=is_folder(output))
    predictor = Predictor.load(folder)
    chosen = predictor.targets_of(source, options.targets)
    if in_parts:
        check_chunked_output(output)
        request = ChunkedRequest(
            tables[0].resolve(),
            output.resolve(),
            folder.resolve(),
            source,
            chosen,
            unit,
            alignment,
            VALUES if values is None else tuple(split_names(values)),
            bits or ALL_BITS,
            chunk or 0,
        )
        _check_metadata(metadata, said)
        phenotypes = None
        if metadata is not None:
            samples = open_stored_table(request.table, predictor.genes).samples
            phenotypes = _phenotypes(metadata, samples, said, predictor)
        result = predict_parts(request, phenotypes, scheduler, workers, overwrite=overwrite)
        told = int(result.by_sample["informed"].sum())
        n_samples, n_tissues, n_genes = result.sizes
    else:
        check_there(input=tables, tx2gene=tx2gene)
        _check_metadata(metadata, said)
        _, prepared = read_samples(tables, predictor, options, tx2gene)
        phenotypes = None
        if metadata is not None:
            samples = prepared.samples
            phenotypes = _phenotypes(metadata, samples, said, predictor)
        blocks = predict_blocks(predictor, prepared, chosen, phenotypes=phenotypes)
        write_blocks(blocks, prepared.samples, output, overwrite=overwrite, inputs=inputs)
        n_samples, n_genes = prepared.aligned.z.shape
        n_tissues = len(chosen)
        people = None if phenotypes is None else phenotypes.reindex(list(prepared.samples))
        told = int(are_known(people, predictor.covariates, n_samples).sum())
    if predictor.covariates:
        read = " and ".join(predictor.covariates)
        err.print(f"{told} samples are predicted with {read}, {n_samples - told} without.")
    err.print(
        f"Wrote {output}: {n_samples} samples x {n_tissues} tissues x {n_genes} genes, in"
        f" {time.perf_counter() - began:.1f} s. For research use, not for diagnosis."
    )


def _check_metadata(metadata: Path | None, said: MetadataOptions) -> None:
    check_there(metadata=metadata)
    if metadata is not None:
        check_metadata(metadata, said)


def _phenotypes(
    metadata: Path,
    samples: tuple[str, ...],
    said: MetadataOptions,
    predictor: Predictor,
) -> pd.DataFrame:
    """Read age and sex of ``samples``; say so where the model does not read them."""
    phenotypes = read_known(metadata, samples, said).phenotypes()
    if not predictor.covariates:
        err.print("This model reads expression alone: age and sex change nothing.")
    return phenotypes
