"""``mtm study pgenes``, ``latent`` and ``external``: what a model has learnt, and of whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from mtm_core.cli.checks import check_there
from mtm_core.cli.output import OverwriteOption, err
from mtm_core.cli.own_samples import UnitOption
from mtm_core.cli.study_options import (
    CohortArgument,
    OutputOption,
    SeedOption,
    cohort_settings,
    print_study,
    read_study_cohort,
    save_study,
)
from mtm_core.cli.training_options import (
    AcceleratorOption,
    PresetOption,
    SettingOption,
    training_bar,
)
from mtm_core.config import to_json
from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.data.cohort.splits import DonorFolds
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.evaluation.predictability import matrix_of
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.protocol import tissue_index
from mtm_core.safe_output import check_output
from mtm_core.studies.latent import find_mtm, study_latent
from mtm_core.studies.predictable_genes import read_annotation, study_predictable_genes
from mtm_core.training.hardware import Hardware, check_hardware
from mtm_core.workflows.run_settings import run_config
from mtm_core.workflows.study import ExternalOptions, study_external_samples


def pgenes_command(
    cohort: CohortArgument,
    output: OutputOption,
    evaluation: Annotated[Path, typer.Option(help="Folder of 'mtm evaluate'.")],
    method: Annotated[str, typer.Option(help="Method of that evaluation.")] = "stack",
    annotation: Annotated[
        list[str] | None,
        typer.Option(help="name=FILE, a table of genes and one number each; repeatable."),
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
    _check_annotations(annotation)
    check_there(cohort=cohort, evaluation=evaluation)
    inputs = [cohort, evaluation / "settings.json", *_annotation_files(annotation)]
    check_output(output, overwrite=overwrite, inputs=inputs, folder=True)
    data = read_study_cohort(cohort)
    tables = EvaluationTables.load(evaluation)
    if method not in tables.methods:
        raise SelectionError.unknown("method", [method], tables.methods)
    if tables.settings.get("cohort_sha256") != str(data.uns["mtm"]["sha256"]):
        raise InputFileError(f"{evaluation} is of another cohort. Run 'mtm evaluate' on this one.")
    rho = matrix_of(tables, method, "rho_pooled")
    study = study_predictable_genes(rho, data, _annotations(annotation, data.var), seed=seed)
    summary = study.summary().reset_index()
    similarity = pd.DataFrame([study.tissues.__dict__])
    settings = cohort_settings(data) | {"method": method, "seed": seed, "rho": "pooled"}
    save_study(
        output,
        settings,
        overwrite=overwrite,
        quartiles=study.quartiles,
        summary=summary,
        similarity=similarity,
    )
    print_study("Top against bottom quartile of gene-wise rho, tissues counted", summary)
    print_study("Similarity of tissues against that of their gene-wise rho", similarity)


def _annotation_files(options: list[str] | None) -> list[Path]:
    files = [option.partition("=")[2] for option in options or []]
    return [Path(file) for file in files if file]


def _check_annotations(options: list[str] | None) -> None:
    for option in options or []:
        name, equals, file = option.partition("=")
        if not equals or not name:
            raise SelectionError(f"--annotation expects name=FILE, got {option!r}.")
        check_there(annotation=Path(file))


def _annotations(options: list[str] | None, genes: pd.DataFrame) -> dict[str, pd.Series]:
    annotations = {}
    for option in options or []:
        name, _, file = option.partition("=")
        annotations[name] = read_annotation(Path(file), genes)
    return annotations


def latent_command(
    cohort: CohortArgument,
    output: OutputOption,
    model: Annotated[
        str, typer.Option(help="Model of MTM, or of a stack with one: a bundled one, or a folder.")
    ] = "gtex_v8_acmg59",
    folds: Annotated[
        Path | None,
        typer.Option(
            help="folds.json of an evaluation: train MTM anew without the donors of --hold-out,"
            " and look at those alone."
        ),
    ] = None,
    hold_out: Annotated[int, typer.Option(help="Fold of --folds, from 0.", min=0)] = 0,
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
    hardware = Hardware(accelerator, 1, 1)
    check_hardware(hardware)
    check_there(cohort=cohort, folds=folds)
    if folds is None:
        find_model(model)
    inputs = [cohort] if folds is None else [cohort, folds]
    check_output(output, overwrite=overwrite, inputs=inputs, folder=True)
    data = read_study_cohort(cohort)
    if folds is None:
        fitted, donors = find_mtm(Predictor.load(find_model(model)).artefact.method), None
        about: dict[str, Any] = {"model": model, "donors": "all, and it was trained on them"}
        err.print("These donors trained the model: give --folds to look at donors it never saw.")
    else:
        dealt = DonorFolds.load(folds)
        if hold_out >= len(dealt.folds):
            raise SelectionError.unknown(
                "fold", [str(hold_out)], [str(k) for k in range(len(dealt.folds))]
            )
        config = run_config(preset_name, settings, data.n_vars, len(tissue_names(data)))
        tissue_index(tissue_names(data), config.training.validation_source)
        with training_bar() as show:
            method = MTMMethod(config, hardware, show)
            fitted = method.fit(data, dealt.training(hold_out))
        donors = dealt.held_out(hold_out)
        about = {
            "model": "mtm, trained without the donors looked at",
            "donors": f"{len(donors)} of fold {hold_out}",
            "config": to_json(config),
        }
    study = study_latent(fitted, data, donors, seed=seed)
    codes = pd.DataFrame([study.codes])
    save_study(
        output,
        cohort_settings(data) | about | {"seed": seed},
        overwrite=overwrite,
        pairs=study.pairs,
        codes=codes,
        layers=study.layers,
    )
    print_study("Pearson's rho between latent codes of two tissues, one donor or two", codes)
    print_study(
        "Decoding of blood codes, by layer, against the similarity of tissues", study.layers
    )


def external_command(
    table: Annotated[Path, typer.Argument(metavar="INPUT", help="Expression of the samples.")],
    metadata: Annotated[Path, typer.Option(help="Table of the samples, with their groups.")],
    group: Annotated[str, typer.Option(help="Column of the groups.")],
    case: Annotated[str, typer.Option(help="Group of the cases.")],
    control: Annotated[str, typer.Option(help="Group of the controls.")],
    trait: Annotated[str, typer.Option(help="Trait of the reference to compare with.")],
    output: OutputOption,
    adjusted_for: Annotated[
        str, typer.Option(help="Of the reference, such as age+sex; by default nothing.")
    ] = "",
    model: Annotated[str, typer.Option(help="Bundled model, or a model's folder.")] = DEFAULT_MODEL,
    reference: Annotated[
        Path | None,
        typer.Option(help="Folder of 'mtm study reference'; by default the model's own."),
    ] = None,
    source: Annotated[str, typer.Option(help="Tissue of the samples.")] = "Whole Blood",
    unit: UnitOption = "auto",
    overwrite: OverwriteOption = False,
) -> None:
    """Hold predicted changes between groups of other samples against a reference's.

    The samples are predicted in every tissue; log2 fold changes of case against control are
    correlated with those of a trait of the model's own cohort.

    **Example:** `mtm study external blood.tsv --metadata groups.tsv --group group --case disease
    --control healthy --trait age --output studies/external`
    """
    done = study_external_samples(
        ExternalOptions(
            table,
            metadata,
            group,
            case,
            control,
            trait,
            output,
            adjusted_for,
            model,
            reference,
            source,
            unit,
            overwrite,
        )
    )
    err.print(f"Wrote {output}.")
    print_study(
        f"Predicted log2 fold change, {done.case} against {done.control}, and the reference's of"
        f" {trait}",
        done.summary,
    )
