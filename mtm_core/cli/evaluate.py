"""``mtm evaluate``: cross-validated accuracy of methods on one cohort."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Annotated, Any

import anndata as ad
import pandas as pd
import typer
import xarray as xr
from joblib import parallel_config

from mtm_core.cli.checks import check_jobs, check_names, check_there
from mtm_core.cli.output import OverwriteOption, err, print_table
from mtm_core.cli.training_options import (
    AcceleratorOption,
    CudaGraphOption,
    PrecisionOption,
    PresetOption,
    SettingOption,
    training_bar,
)
from mtm_core.config import to_json
from mtm_core.data.cohort import read_cohort, tissue_names
from mtm_core.data.gtex import read_technical_attributes
from mtm_core.data.splits import donor_folds
from mtm_core.errors import OutputError, SelectionError
from mtm_core.evaluation.accuracy import accuracy, accuracy_in_strata
from mtm_core.evaluation.bootstrap import N_RESAMPLES, resample_donors
from mtm_core.evaluation.confounding import SHUFFLED, known_confounders
from mtm_core.evaluation.cross_validation import cross_validate, write_netcdf
from mtm_core.evaluation.results import EVALUATION, TABLES, EvaluationTables
from mtm_core.evaluation.technical import accuracy_without_laboratory
from mtm_core.methods.protocol import tissue_index
from mtm_core.methods.registry import METHOD_NAMES, is_told_phenotypes, make_method
from mtm_core.model_folder import seal_around
from mtm_core.safe_output import OwnFolder
from mtm_core.training.hardware import Hardware, check_hardware
from mtm_core.workflows.run_settings import run_config


def evaluate_command(
    cohort: Annotated[
        Path, typer.Argument(metavar="COHORT", help="Cohort (.h5ad) of 'mtm data prepare'.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the tables.")],
    methods: Annotated[
        str, typer.Option(help=f"Comma-separated, out of {', '.join(METHOD_NAMES)}.")
    ] = "mtm,ridge,training-mean",
    folds: Annotated[int, typer.Option(help="Folds, by donor.", min=2)] = 5,
    only: Annotated[
        str | None, typer.Option(help="Run only these folds, comma-separated, from 0.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the folds.", min=0)] = 0,
    source: Annotated[str, typer.Option(help="Tissue to predict from.")] = "Whole Blood",
    further_sources: Annotated[
        str | None,
        typer.Option(
            help="Semicolon-separated tissues that a donor gives too, where there; no targets."
        ),
    ] = None,
    preset_name: PresetOption = "acmg59",
    settings: SettingOption = None,
    accelerator: AcceleratorOption = "auto",
    precision: PrecisionOption = "32-true",
    cuda_graph: CudaGraphOption = False,
    technical: Annotated[
        Path | None,
        typer.Option(
            help="Table with SAMPID, SMRIN, SMCENTER and SMMPPD: also score without what the"
            " laboratory gave, where both samples of a pair are in it."
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Folds at a time, each in a process; -1: one a core.")
    ] = 1,
    resamples: Annotated[
        int, typer.Option(help="Of the donors, for intervals and differences.", min=100)
    ] = N_RESAMPLES,
    save_predictions: Annotated[
        bool, typer.Option(help="Also keep every out-of-fold value (NetCDF, one file a method).")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Predict every donor by methods that never saw them, and score it.

    A fold that is done is kept in OUTPUT, and so is each fit of MTM and of the stack; a later call
    with the same settings goes on from them.

    **Example:** `mtm evaluate cohort.h5ad --methods mtm,ridge --folds 5 --output runs/evaluation`
    """
    names = list(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip()))
    check_names("methods", "method", names, METHOD_NAMES)
    chosen = _folds(only, folds)
    check_jobs(jobs)
    hardware = Hardware(accelerator, 1, 1, precision, cuda_graph)
    check_hardware(hardware)
    check_there(cohort=cohort, technical=technical)
    laboratory = None if technical is None else read_technical_attributes(technical)
    inputs = [cohort] if technical is None else [cohort, technical]
    OwnFolder.to_be(output, EVALUATION, inputs=inputs)
    data = read_cohort(cohort)
    further = [part.strip() for part in further_sources.split(";")] if further_sources else []
    for tissue in (source, *further):
        tissue_index(tissue_names(data), tissue)  # a misspelt tissue is to cost no training
    if source in further:
        raise SelectionError(f"--further-sources: {source!r} is the source itself.")
    config = run_config(preset_name, settings, data.n_vars, len(tissue_names(data)))
    tissue_index(tissue_names(data), config.training.validation_source)
    dealt = donor_folds(data.obs, n_folds=folds, seed=seed, balance_tissue=source)
    what = {
        "cohort_sha256": str(data.uns["mtm"]["sha256"]),
        "folds": folds,
        "seed": seed,
        "source": source,
        "further_sources": further,
        "mtm": to_json(config),
    }
    own = _claim(output, inputs, what, methods, overwrite=overwrite)
    with own.writing("folds.json") as place:
        dealt.save(place)
    phenotypes = data.uns["donors"]
    accuracies, resampled, strata = {}, {}, {}
    with training_bar() as show, parallel_config(n_jobs=jobs):
        for name in names:
            method = make_method(
                name,
                source=source,
                config=config,
                hardware=hardware,
                on_progress=show if jobs == 1 else None,  # a bar belongs to one process
                keep=output / "fits",
            )
            began = time.perf_counter()
            predictions = cross_validate(
                method,
                data,
                dealt,
                source=source,
                folder=output / "folds",
                with_phenotypes=is_told_phenotypes(name),
                further_sources=further,
                settings=what,
                only=chosen,
            )
            err.print(f"{method.name}: {len(chosen)} folds in {time.perf_counter() - began:.1f} s.")
            if save_predictions:
                with own.writing(f"{method.name}.nc") as place:
                    write_netcdf(predictions, place)
            accuracies[method.name] = accuracy(predictions, phenotypes)
            resampled[method.name] = resample_donors(predictions, n_resamples=resamples, seed=seed)
            strata[method.name] = _in_strata(predictions, data, laboratory, seed)
    tables = EvaluationTables.of(
        accuracies,
        what
        | {
            "folds_run": chosen,
            "resamples": resamples,
            "adjusted_for": list(known_confounders(phenotypes)),
        },
        resampled=resampled,
        strata=strata,
    )
    tables.save(output)
    seal_around(output)
    _print(tables)
    if "chromosome" not in data.var:
        err.print(
            "The cohort does not say which chromosome a gene is on: nothing was scored without the"
            " genes on X and Y."
        )
    err.print(f"Wrote {output}.")


