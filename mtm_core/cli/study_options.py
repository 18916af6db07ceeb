"""Arguments that the commands of ``mtm study`` share, and what they read and write."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import anndata as ad
import pandas as pd
import typer

from mtm_core.cli.checks import check_there
from mtm_core.cli.output import err, print_table
from mtm_core.data.cohort.cohort import is_simulated, read_cohort
from mtm_core.data.gtex.dbgap import with_dbgap_phenotypes
from mtm_core.workflows.study import save_tables

CohortArgument = Annotated[
    Path, typer.Argument(metavar="COHORT", help="Cohort (.h5ad) of 'mtm data prepare'.")
]
PredictionsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="PREDICTIONS", help="Out-of-fold values (.nc) of 'mtm evaluate --save-predictions'."
    ),
]
OutputOption = Annotated[Path, typer.Option(help="Folder for the tables.")]
DbgapOption = Annotated[
    Path | None,
    typer.Option(help="Subject phenotypes of dbGaP phs000424: exact age, BMI, medical history."),
]
FoldsOption = Annotated[
    Path | None, typer.Option(help="Folds of that evaluation; by default folds.json beside it.")
]
ShufflesOption = Annotated[
    int, typer.Option(help="Of the trait among the donors: what chance alone gives.", min=19)
]
SeedOption = Annotated[int, typer.Option(help="Of everything random.", min=0)]


def read_study_cohort(path: Path, dbgap: Path | None = None) -> ad.AnnData:
    """Read a cohort, with the phenotypes of the dbGaP file where there is one."""
    check_there(cohort=path, dbgap=dbgap)
    cohort = read_cohort(path)
    if dbgap is not None:
        cohort.uns["donors"] = with_dbgap_phenotypes(cohort.uns["donors"], dbgap)
    if is_simulated(cohort):
        err.print("The cohort is simulated: nothing here is a result about people.")
    return cohort


def cohort_settings(cohort: ad.AnnData) -> dict[str, Any]:
    """Return what tells this cohort from others."""
    return {
        "cohort_sha256": str(cohort.uns["mtm"]["sha256"]),
        "unit": str(cohort.uns["mtm"]["unit"]),
        "simulated": is_simulated(cohort),
    }


def save_study(
    output: Path, settings: dict[str, Any], *, overwrite: bool, **tables: pd.DataFrame
) -> None:
    """Write the tables of a study and its settings, and say so."""
    save_tables(output, settings, overwrite=overwrite, **tables)
    err.print(f"Wrote {output}.")


def print_study(title: str, table: pd.DataFrame) -> None:
    """Print a short table, every column of it."""
    rows = [[_shown(value) for value in row] for row in table.itertuples(index=False)]
    print_table(title, [str(name).replace("_", " ") for name in table.columns], rows)


def _shown(value: object) -> str:
    """Return three digits of a number, whole ones without a point, and nothing for none."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if value.is_integer() and abs(value) >= 1 else f"{value:.3g}"
