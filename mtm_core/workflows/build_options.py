"""Options of ``mtm build``, and which of them must be equal to continue a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtm_core.config import PresetName
from mtm_core.data.cohort.cohort import MINIMUM_SAMPLES, MINIMUM_TISSUES
from mtm_core.data.cohort.normalise import Normalisation
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.gtex.download import OFFICIAL, Release
from mtm_core.errors import SelectionError
from mtm_core.evaluation.bootstrap import N_RESAMPLES
from mtm_core.evaluation.combinations import MOST_GIVEN
from mtm_core.methods.covariates import AGE_SEX
from mtm_core.methods.registry import METHOD_NAMES, OPTIONAL_AGE_SEX, trainable_methods
from mtm_core.sharing.licence import licence_text
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.run_settings import run_config

DEFAULT_METHOD = "factor-stack"
"""Predictor that is built: it fits at any number of genes."""
PROTEIN_CODING = "protein_coding"
ALL_TYPES = "all"
_BASELINES = ("ridge", "age-sex", "training-mean")


@dataclass(frozen=True)
class BuildOptions(PlainValues):
    """Options of a build.

    One of ``release``, ``folder``, ``cohort``, or ``expression`` with ``sample_attributes``.

    Attributes
    ----------
    output
        Folder for the model.
    release
        GTEx release to download.
    folder
        Folder that already has the files, under their official names.
    expression, sample_attributes, subject_phenotypes, gene_table
        The files one by one; the last two also in place of those of ``release`` or ``folder``.
    cohort
        Cohort of 'mtm data prepare'.
    mirror
        Server to download from: https, or http of this machine.
    genes
        File of gene ids to keep, one a line.
    gene_type
        Keep genes of this type, ``"all"`` for any; by default protein-coding ones where a gene
        table tells types and ``genes`` is not given.
    normalise, minimum_samples, minimum_tissues
        As of :class:`mtm_core.workflows.prepare.PrepareOptions`.
    method
        Predictor to build.
    methods
        Others to evaluate beside it; by default itself with age and sex, ridge, age and sex alone
        and the training mean.
    evaluate
        Whether to evaluate at all; a model that was not carries no accuracy.
    folds, seed, source, resamples
        Settings of the evaluation.
    combinations
        As of :class:`mtm_core.workflows.evaluate_options.EvaluateOptions`; by default the source
        with the three tissues that most donors give beside it.
    preset, settings
        Settings of MTM, if it is a part of the method.
    jobs
        Folds at a time, each in a process, with as much memory again.
    work
        Folder for what is made on the way; by default ``OUTPUT.build``.
    restart
        Start again; downloaded files stay.
    overwrite
        Replace a model that is there.
    licence, licence_file
        SPDX id of the model's licence, and its text where it is not the program's own; none by
        default.
    command
        Command line to record in the model.
    """

    output: Path
    release: Release | None = None
    folder: Path | None = None
    expression: Path | None = None
    sample_attributes: Path | None = None
    subject_phenotypes: Path | None = None
    gene_table: Path | None = None
    cohort: Path | None = None
    mirror: str = OFFICIAL
    genes: Path | None = None
    gene_type: str | None = None
    normalise: Normalisation = "none"
    minimum_samples: int = MINIMUM_SAMPLES
    minimum_tissues: int = MINIMUM_TISSUES
    method: str = DEFAULT_METHOD
    methods: tuple[str, ...] | None = None
    evaluate: bool = True
    folds: int = 5
    seed: int = 0
    source: str = WHOLE_BLOOD
    resamples: int = N_RESAMPLES
    combinations: tuple[str, ...] = (MOST_GIVEN,)
    preset: PresetName = "acmg59"
    settings: tuple[str, ...] = ()
    jobs: int = 1
    work: Path | None = None
    restart: bool = False
    overwrite: bool = False
    licence: str | None = None
    licence_file: Path | None = None
    command: str = ""

    @property
    def work_folder(self) -> Path:
        """Folder of intermediate results."""
        return self.work or self.output.with_name(f"{self.output.name}.build")

    @property
    def names_files(self) -> bool:
        """Whether expression and sample attributes are named one by one."""
        return self.expression is not None or self.sample_attributes is not None

    def evaluated(self, *, with_phenotypes: bool) -> tuple[str, ...]:
        """List the methods to evaluate, the one that is built first."""
        if not self.evaluate:
            return ()
        others = self.methods
        if others is None:
            with_age_sex = [self.method + AGE_SEX] if self.method in OPTIONAL_AGE_SEX else []
            others = (*with_age_sex, *_BASELINES)
            if not with_phenotypes:
                others = tuple(name for name in others if not name.endswith("age-sex"))
        return tuple(dict.fromkeys((self.method, *others)))

    def type_of_genes(self, *, has_gene_table: bool) -> str | None:
        """Return the type of the genes to keep; ``None`` keeps all."""
        if self.gene_type is not None:
            return None if self.gene_type == ALL_TYPES else self.gene_type
        return PROTEIN_CODING if has_gene_table and self.genes is None else None

    def check(self) -> None:
        """Refuse options that do not go together.

        Raises
        ------
        SelectionError
            If they do not, or name no method that there is.
        InputFileError
            If the licence has no text.
        """
        if self.licence is not None:
            licence_text(self.licence, self.licence_file)
        elif self.licence_file is not None:
            raise SelectionError("--licence-file needs --licence, the SPDX id of that text.")
        given = {
            "--release": self.release is not None,
            "--from": self.folder is not None,
            "--cohort": self.cohort is not None,
            "--expression": self.names_files,
        }
        chosen = [option for option, is_given in given.items() if is_given]
        if not chosen:
            raise SelectionError(
                "no data to build a model from. Give --release v8 to download GTEx, --from FOLDER"
                " if you have its files, --expression and --sample-attributes, or --cohort."
            )
        if len(chosen) > 1 and chosen != ["--from", "--expression"]:
            raise SelectionError(
                f"{' and '.join(chosen)} give the data more than once. Use one of them."
            )
        if chosen == ["--expression"] and not (self.expression and self.sample_attributes):
            raise SelectionError("--expression and --sample-attributes are needed together.")
        if self.cohort is not None and (self.subject_phenotypes or self.gene_table or self.genes):
            raise SelectionError(
                "--cohort already has phenotypes and genes. Choose them with 'mtm data prepare', or"
                " give GTEx's files in place of --cohort."
            )
        of_preparing = {
            "--gene-type": self.gene_type is not None,
            "--normalise": self.normalise != "none",
            "--minimum-samples": self.minimum_samples != MINIMUM_SAMPLES,
            "--minimum-tissues": self.minimum_tissues != MINIMUM_TISSUES,
        }
        passed = [option for option, is_given in of_preparing.items() if is_given]
        if self.cohort is not None and passed:
            raise SelectionError(
                f"{' and '.join(passed)} would change nothing, because --cohort is already"
                " prepared. Use these options with 'mtm data prepare', or give GTEx's files in"
                " place of --cohort."
            )
        if self.mirror != OFFICIAL and self.release is None:
            raise SelectionError("--mirror needs --release, which downloads the files.")
        if self.method not in trainable_methods():
            raise SelectionError.unknown("method", [self.method], trainable_methods())
        unknown = [name for name in self.methods or () if name not in METHOD_NAMES]
        if unknown:
            raise SelectionError.unknown("method", unknown, METHOD_NAMES)
        run_config(self.preset, self.settings, 2, 2)  # of any size: are there such settings

    def identity(self) -> dict[str, Any]:
        """Return, as JSON values, the options that change what is made of the same files."""
        values = {name: getattr(self, name) for name in FIRST_STEP_OF}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }


FIRST_STEP_OF: Mapping[str, str] = {
    "release": "files",
    "gene_type": "cohort",
    "normalise": "cohort",
    "minimum_samples": "cohort",
    "minimum_tissues": "cohort",
    "method": "fit",
    "preset": "fit",
    "settings": "fit",
    "folds": "evaluation",
    "seed": "evaluation",
    "source": "evaluation",
    "resamples": "evaluation",
    "combinations": "evaluation",
}
"""By option: the first step that another value of it would change."""
