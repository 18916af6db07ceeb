"""``mtm evaluate``: cross-validated accuracy of methods on one cohort."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from mtm_core.cli.checks import check_files, check_jobs, check_names
from mtm_core.cli.output import OverwriteOption, err, print_table
from mtm_core.cli.training_options import (
    AcceleratorOption,
    CudaGraphOption,
    PrecisionOption,
    PresetOption,
    SettingOption,
    training_bar,
)
from mtm_core.errors import SelectionError
from mtm_core.evaluation.bootstrap import N_RESAMPLES
from mtm_core.evaluation.combinations import RHO_ALONE
from mtm_core.evaluation.confounding import SHUFFLED
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.together import explain_sources
from mtm_core.methods.registry import METHOD_NAMES
from mtm_core.training.hardware import Hardware, check_hardware
from mtm_core.workflows.evaluate import evaluate_methods
from mtm_core.workflows.evaluate_options import EvaluateOptions
from mtm_core.workflows.evaluate_steps import predicting
from mtm_core.workflows.progress import StepProgress

CombinationsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TISSUE+TISSUE",
        help="Also evaluate predictions from these tissues together, in the donors who give all of "
        "them; repeatable. most-given: the source with the three tissues that most donors give.",
    ),
]


def evaluate_command(
    cohort: Annotated[
        Path, typer.Argument(metavar="COHORT", help="Cohort (.h5ad) of 'mtm data prepare'.")
    ],
    output: Annotated[Path, typer.Option(help="Folder for the tables.")],
    methods: Annotated[
        str, typer.Option(help=f"Comma-separated: {', '.join(METHOD_NAMES)}.")
    ] = "mtm,ridge,training-mean",
    folds: Annotated[int, typer.Option(help="Number of folds, by donor.", min=2)] = 5,
    only: Annotated[
        str | None, typer.Option(help="Run only these folds, comma-separated, from 0.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the folds.", min=0)] = 0,
    source: Annotated[str, typer.Option(help="Tissue to predict from.")] = "Whole Blood",
    further_sources: Annotated[
        str | None,
        typer.Option(
            help="More source tissues, semicolon-separated, used where a donor has them; never "
            "targets."
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
            help="Table with SAMPID, SMRIN, SMCENTER and SMMPPD: also score after adjusting for "
            "these technical variables, where both samples of a pair are in the table."
        ),
    ] = None,
    composition: Annotated[
        Path | None,
        typer.Option(
            help="Table of shares of blood cells by sample or donor, to score also after "
            "adjusting for them. By default they are estimated, if the cohort has the genes."
        ),
    ] = None,
    combinations: CombinationsOption = None,
    jobs: Annotated[
        int,
        typer.Option(help="Folds to run at the same time, each in a process; -1: one per core."),
    ] = 1,
    resamples: Annotated[
        int, typer.Option(help="Resamples of the donors, for intervals and differences.", min=100)
    ] = N_RESAMPLES,
    save_predictions: Annotated[
        bool, typer.Option(help="Also save every out-of-fold value (NetCDF, one file per method).")
    ] = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Predict every donor out of fold by several methods, and score the predictions.

    A fold that is done is stored in OUTPUT, and so are the scores of a method and each fit of MTM
    and of the stack; a later call with the same settings goes on from them.

    **Example:** `mtm evaluate cohort.h5ad --methods mtm,ridge --folds 5 --output runs/evaluation`
    """
    names = list(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip()))
    check_names("methods", "method", names, METHOD_NAMES)
    chosen = _folds(only, folds)
    check_jobs(jobs)
    hardware = Hardware(accelerator, 1, 1, precision, cuda_graph)
    check_hardware(hardware)
    check_files(cohort=cohort, technical=technical, composition=composition)
    further = [part.strip() for part in further_sources.split(";")] if further_sources else []
    options = EvaluateOptions(
        cohort,
        output,
        methods=tuple(names),
        folds=folds,
        only=chosen,
        seed=seed,
        source=source,
        further_sources=tuple(further),
        preset=preset_name,
        settings=tuple(settings or ()),
        hardware=hardware,
        technical=technical,
        composition=composition,
        combinations=tuple(combinations or ()),
        jobs=jobs,
        resamples=resamples,
        save_predictions=save_predictions,
        overwrite=overwrite,
    )
    with training_bar() as show:
        evaluated = evaluate_methods(options, _Spoken(names).show, show)
    _print(evaluated.tables)
    _print_combinations(evaluated.tables)
    if not evaluated.knows_chromosomes:
        err.print(
            "The cohort does not say which chromosome a gene is on: there are no scores without "
            "the genes on X and Y."
        )
    if not evaluated.knows_composition:
        err.print(
            "The cohort has too few marker genes of blood cells: no score was adjusted for blood "
            "composition. Give the composition with --composition."
        )
    err.print(f"Wrote {output}.")


