"""``mtm study traits`` and ``disease``: what out-of-fold predictions keep of donors' traits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import anndata as ad
import typer
import xarray as xr
from joblib import parallel_config

from mtm_core.cli.checks import check_jobs, check_there
from mtm_core.cli.output import OverwriteOption
from mtm_core.cli.study_options import (
    CohortArgument,
    DbgapOption,
    FoldsOption,
    OutputOption,
    PredictionsArgument,
    SeedOption,
    ShufflesOption,
    cohort_settings,
    print_study,
    read_study_cohort,
    save_study,
)
from mtm_core.data.cohort.splits import DonorFolds
from mtm_core.errors import SelectionError
from mtm_core.safe_output import check_output
from mtm_core.studies.disease import MINIMUM_DEGS, N_REPEATS, study_diseases
from mtm_core.studies.donor_traits import MINIMUM_DISEASE, Trait, choose_traits, known_traits
from mtm_core.studies.out_of_fold import TissuePredictions, on_expression_scale, read_out_of_fold
from mtm_core.studies.traits import N_SHUFFLES, study_traits

TraitsOption = Annotated[
    str | None,
    typer.Option(
        "--traits", help="Comma-separated, such as age,sex; by default all that donors differ in."
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

    Raw, and with age, sex and Hardy class (how the donor died) regressed out; beside each figure
    what it is with the trait shuffled among the donors.

    **Example:** `mtm study traits cohort.h5ad runs/evaluation/stack.nc --output studies/traits`
    """
    check_there(cohort=cohort, predictions=predictions, folds=folds, dbgap=dbgap)
    inputs = [path for path in (cohort, predictions, folds, dbgap) if path is not None]
    check_output(output, overwrite=overwrite, inputs=inputs, folder=True)
    data = read_study_cohort(cohort, dbgap)
    chosen = _chosen(known_traits(data.uns["donors"]), names)
    out_of_fold, by_tissue = _read(predictions, folds, data)
    study = study_traits(by_tissue, data.uns["donors"], chosen, n_shuffles=shuffles, seed=seed)
    summary = study.summary().reset_index()
    settings = _settings(data, out_of_fold) | {"shuffles": shuffles, "seed": seed}
    save_study(
        output,
        settings,
        overwrite=overwrite,
        tissues=study.tissues,
        genes=study.genes,
        summary=summary,
    )
    print_study(
        "Correlation over genes between predicted and measured association with a trait,"
        " medians over tissues",
        summary,
    )


def disease_command(
    cohort: CohortArgument,
    predictions: PredictionsArgument,
    output: OutputOption,
    folds: FoldsOption = None,
    dbgap: DbgapOption = None,
    names: TraitsOption = None,
    minimum_group: Annotated[
        int, typer.Option(help="Cases and controls that a tissue needs.", min=5)
    ] = MINIMUM_DISEASE,
    minimum_degs: Annotated[
        int, typer.Option(help="Changed genes that a tissue needs to be counted.", min=1)
    ] = MINIMUM_DEGS,
    repeats: Annotated[
        int, typer.Option(help="Of the classification's cross-validation; 0: none.", min=0)
    ] = N_REPEATS,
    shuffles: ShufflesOption = N_SHUFFLES,
    jobs: Annotated[int, typer.Option(help="Processes; -1: one a core.")] = 1,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Ask whether predictions show a difference between two groups as measurements do.

    Sex, and death on a ventilator against any other; with a dbGaP file also diseases. Log2 fold
    changes, changed genes, and how well a profile tells the groups apart.

    **Example:** `mtm study disease cohort.h5ad runs/evaluation/stack.nc --output studies/disease`
    """
    check_there(cohort=cohort, predictions=predictions, folds=folds, dbgap=dbgap)
    check_jobs(jobs)
    inputs = [path for path in (cohort, predictions, folds, dbgap) if path is not None]
    check_output(output, overwrite=overwrite, inputs=inputs, folder=True)
    data = read_study_cohort(cohort, dbgap)
    every = tuple(t for t in known_traits(data.uns["donors"]) if t.kind == "two groups")
    chosen = _chosen(every, names)
    out_of_fold, by_tissue = _read(predictions, folds, data)
    with parallel_config(n_jobs=jobs):
        study = study_diseases(
            by_tissue,
            data,
            chosen,
            source=str(out_of_fold.attrs["source"]),
            minimum_group=minimum_group,
            n_repeats=repeats,
            n_shuffles=shuffles,
            seed=seed,
        )
    summary = study.summary(minimum_degs).reset_index()
    status_summary = study.status_summary().reset_index()
    settings = _settings(data, out_of_fold) | {
        "minimum_group": minimum_group,
        "minimum_degs": minimum_degs,
        "repeats": repeats,
        "shuffles": shuffles,
        "seed": seed,
    }
    save_study(
        output,
        settings,
        overwrite=overwrite,
        pairs=study.pairs,
        genes=study.genes,
        status=study.status,
        curves=study.curves,
        summary=summary,
        status_summary=status_summary,
    )
    print_study("Predicted against measured change of expression, by tissue", summary)
    if repeats:
        print_study(
            "Area under the ROC curve, means over tissues where the measured one tells more than"
            " the source",
            status_summary,
        )


def _chosen(traits: tuple[Trait, ...], names: str | None) -> tuple[Trait, ...]:
    if not traits:
        raise SelectionError(
            "the donors of the cohort differ in no trait that is known. Prepare it with"
            " --subject-phenotypes, or give --dbgap."
        )
    return traits if names is None else choose_traits(traits, [n.strip() for n in names.split(",")])


def _read(
    predictions: Path, folds: Path | None, data: ad.AnnData
) -> tuple[xr.Dataset, Mapping[str, TissuePredictions]]:
    """Read out-of-fold predictions, as they are and on the expression scale."""
    out_of_fold = read_out_of_fold(predictions)
    dealt = DonorFolds.load(folds or predictions.parent / "folds.json")
    return out_of_fold, on_expression_scale(out_of_fold, data, dealt)


def _settings(data: ad.AnnData, out_of_fold: xr.Dataset) -> dict[str, Any]:
    return cohort_settings(data) | {
        "method": str(out_of_fold.attrs["method"]),
        "source": str(out_of_fold.attrs["source"]),
        "n_pairs": out_of_fold.sizes["pair"],
        "genes": "predictable (pooled rho > 0.3) on the donors of the other folds",
    }
