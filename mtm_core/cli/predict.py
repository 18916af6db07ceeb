"""``mtm predict``: a user's table in, other tissues out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.output import err
from mtm_core.cli.own_samples import (
    NearNamesOption,
    SexCodesOption,
    read_known,
    read_samples,
    sex_code_option,
)
from mtm_core.data.alignment import AlignmentMethod
from mtm_core.inference.export import check_output, write_prediction
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.predictor import Predictor, UnitChoice


def predict_command(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT", help="Expression: csv, tsv, txt, gct (also .gz), xlsx, parquet, h5ad."
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
) -> None:
    """Predict the expression of other tissues.

    Either orientation and any gene ids (Ensembl, symbol, Entrez) will do; what was found in the
    file and done about it is printed.

    **Example:** `mtm predict blood.csv --output predicted.parquet`

    **Example:** `mtm predict data_samples/blood_tpm.tsv --targets "Lung,Liver" --output lung.csv`
    """
    began = time.perf_counter()
    check_output(output)
    codes = sex_code_option(sex_codes)
    predictor = Predictor.load(find_model(model))
    chosen = None if targets == "all" else [name.strip() for name in targets.split(",")]
    chosen = list(predictor.targets_of(source, chosen))
    prepared = read_samples(table, predictor, source=source, unit=unit, alignment=alignment)
    phenotypes = None
    if metadata is not None:
        known = read_known(metadata, prepared.samples, codes, near_names=near_names)
        phenotypes = known.phenotypes()
        if not predictor.covariates:
            err.print("This model reads expression alone: age and sex change nothing.")
    prediction = predictor.predict_prepared(prepared, chosen, phenotypes=phenotypes)
    if predictor.covariates:
        told = int(prediction["informed"].sum())
        read = prediction.attrs["covariates"].replace(", ", " and ")
        n_samples = prediction.sizes["sample"]
        err.print(f"{told} samples are predicted with {read}, {n_samples - told} without.")
    write_prediction(prediction, output)
    n_samples, n_tissues, n_genes = prediction["z"].shape
    err.print(
        f"Wrote {output}: {n_samples} samples x {n_tissues} tissues x {n_genes} genes, in"
        f" {time.perf_counter() - began:.1f} s. For research use, not for diagnosis."
    )
