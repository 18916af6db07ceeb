"""``mtm evaluate``: cross-validated accuracy of methods on one cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mtm_core.cli.training_options import (
    AcceleratorOption,
    PrecisionOption,
    PresetOption,
    SettingOption,
    run_config,
    training_bar,
)
from mtm_core.config import to_json
from mtm_core.data.cohort import read_cohort, tissue_names
from mtm_core.data.splits import donor_folds
from mtm_core.errors import SelectionError
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.methods.registry import METHOD_NAMES, make_method
from mtm_core.training.trainer import Hardware

console = Console()


def evaluate_command(
    cohort: Annotated[Path, typer.Argument(help="Cohort (.h5ad) of 'mtm data prepare'.")],
    output: Annotated[Path, typer.Option(help="Folder for the tables.")],
    methods: Annotated[
        str, typer.Option(help=f"Comma-separated, out of {', '.join(METHOD_NAMES)}.")
    ] = "mtm,ridge,training-mean",
    folds: Annotated[int, typer.Option(help="Folds, by donor.", min=2)] = 5,
    only: Annotated[
        str | None, typer.Option(help="Run only these folds, comma-separated, from 0.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    source: Annotated[str, typer.Option(help="Tissue to predict from.")] = "Whole Blood",
    preset_name: PresetOption = "acmg59",
    settings: SettingOption = None,
    accelerator: AcceleratorOption = "auto",
    precision: PrecisionOption = "32-true",
    save_predictions: Annotated[
        bool, typer.Option(help="Also keep every out-of-fold value (NetCDF, one file a method).")
    ] = False,
) -> None:
    """Predict every donor by methods that never saw them, and score it.

    A fold that is done is kept in OUTPUT, and a later call with the same settings goes on from it.

    **Example:** `mtm evaluate cohort.h5ad --methods mtm,ridge --folds 5 --output runs/evaluation`
    """
    data = read_cohort(cohort)
    config = run_config(preset_name, settings, data.n_vars, len(tissue_names(data)))
    dealt = donor_folds(data.obs, n_folds=folds, seed=seed, balance_tissue=source)
    output.mkdir(parents=True, exist_ok=True)
    dealt.save(output / "folds.json")
    chosen = _folds(only, folds)
    what = {
        "cohort_sha256": str(data.uns["mtm"]["sha256"]),
        "folds": folds,
        "seed": seed,
        "source": source,
        "mtm": to_json(config),
    }
    accuracies = {}
    with training_bar() as show:
        for name in dict.fromkeys(methods.split(",")):
            method = make_method(
                name.strip(),
                source=source,
                config=config,
                hardware=Hardware(accelerator, 1, 1, precision),
                on_progress=show,
            )
            predictions = cross_validate(
                method,
                data,
                dealt,
                source=source,
                folder=output / "folds",
                settings=what,
                only=chosen,
            )
            if save_predictions:
                predictions.to_netcdf(output / f"{method.name}.nc", engine="h5netcdf")
            accuracies[method.name] = accuracy(predictions)
    tables = EvaluationTables.of(accuracies, what | {"folds_run": chosen})
    tables.save(output)
    _print(tables)


def _folds(only: str | None, n_folds: int) -> list[int]:
    """Give the folds that ``--only`` names, all without it."""
    if only is None:
        return list(range(n_folds))
    names = [name.strip() for name in only.split(",")]
    known = [str(fold) for fold in range(n_folds)]
    if not set(names) <= set(known):
        raise SelectionError.unknown("fold", sorted(set(names) - set(known)), known)
    return sorted({int(name) for name in names})


def _print(tables: EvaluationTables) -> None:
    summary = tables.summary()
    n_tissues = tables.tissues["tissue"].nunique()
    table = Table(
        title=f"{tables.settings['source']} to {n_tissues} tissues, means over tissues",
        title_justify="left",
    )
    table.add_column("method")
    for figure in summary.columns:
        table.add_column(figure.removesuffix("_mean").replace("_", " "), justify="right")
    for name, row in summary.iterrows():
        table.add_row(str(name), *(f"{value:.3f}" for value in row))
    console.print(table)
