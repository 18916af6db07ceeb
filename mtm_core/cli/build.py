"""``mtm build``: from GTEx's files to a model, by one command."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mtm_core.cli.checks import check_files, check_jobs
from mtm_core.cli.output import err
from mtm_core.cli.steps import step_display
from mtm_core.cli.training_options import PresetOption, SettingOption
from mtm_core.data.cohort.cohort import MINIMUM_SAMPLES, MINIMUM_TISSUES
from mtm_core.data.cohort.normalise import Normalisation
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.gtex.download import OFFICIAL, Release
from mtm_core.evaluation.bootstrap import N_RESAMPLES
from mtm_core.evaluation.combinations import MOST_GIVEN
from mtm_core.methods.registry import METHOD_NAMES, trainable_methods
from mtm_core.model_folder import ModelFolder
from mtm_core.sharing.licence import PROGRAM_LICENCE, licence_of
from mtm_core.workflows.build import build_model
from mtm_core.workflows.build_options import DEFAULT_METHOD, BuildOptions
from mtm_core.workflows.build_plan import plan_build

_FILES, _GENES, _ACCURACY, _WORK = (
    "Files on this machine",
    "Genes and samples",
    "Method and evaluation",
    "Folders, resuming and overwriting",
)


def build_command(
    output: Annotated[Path, typer.Option(help="Folder for the model.")],
    release: Annotated[
        Release | None, typer.Option(help="GTEx release to download (1.6 GB).")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder with GTEx's files, under their original names.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    expression: Annotated[
        Path | None, typer.Option(help="GCT or GCT.gz of counts or TPM.", rich_help_panel=_FILES)
    ] = None,
    sample_attributes: Annotated[
        Path | None, typer.Option(help="GTEx sample attributes.", rich_help_panel=_FILES)
    ] = None,
    subject_phenotypes: Annotated[
        Path | None,
        typer.Option(
            help="Donor phenotypes, public or dbGaP; replaces those of the release.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    gene_table: Annotated[
        Path | None,
        typer.Option(
            help="GENCODE GTF, or a table with ENSEMBL, SYMBOL, ENTREZID, GENETYPE.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    cohort: Annotated[
        Path | None, typer.Option(help="Cohort made by 'mtm data prepare'.", rich_help_panel=_FILES)
    ] = None,
    genes: Annotated[
        Path | None,
        typer.Option(help="Use only these gene ids, one per line.", rich_help_panel=_GENES),
    ] = None,
    gene_type: Annotated[
        str | None,
        typer.Option(
            help="Use only genes of this type, or all; protein_coding where types are known.",
            rich_help_panel=_GENES,
        ),
    ] = None,
    normalise: Annotated[
        Normalisation, typer.Option(help="How samples are normalised.", rich_help_panel=_GENES)
    ] = "none",
    minimum_samples: Annotated[
        int,
        typer.Option(help="Minimum number of samples of a tissue.", min=2, rich_help_panel=_GENES),
    ] = MINIMUM_SAMPLES,
    minimum_tissues: Annotated[
        int,
        typer.Option(
            help="Minimum number of these tissues per donor.", min=1, rich_help_panel=_GENES
        ),
    ] = MINIMUM_TISSUES,
    method: Annotated[
        str,
        typer.Option(
            help=f"Predictor: one of {', '.join(trainable_methods())}.", rich_help_panel=_ACCURACY
        ),
    ] = DEFAULT_METHOD,
    methods: Annotated[
        str | None,
        typer.Option(
            help=f"Methods to evaluate beside it, comma-separated: {', '.join(METHOD_NAMES)}. By "
            f"default the same with age and sex, ridge, age and sex alone, and the training mean.",
            rich_help_panel=_ACCURACY,
        ),
    ] = None,
    skip_evaluation: Annotated[
        bool,
        typer.Option(
            "--skip-evaluation",
            help="Do not evaluate; the model then has no accuracy.",
            rich_help_panel=_ACCURACY,
        ),
    ] = False,
    folds: Annotated[
        int, typer.Option(help="Number of folds, by donor.", min=2, rich_help_panel=_ACCURACY)
    ] = 5,
    seed: Annotated[
        int, typer.Option(help="Seed of the folds.", min=0, rich_help_panel=_ACCURACY)
    ] = 0,
    source: Annotated[
        str, typer.Option(help="Tissue to predict from.", rich_help_panel=_ACCURACY)
    ] = WHOLE_BLOOD,
    resamples: Annotated[
        int,
        typer.Option(
            help="Resamples of the donors, for intervals and differences.",
            min=100,
            rich_help_panel=_ACCURACY,
        ),
    ] = N_RESAMPLES,
    combinations: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TISSUE+TISSUE",
            help="Also evaluate predictions from these tissues together; repeatable, none for "
            "none. By default most-given: the source with the three tissues that most donors give.",
            rich_help_panel=_ACCURACY,
        ),
    ] = None,
    preset_name: PresetOption = "acmg59",
    settings: SettingOption = None,
    licence: Annotated[
        str | None,
        typer.Option(
            help="SPDX id of the model's licence, such as CC-BY-4.0; by default none is given.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    licence_file: Annotated[
        Path | None,
        typer.Option(
            help=f"Text of the licence, unless it is {PROGRAM_LICENCE}.", rich_help_panel=_WORK
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            help="Folds to run at the same time; each process needs as much memory as one.",
            rich_help_panel=_WORK,
        ),
    ] = 1,
    work: Annotated[
        Path | None,
        typer.Option(
            help="Folder for downloads and intermediate files; by default OUTPUT.build.",
            rich_help_panel=_WORK,
        ),
    ] = None,
    mirror: Annotated[
        str,
        typer.Option(
            help="Server with the official file layout: https, or http on this machine.",
            rich_help_panel=_WORK,
        ),
    ] = OFFICIAL,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Start again; downloaded files stay.", rich_help_panel=_WORK
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace an existing model.", rich_help_panel=_WORK),
    ] = False,
) -> None:
    """Build a model from GTEx's files with one command, from download to model card.

    What disk, memory and network it needs is looked at and said first. It goes on where it was
    stopped, by whatever, when the same command is given again.

    **Example:** `mtm build --release v8 --output trained_models/gtex_v8`

    **Example:** `mtm build --from gtex --output trained_models/gtex_v8`
    """
    check_jobs(jobs)
    check_files(
        cohort=cohort,
        expression=expression,
        sample_attributes=sample_attributes,
        subject_phenotypes=subject_phenotypes,
        gene_table=gene_table,
        genes=genes,
    )
    options = BuildOptions(
        output,
        release=release,
        folder=folder,
        expression=expression,
        sample_attributes=sample_attributes,
        subject_phenotypes=subject_phenotypes,
        gene_table=gene_table,
        cohort=cohort,
        mirror=mirror,
        genes=genes,
        gene_type=gene_type,
        normalise=normalise,
        minimum_samples=minimum_samples,
        minimum_tissues=minimum_tissues,
        method=method,
        methods=None if methods is None else _names(methods),
        evaluate=not skip_evaluation,
        folds=folds,
        seed=seed,
        source=source,
        resamples=resamples,
        combinations=_combinations(combinations),
        preset=preset_name,
        settings=tuple(settings or ()),
        jobs=jobs,
        work=work,
        restart=restart,
        overwrite=overwrite,
        licence=licence,
        licence_file=licence_file,
        command=shlex.join(["mtm", *sys.argv[1:]]),
    )
    plan = plan_build(options)
    if plan.is_finished:
        err.print(f"{output} is finished: it was built from the same files with the same options.")
        if licence is not None and licence != (found := licence_of(ModelFolder.open(output))):
            err.print(
                f"Its licence stays {found or 'not given'}. To share it under another: mtm model"
                f" push {output} --licence {licence}"
            )
        return
    plan.needs.check()
    for line in plan.needs.lines():
        err.print(line)
    try:
        with step_display() as show:
            build_model(options, show)
    except (KeyboardInterrupt, SystemExit):  # by Ctrl-C, the system or a closed terminal
        err.print("Stopped. Run the same command to continue.")
        raise
    err.print(f"Wrote {output}. Try it: mtm predict INPUT --model {output} --output OUTPUT")
    if cohort is None:
        left = "the cohort" if release is None else "the downloaded files and the cohort"
        err.print(f"{options.work_folder} holds {left}. Delete it when you no longer need it.")


def _combinations(given: list[str] | None) -> tuple[str, ...]:
    if given == ["none"]:
        return ()
    return tuple(given or [MOST_GIVEN])


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
