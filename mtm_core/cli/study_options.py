"""Arguments that the commands of ``mtm study`` share, and how they print what is found."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from mtm_core.cli.output import print_table

CohortArgument = Annotated[
    Path, typer.Argument(metavar="COHORT", help="Cohort (.h5ad) of 'mtm data prepare'.")
]
PredictionsArgument = Annotated[
    Path,
    typer.Argument(
        metavar="PREDICTIONS",
        help="Out-of-fold values (.nc) from 'mtm evaluate --save-predictions'.",
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
    int,
    typer.Option(
        help="Number of shuffles of the trait among donors, to show what chance gives.", min=19
    ),
]
SeedOption = Annotated[int, typer.Option(help="Seed of all random numbers.", min=0)]


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
