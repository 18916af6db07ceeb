"""``mtm study traits`` and ``disease``: what out-of-fold predictions preserve of donors' traits."""

from __future__ import annotations

from typing import Annotated

import typer

from mtm_core.cli.output import OverwriteOption, err
from mtm_core.cli.own_samples import print_found
from mtm_core.cli.steps import step_display
from mtm_core.cli.study_options import (
    CohortArgument,
    DbgapOption,
    FoldsOption,
    OutputOption,
    PredictionsArgument,
    SeedOption,
    ShufflesOption,
    print_study,
)
from mtm_core.workflows.study_predictions import (
    MINIMUM_DEGS,
    MINIMUM_DISEASE,
    N_REPEATS,
    N_SHUFFLES,
    DiseaseOptions,
    TraitsOptions,
    study_preserved_differences,
    study_preserved_traits,
)

TraitsOption = Annotated[
    str | None,
    typer.Option(
        "--traits",
        help="Comma-separated, such as age,sex; by default all traits in which donors differ.",
    ),
]


def traits_command(
    cohort: CohortArgument,
    predictions: PredictionsArgument,
    output: OutputOption,
    folds: FoldsOption = None,
    dbgap: DbgapOption = None,
    names: TraitsOption = None,
    shuffles: ShufflesOption = N_SHUFFLES,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Ask whether predicted genes go with donors' traits as measured ones do.

    Raw, and with age, sex and Hardy scale (how the donor died) regressed out; beside each figure
    what it is with the trait shuffled among the donors.

    **Example:** `mtm study traits cohort.h5ad runs/evaluation/stack.nc --output studies/traits`
    """
    options = TraitsOptions(
        cohort,
        predictions,
        output,
        folds=folds,
        dbgap=dbgap,
        traits=_names(names),
        shuffles=shuffles,
        seed=seed,
        overwrite=overwrite,
    )
    with step_display() as show:
        study = study_preserved_traits(options, show, print_found)
    err.print(f"Wrote {output}.")
    print_study(
        "Correlation over genes between predicted and measured associations with a trait, "
        "medians over tissues",
        study.summary().reset_index(),
    )


def disease_command(
    cohort: CohortArgument,
    predictions: PredictionsArgument,
    output: OutputOption,
    folds: FoldsOption = None,
    dbgap: DbgapOption = None,
    names: TraitsOption = None,
    minimum_group: Annotated[
        int, typer.Option(help="Minimum number of cases, and of controls, in a tissue.", min=5)
    ] = MINIMUM_DISEASE,
    minimum_degs: Annotated[
        int, typer.Option(help="Minimum number of changed genes for a tissue to count.", min=1)
    ] = MINIMUM_DEGS,
    repeats: Annotated[
        int,
        typer.Option(
            help="Repeats of the classification's cross-validation; 0: no classification.", min=0
        ),
    ] = N_REPEATS,
    shuffles: ShufflesOption = N_SHUFFLES,
    jobs: Annotated[int, typer.Option(help="Number of processes; -1: one per core.")] = 1,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Ask whether predictions show a difference between two groups as measurements do.

    Sex, and death on a ventilator against any other; with a dbGaP file also diseases. Log2 fold
    changes, changed genes, and how well a profile tells the groups apart.

    **Example:** `mtm study disease cohort.h5ad runs/evaluation/stack.nc --output studies/disease`
    """
    options = DiseaseOptions(
        cohort,
        predictions,
        output,
        folds=folds,
        dbgap=dbgap,
        traits=_names(names),
        minimum_group=minimum_group,
        minimum_degs=minimum_degs,
        repeats=repeats,
        shuffles=shuffles,
        jobs=jobs,
        seed=seed,
        overwrite=overwrite,
    )
    with step_display() as show:
        study = study_preserved_differences(options, show, print_found)
    err.print(f"Wrote {output}.")
    print_study(
        "Predicted against measured change of expression, by tissue",
        study.summary(minimum_degs).reset_index(),
    )
    if repeats:
        print_study(
            "Area under the ROC curve, means over tissues where measured tissue separates the "
            "groups better than the source",
            study.status_summary().reset_index(),
        )


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(","))
