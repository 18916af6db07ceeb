"""``mtm study pgenes`` and ``latent``: what a model has learnt, and of whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from mtm_core.cli.output import OverwriteOption, err
from mtm_core.cli.own_samples import print_found
from mtm_core.cli.steps import step_display
from mtm_core.cli.study_options import CohortArgument, OutputOption, SeedOption, print_study
from mtm_core.cli.training_options import (
    AcceleratorOption,
    PresetOption,
    SettingOption,
    training_bar,
)
from mtm_core.errors import SelectionError
from mtm_core.training.hardware import Hardware
from mtm_core.workflows.study_model import (
    LatentMethod,
    LatentOptions,
    PredictableGenesOptions,
    study_latent_codes,
    study_predictable,
)


def pgenes_command(
    cohort: CohortArgument,
    output: OutputOption,
    evaluation: Annotated[Path, typer.Option(help="Output folder of 'mtm evaluate'.")],
    method: Annotated[str, typer.Option(help="Method to use from that evaluation.")] = "stack",
    annotation: Annotated[
        list[str] | None,
        typer.Option(help="name=FILE, a table of genes with one number each; repeatable."),
    ] = None,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Ask what sets predictable genes apart: expression, connectivity, conservation.

    In each tissue the best predicted quarter of the genes is held against the worst; and tissues
    with like profiles are asked whether they share their predictable genes.

    **Example:** `mtm study pgenes cohort.h5ad --evaluation runs/evaluation --annotation
    degree=degree.tsv --output studies/pgenes`
    """
    options = PredictableGenesOptions(
        cohort,
        evaluation,
        output,
        method=method,
        annotations=_annotations(annotation),
        seed=seed,
        overwrite=overwrite,
    )
    with step_display() as show:
        study = study_predictable(options, show, print_found)
    err.print(f"Wrote {output}.")
    print_study(
        "Top against bottom quartile of gene-wise rho, tissues counted",
        study.summary().reset_index(),
    )
    print_study(
        "Similarity of tissues against that of their gene-wise rho",
        pd.DataFrame([vars(study.tissues)]),
    )


def _annotations(options: list[str] | None) -> dict[str, Path]:
    """Return the files that ``--annotation`` names, by the name that each is given."""
    files = {}
    for option in options or []:
        name, equals, file = option.partition("=")
        if not equals or not name:
            raise SelectionError(f"--annotation expects name=FILE, got {option!r}.")
        files[name] = Path(file)
    return files


def latent_command(
    cohort: CohortArgument,
    output: OutputOption,
    model: Annotated[
        str,
        typer.Option(
            help="A model of mtm or compact-mtm, or a stack that contains one: a bundled model,"
            " or a folder."
        ),
    ] = "gtex_v8_acmg59",
    folds: Annotated[
        Path | None,
        typer.Option(
            help="folds.json of an evaluation: train MTM again without the donors of --hold-out, "
            "and study only those."
        ),
    ] = None,
    hold_out: Annotated[int, typer.Option(help="Fold of --folds, from 0.", min=0)] = 0,
    method: Annotated[
        LatentMethod,
        typer.Option(
            help="What --folds trains: mtm, or compact-mtm, which suits genome-wide cohorts."
        ),
    ] = "mtm",
    preset_name: PresetOption = "acmg59",
    settings: SettingOption = None,
    accelerator: AcceleratorOption = "auto",
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Ask whether the tissues of one donor have like latent codes, and how codes are decoded.

    A bundled model was trained on every donor of its cohort; with --folds it is trained anew
    without those it is then asked about.

    **Example:** `mtm study latent cohort.h5ad --folds runs/evaluation/folds.json --output latent`
    """
    options = LatentOptions(
        cohort,
        output,
        model=model,
        folds=folds,
        hold_out=hold_out,
        method=method,
        preset=preset_name,
        settings=tuple(settings or ()),
        hardware=Hardware(accelerator, 1, 1),
        seed=seed,
        overwrite=overwrite,
    )
    with training_bar() as show:
        study = study_latent_codes(options, say=print_found, on_training=show)
    err.print(f"Wrote {output}.")
    print_study(
        "Pearson's rho between latent codes of two tissues, one donor or two",
        pd.DataFrame([study.codes]),
    )
    print_study(
        "Decoding of blood codes, by layer, against the similarity of tissues", study.layers
    )
