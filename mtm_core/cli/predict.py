"""``mtm predict``: a user's table in, other tissues out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from mtm_core.cli.output import err
from mtm_core.cli.own_samples import (
    NearNamesOption,
    SexCodesOption,
    read_known,
    read_samples,
    sex_code_option,
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
from mtm_core.data.alignment import AlignmentMethod
from mtm_core.data.phenotypes import Sex
from mtm_core.data.stored_table import open_stored_table
from mtm_core.inference.chunk_tasks import ALL_BITS, VALUES
from mtm_core.inference.chunked import ChunkedRequest
from mtm_core.inference.export import check_output, write_prediction
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.predictor import Predictor, UnitChoice


def predict_command(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="Expression: csv, tsv, txt, gct (also .gz), xlsx, parquet, h5ad, zarr.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="File to write: .csv, .parquet, .h5ad or .zarr.")],
    model: Annotated[str, typer.Option(help="Bundled model, or a model's folder.")] = DEFAULT_MODEL,
    source: Annotated[str, typer.Option(help="Tissue of the samples.")] = "Whole Blood",
    targets: Annotated[
        str,
        typer.Option(help="Tissues, comma-separated, or all; 'mtm model describe' lists them."),
    ] = "all",
    unit: Annotated[UnitChoice, typer.Option(help="Unit of the values.")] = "auto",
    alignment: Annotated[
        AlignmentMethod,
        typer.Option(help="Bring each gene's mean and SD in the samples to the reference's."),
    ] = "auto",
    metadata: Annotated[
        Path | None,
        typer.Option(help="Age and sex of the samples, for models that read them: csv, tsv, xlsx."),
    ] = None,
    sex_codes: SexCodesOption = "",
    near_names: NearNamesOption = False,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    chunk: ChunkOption = None,
    values: ValuesOption = None,
    bits: BitsOption = None,
) -> None:
    """Predict the expression of other tissues.

    Either orientation and any gene ids (Ensembl, symbol, Entrez) will do; what was found in the
    file and done about it is printed.

    **Example:** `mtm predict blood.csv --output predicted.parquet`

    **Example:** `mtm predict data_samples/blood_tpm.tsv --targets "Lung,Liver" --output lung.csv`

    A zarr store or a folder of parquet files, and whatever is given one of the options "part by
    part", is read, predicted and written (.zarr) a few samples at a time; the same command goes
    on with a run that was cut off.

    **Example:** `mtm predict biobank.zarr --workers 8 --values expression --output predicted.zarr`
    """
    began = time.perf_counter()
    check_output(output)
    codes = sex_code_option(sex_codes)
    predictor = Predictor.load(find_model(model))
    chosen = None if targets == "all" else [name.strip() for name in targets.split(",")]
    chosen = list(predictor.targets_of(source, chosen))
    if is_asked_for(table, workers, scheduler, chunk, values, bits):
        check_chunked_output(output)
        request = ChunkedRequest(
            table.resolve(),
            output.resolve(),
            find_model(model).resolve(),
            source,
            tuple(chosen),
            unit,
            alignment,
            VALUES if values is None else tuple(name.strip() for name in values.split(",")),
            bits or ALL_BITS,
            chunk or 0,
        )
        phenotypes = None
        if metadata is not None:
            samples = open_stored_table(request.table, predictor.genes).samples
            phenotypes = _phenotypes(metadata, samples, codes, predictor, near_names=near_names)
        result = predict_parts(request, phenotypes, scheduler, workers)
        told = int(result.by_sample["informed"].sum())
        n_samples, n_tissues, n_genes = result.sizes
    else:
        prepared = read_samples(table, predictor, source=source, unit=unit, alignment=alignment)
        phenotypes = None
        if metadata is not None:
            samples = prepared.samples
            phenotypes = _phenotypes(metadata, samples, codes, predictor, near_names=near_names)
        prediction = predictor.predict_prepared(prepared, chosen, phenotypes=phenotypes)
        write_prediction(prediction, output)
        told = int(prediction["informed"].sum())
        n_samples, n_tissues, n_genes = prediction["z"].shape
    if predictor.covariates:
        read = " and ".join(predictor.covariates)
        err.print(f"{told} samples are predicted with {read}, {n_samples - told} without.")
    err.print(
        f"Wrote {output}: {n_samples} samples x {n_tissues} tissues x {n_genes} genes, in"
        f" {time.perf_counter() - began:.1f} s. For research use, not for diagnosis."
    )


def _phenotypes(
    metadata: Path,
    samples: tuple[str, ...],
    codes: dict[str, Sex],
    predictor: Predictor,
    *,
    near_names: bool,
) -> pd.DataFrame:
    """Read age and sex of ``samples``; say so where the model does not read them."""
    phenotypes = read_known(metadata, samples, codes, near_names=near_names).phenotypes()
    if not predictor.covariates:
        err.print("This model reads expression alone: age and sex change nothing.")
    return phenotypes