class _Spoken:
    """A line for each method whose folds are predicted."""

    def __init__(self, methods: Sequence[str]) -> None:
        self._left = {predicting(name): name for name in methods}

    def show(self, steps: Sequence[StepProgress]) -> None:
        """Say what is done since the last time."""
        for step in steps:
            if step.state == "done" and step.name in self._left:
                name = self._left.pop(step.name)
                err.print(f"{name}: {step.total:.0f} folds in {step.seconds:.1f} s.")


def _folds(only: str | None, n_folds: int) -> tuple[int, ...] | None:
    """Return the folds that ``--only`` names."""
    if only is None:
        return None
    names = [name.strip() for name in only.split(",")]
    known = [str(fold) for fold in range(n_folds)]
    if not set(names) <= set(known):
        raise SelectionError.unknown("fold", sorted(set(names) - set(known)), known)
    return tuple(sorted({int(name) for name in names}))


_HEADER = (
    "method", "rho by fold", "95 % interval", "pooled", "adjusted", "adjusted for cells",
    "shuffled", "rho of samples", "pGenes", "with FDR 5 %", "MSE ratio", "inside 90 %",
)  # fmt: skip


def _print(tables: EvaluationTables) -> None:
    """Print one line a method.

    Gene-wise rho by fold with the donor bootstrap's interval, pooled, adjusted (for age, sex and
    Hardy scale, and for the blood's composition), and of shuffled donors, a control.
    """
    shuffled = tables.strata[tables.strata["stratum"] == SHUFFLED].set_index("method")
    rows = [
        (
            str(name),
            _figure(row["gene_rho_by_fold_mean"]),
            _between(row, "gene_rho_by_fold"),
            _figure(row["gene_rho_pooled_mean"]),
            _figure(row.get("gene_adjusted_rho_by_fold_mean")),
            _figure(row.get("gene_rho_adjusted_for_composition_mean")),
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


def _print_combinations(tables: EvaluationTables) -> None:
    """Print one line a method and combination of tissues, where there are some."""
    rows = []
    for method in tables.methods:
        for sources in tables.combinations_of(method):
            own = tables.from_sources(sources, method)
            assert own is not None
            found = own.summary().loc[method]
            rows.append(
                (
                    method,
                    explain_sources(sources),
                    str(int(own.tissues["n"].max())),
                    _figure(found[f"{RHO_ALONE}_mean"]),
                    _figure(found["gene_rho_by_fold_mean"]),
                    _between(found, "gene_rho_by_fold"),
                    _between(found, "difference"),
                    _figure(found.get("coverage_90")),
                )
            )
    if rows:
        source = tables.settings["source"]
        header = (
            "method", "from", "most donors", f"rho, {source} alone", "rho", "95 % interval",
            "gain, 95 % interval", "inside 90 %",
        )  # fmt: skip
        print_table("Several tissues together, the donors who give all of them", header, rows)


def _between(row: pd.Series, figure: str) -> str:
    """Return the interval of a figure, or nothing if there is none."""
    low, high = (row.get(f"{figure}_{end}", math.nan) for end in ("low", "high"))
    return "" if math.isnan(low) else f"{low:.3f} to {high:.3f}"


def _figure(value: float | None) -> str:
    """Return a figure, or nothing if the method has none."""
    return "" if value is None or math.isnan(value) else f"{value:.3f}"