def _claim(
    output: Path, inputs: list[Path], what: dict[str, Any], methods: str, *, overwrite: bool
) -> OwnFolder:
    """Take the folder; tables of other settings in it are replaced only when asked."""
    own = OwnFolder.claim(output, EVALUATION, inputs=inputs)
    own.own("folds/", "fits/")
    names = [name.strip() for name in methods.split(",")]
    own.check("folds.json", *TABLES, *(f"{name}.nc" for name in names))
    if not overwrite and (output / "settings.json").exists():
        before, now = EvaluationTables.load(output).settings, json.loads(json.dumps(what))
        other = [name for name in now if before.get(name) != now[name]]
        if other:
            raise OutputError(
                f"{output} holds an evaluation of other settings ({', '.join(other)}). Name another"
                " folder, or replace its tables with --overwrite; fits that were kept stay."
            )
    return own


def _in_strata(
    predictions: xr.Dataset, cohort: ad.AnnData, laboratory: pd.DataFrame | None, seed: int
) -> pd.DataFrame:
    """Score groups of donors and of genes, and pairs without what the laboratory gave."""
    phenotypes = cohort.uns["donors"]
    parts = accuracy_in_strata(predictions, phenotypes, cohort.var, seed=seed)
    if laboratory is None:
        return parts
    without = accuracy_without_laboratory(predictions, phenotypes, cohort.obs, laboratory)
    return pd.concat([parts, without])


def _folds(only: str | None, n_folds: int) -> list[int]:
    """Give the folds that ``--only`` names, all without it."""
    if only is None:
        return list(range(n_folds))
    names = [name.strip() for name in only.split(",")]
    known = [str(fold) for fold in range(n_folds)]
    if not set(names) <= set(known):
        raise SelectionError.unknown("fold", sorted(set(names) - set(known)), known)
    return sorted({int(name) for name in names})


_HEADER = (
    "method", "rho by fold", "95 % interval", "pooled", "partial", "shuffled", "rho of samples",
    "pGenes", "with FDR 5 %", "MSE ratio", "inside 90 %",
)  # fmt: skip


def _print(tables: EvaluationTables) -> None:
    """Print one line a method.

    Gene-wise rho by fold with the donor bootstrap's interval, pooled, partial (without age, sex and
    Hardy class), and of shuffled donors, a control.
    """
    shuffled = tables.strata[tables.strata["stratum"] == SHUFFLED].set_index("method")
    rows = [
        (
            str(name),
            _figure(row["gene_rho_by_fold_mean"]),
            f"{row['gene_rho_by_fold_low']:.3f} to {row['gene_rho_by_fold_high']:.3f}",
            _figure(row["gene_rho_pooled_mean"]),
            _figure(row.get("gene_rho_partial_mean")),
            _figure(shuffled.loc[name, "gene_rho_by_fold_mean"]),
            _figure(row["sample_rho_mean"]),
            f"{row['n_predictable_mean']:.1f}",
            f"{row['n_predictable_fdr_mean']:.1f}",
            _figure(row["mse_ratio_mean"]),
            _figure(row.get("coverage_90")),
        )
        for name, row in tables.summary().iterrows()
    ]
    source, n_tissues = tables.settings["source"], tables.tissues["tissue"].nunique()
    print_table(f"{source} to {n_tissues} tissues, means over tissues", _HEADER, rows)


def _figure(value: float | None) -> str:
    """Give a figure, or nothing where the method has none."""
    return "" if value is None or math.isnan(value) else f"{value:.3f}"
