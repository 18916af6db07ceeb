"""Study what out-of-fold predictions preserve of donors' traits and diseases (paper, 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata as ad
import xarray as xr
from joblib import parallel_config

from mtm_core.data.cohort.splits import DonorFolds
from mtm_core.errors import SelectionError
from mtm_core.grouped_table import open_grouped
from mtm_core.grouped_writing import growing_table
from mtm_core.studies.disease import FDR as FDR
from mtm_core.studies.disease import INFORMATIVE_AUROC as INFORMATIVE_AUROC
from mtm_core.studies.disease import MINIMUM_DEGS as MINIMUM_DEGS
from mtm_core.studies.disease import N_REPEATS as N_REPEATS
from mtm_core.studies.disease import N_SHUFFLES as N_GROUP_SHUFFLES
from mtm_core.studies.disease import RHO as RHO
from mtm_core.studies.disease import SIGN as SIGN
from mtm_core.studies.disease import DiseaseStudy as DiseaseStudy
from mtm_core.studies.disease import study_diseases
from mtm_core.studies.donor_traits import GENE_KEYS as GENE_KEYS
from mtm_core.studies.donor_traits import MINIMUM_DISEASE as MINIMUM_DISEASE
from mtm_core.studies.donor_traits import Trait, choose_traits, known_traits
from mtm_core.studies.out_of_fold import TissuePredictions, on_expression_scale, read_out_of_fold
from mtm_core.studies.traits import N_SHUFFLES as N_SHUFFLES
from mtm_core.studies.traits import TraitStudy as TraitStudy
from mtm_core.studies.traits import study_traits
from mtm_core.workflows.input_files import check_files, check_jobs
from mtm_core.workflows.own_samples import Say, say_nothing
from mtm_core.workflows.plain_values import PlainValues
from mtm_core.workflows.progress import OnProgress, Steps
from mtm_core.workflows.study_files import (
    GENES,
    check_study_output,
    cohort_settings,
    read_study_cohort,
    write_tables,
    writing_study,
)

COMPARING_TRAITS = "Compare predicted with measured associations"
COMPARING_GROUPS = "Compare predicted with measured differences"
WRITING = "Write the tables"


@dataclass(frozen=True)
class TraitsOptions(PlainValues):
    """Which predictions, which traits, and where to write what is found.

    Attributes
    ----------
    cohort, predictions
        Cohort, and out-of-fold values of 'mtm evaluate --save-predictions' on it.
    output
        Folder for the tables.
    folds
        Folds of that evaluation; by default folds.json beside the predictions.
    dbgap
        Subject phenotypes of dbGaP, for exact age, BMI and medical history.
    traits
        Names; ``None`` for all that donors differ in.
    shuffles
        Shuffles of the trait among the donors.
    seed
        Seed of everything random.
    overwrite
        Replace a study that is there.
    """

    cohort: Path
    predictions: Path
    output: Path
    folds: Path | None = None
    dbgap: Path | None = None
    traits: tuple[str, ...] | None = None
    shuffles: int = N_SHUFFLES
    seed: int = 0
    overwrite: bool = False


@dataclass(frozen=True)
class DiseaseOptions(PlainValues):
    """Which predictions, which groups of donors, and where to write what is found.

    Attributes
    ----------
    cohort, predictions, output, folds, dbgap, shuffles, seed, overwrite
        As of :class:`TraitsOptions`.
    traits
        Names of traits of two groups; ``None`` for all that donors differ in.
    minimum_group
        Cases and controls that a tissue needs.
    minimum_degs
        Changed genes that a tissue needs to be counted in the summary.
    repeats
        Repeats of the classification's cross-validation; 0 omits it.
    jobs
        Processes; -1 for one a core.
    """

    cohort: Path
    predictions: Path
    output: Path
    folds: Path | None = None
    dbgap: Path | None = None
    traits: tuple[str, ...] | None = None
    minimum_group: int = MINIMUM_DISEASE
    minimum_degs: int = MINIMUM_DEGS
    repeats: int = N_REPEATS
    shuffles: int = N_GROUP_SHUFFLES
    jobs: int = 1
    seed: int = 0
    overwrite: bool = False


def study_preserved_traits(
    options: TraitsOptions, on_progress: OnProgress | None = None, say: Say = say_nothing
) -> TraitStudy:
    """Ask whether predicted genes go with donors' traits as measured ones do; write the tables.

    Parameters
    ----------
    options
        Options of the study.
    on_progress
        Called with each tissue.
    say
        Called with what is to be known of the cohort.

    Raises
    ------
    SelectionError
        If a trait is not there.
    InputFileError, CohortError
        If a file is not what it is given for, or files do not belong together.
    OutputError
        If the output is something else, or cannot be written.

    Examples
    --------
    >>> from mtm_core import (
    ...     EvaluateOptions, TraitsOptions, evaluate_methods, study_preserved_traits
    ... )
    >>> _ = evaluate_methods(
    ...     EvaluateOptions(
    ...         "cohort.h5ad", "evaluation", methods=["ridge"], folds=2, save_predictions=True
    ...     )
    ... )
    >>> study = study_preserved_traits(
    ...     TraitsOptions("cohort.h5ad", "evaluation/ridge.nc", output="traits", shuffles=5)
    ... )
    >>> study.tissues["tissue"].nunique()  # all but whole blood
    2
    """
    data = _begin(options, say)
    chosen = _chosen(known_traits(data.uns["donors"]), options.traits)
    out_of_fold, by_tissue = _read(options, data)
    steps = Steps((COMPARING_TRAITS, WRITING), on_progress)
    with writing_study(options.output, overwrite=options.overwrite) as folder:
        with (
            steps.running(COMPARING_TRAITS, total=len(by_tissue), unit="tissues") as advance,
            growing_table(folder / GENES, GENE_KEYS) as genes,
        ):
            study = study_traits(
                by_tissue,
                data.uns["donors"],
                chosen,
                n_shuffles=options.shuffles,
                seed=options.seed,
                on_tissue=advance,
                gene_rows=genes,
            )
        settings = _settings(data, out_of_fold)
        settings |= {"shuffles": options.shuffles, "seed": options.seed}
        with steps.running(WRITING):
            write_tables(
                folder, settings, tissues=study.tissues, summary=study.summary().reset_index()
            )
    return replace(study, gene_rows=open_grouped(options.output / GENES, GENE_KEYS))


def study_preserved_differences(
    options: DiseaseOptions, on_progress: OnProgress | None = None, say: Say = say_nothing
) -> DiseaseStudy:
    """Ask whether predictions show a difference between two groups as measurements do.

    Parameters, errors and what is written are as of :func:`study_preserved_traits`.

    Examples
    --------
    >>> from mtm_core import (
    ...     DiseaseOptions, EvaluateOptions, evaluate_methods, study_preserved_differences
    ... )
    >>> _ = evaluate_methods(
    ...     EvaluateOptions(
    ...         "cohort.h5ad", "evaluation", methods=["ridge"], folds=2, save_predictions=True
    ...     )
    ... )
    >>> study = study_preserved_differences(
    ...     DiseaseOptions(
    ...         "cohort.h5ad", "evaluation/ridge.nc", output="differences", shuffles=5, repeats=0
    ...     )
    ... )
    >>> study.pairs["tissue"].nunique()  # all but whole blood
    2
    """
    check_jobs(options.jobs)
    data = _begin(options, say)
    every = tuple(t for t in known_traits(data.uns["donors"]) if t.kind == "two groups")
    chosen = _chosen(every, options.traits)
    out_of_fold, by_tissue = _read(options, data)
    steps = Steps((COMPARING_GROUPS, WRITING), on_progress)
    with writing_study(options.output, overwrite=options.overwrite) as folder:
        with (
            steps.running(COMPARING_GROUPS, total=len(by_tissue), unit="tissues") as advance,
            parallel_config(n_jobs=options.jobs),
            growing_table(folder / GENES, GENE_KEYS) as genes,
        ):
            study = study_diseases(
                by_tissue,
                data,
                chosen,
                source=str(out_of_fold.attrs["source"]),
                minimum_group=options.minimum_group,
                n_repeats=options.repeats,
                n_shuffles=options.shuffles,
                seed=options.seed,
                on_tissue=advance,
                gene_rows=genes,
            )
        settings = _settings(data, out_of_fold) | {
            "minimum_group": options.minimum_group,
            "minimum_degs": options.minimum_degs,
            "repeats": options.repeats,
            "shuffles": options.shuffles,
            "seed": options.seed,
        }
        with steps.running(WRITING):
            write_tables(
                folder,
                settings,
                pairs=study.pairs,
                status=study.status,
                curves=study.curves,
                summary=study.summary(options.minimum_degs).reset_index(),
                status_summary=study.status_summary().reset_index(),
            )
    return replace(study, gene_rows=open_grouped(options.output / GENES, GENE_KEYS))


def _begin(options: TraitsOptions | DiseaseOptions, say: Say) -> ad.AnnData:
    """Look at the files and the folder, and read the cohort."""
    cohort, predictions, folds = options.cohort, options.predictions, options.folds
    check_files(cohort=cohort, predictions=predictions, folds=folds, dbgap=options.dbgap)
    inputs = [cohort, predictions, folds, options.dbgap]
    check_study_output(options.output, inputs, overwrite=options.overwrite)
    return read_study_cohort(cohort, options.dbgap, say)


def _chosen(traits: tuple[Trait, ...], names: tuple[str, ...] | None) -> tuple[Trait, ...]:
    if not traits:
        raise SelectionError(
            "the donors of the cohort do not differ in any known trait. Prepare the cohort with"
            " --subject-phenotypes, or give --dbgap."
        )
    return traits if names is None else choose_traits(traits, list(names))


def _read(
    options: TraitsOptions | DiseaseOptions, data: ad.AnnData
) -> tuple[xr.Dataset, Mapping[str, TissuePredictions]]:
    """Read out-of-fold predictions, as they are and on the expression scale."""
    out_of_fold = read_out_of_fold(options.predictions)
    dealt = DonorFolds.load(options.folds or options.predictions.parent / "folds.json")
    return out_of_fold, on_expression_scale(out_of_fold, data, dealt)


def _settings(data: ad.AnnData, out_of_fold: xr.Dataset) -> dict[str, Any]:
    return cohort_settings(data) | {
        "method": str(out_of_fold.attrs["method"]),
        "source": str(out_of_fold.attrs["source"]),
        "n_pairs": out_of_fold.sizes["pair"],
        "genes": "predictable (pooled rho > 0.3) on the donors of the other folds",
    }
