"""Comparisons of a user's samples in one tissue: what commands and pages do with each tissue.

A command goes through the tissues and writes their tables; a page asks for those that it shows and
caches them. Both call these functions. What pages need beside them is imported from here, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mtm_core.data.gene_sets.gmt import GeneSets
from mtm_core.inference.decoder import TissueProgress
from mtm_core.studies.against_reference import agreement as agreement
from mtm_core.studies.against_reference import beside_reference as beside_reference
from mtm_core.studies.against_reference import distributions_of as distributions_of
from mtm_core.studies.against_reference import positions as positions
from mtm_core.studies.against_reference import reference_trait as reference_trait
from mtm_core.studies.among_reference import on_reference_scale as on_reference_scale
from mtm_core.studies.change_labels import HIGHER as HIGHER
from mtm_core.studies.change_labels import LOWER as LOWER
from mtm_core.studies.change_labels import UNPREDICTABLE as UNPREDICTABLE
from mtm_core.studies.change_labels import UNTESTED as UNTESTED
from mtm_core.studies.change_labels import category_of_change as category_of_change
from mtm_core.studies.change_labels import kind_of_change as kind_of_change
from mtm_core.studies.cohort_comparison import compare_groups
from mtm_core.studies.cohort_comparison import correlate_trait as correlate_trait
from mtm_core.studies.design import StudyDesign
from mtm_core.studies.enrichment import EnrichmentOptions
from mtm_core.studies.gene_accuracy import with_accuracy as with_accuracy
from mtm_core.studies.gene_models import MIXED as MIXED
from mtm_core.studies.gene_models import model_genes as model_genes
from mtm_core.studies.linear_comparison import compare_by_design as compare_by_design
from mtm_core.studies.own_cohort import MEASURED as MEASURED
from mtm_core.studies.own_cohort import OwnCohort as OwnCohort
from mtm_core.studies.reference import ReferenceAssociations as ReferenceAssociations
from mtm_core.studies.reference_tissue import ALL as ALL
from mtm_core.studies.resampled_effects import N_DRAWS as N_DRAWS
from mtm_core.studies.resampled_effects import Effects as Effects
from mtm_core.studies.resampled_effects import GroupEffects as GroupEffects
from mtm_core.studies.resampled_effects import TraitEffects as TraitEffects
from mtm_core.studies.sample_labels import covariate_numbers as covariate_numbers
from mtm_core.studies.sample_labels import groups_of as groups_of
from mtm_core.studies.sample_labels import reference_of as reference_of
from mtm_core.studies.sample_labels import shuffled as shuffled
from mtm_core.studies.sample_labels import trait_numbers as trait_numbers
from mtm_core.studies.sample_labels import traits_of as traits_of
from mtm_core.studies.sample_labels import two_groups as two_groups
from mtm_core.studies.sample_sets import compare_sets


def groups_in_tissue(
    samples: OwnCohort,
    tissue: str,
    groups: pd.Series,
    *,
    case: str,
    control: str,
    accuracy: pd.DataFrame,
    on_progress: TissueProgress | None = None,
) -> pd.DataFrame:
    """Compare two groups of samples in one tissue, gene by gene.

    Parameters
    ----------
    samples, tissue
        The samples, and the tissue: the measured one, or a predicted one.
    groups, case, control
        Group of each sample, and the two to compare.
    accuracy
        Out-of-fold accuracy of the tissue's genes
        (:func:`mtm_core.evaluation.predictability.out_of_fold_rho`).
    on_progress
        As in :func:`mtm_core.studies.cohort_comparison.compare_groups`, which says what is
        returned.
    """
    table = compare_groups(
        samples.cut([tissue]), groups, case=case, control=control, on_progress=on_progress
    )
    return with_accuracy(table, accuracy)


def trait_in_tissue(
    samples: OwnCohort,
    tissue: str,
    values: pd.Series,
    covariates: pd.DataFrame | None = None,
    *,
    accuracy: pd.DataFrame,
) -> pd.DataFrame:
    """Correlate the genes of one tissue with a trait, adjusted for ``covariates``.

    Other parameters are those of :func:`groups_in_tissue`; returns what
    :func:`mtm_core.studies.cohort_comparison.correlate_trait` does.
    """
    return with_accuracy(correlate_trait(samples.cut([tissue]), values, covariates), accuracy)


def design_in_tissue(
    samples: OwnCohort, tissue: str, design: StudyDesign, *, accuracy: pd.DataFrame
) -> pd.DataFrame:
    """Test the contrasts of a linear model in the genes of one tissue.

    Other parameters are those of :func:`groups_in_tissue`; returns what
    :func:`mtm_core.studies.linear_comparison.compare_by_design` does.
    """
    return with_accuracy(compare_by_design(samples.cut([tissue]), design), accuracy)


def sets_in_tissue(
    samples: OwnCohort,
    tissue: str,
    groups: pd.Series,
    collections: Sequence[GeneSets],
    *,
    case: str,
    control: str,
    accuracy: pd.DataFrame,
    options: EnrichmentOptions,
) -> pd.DataFrame:
    """Test gene sets between two groups of samples in one tissue, allowing for correlated genes.

    Parameters
    ----------
    collections
        The gene sets.
    options
        Background and sizes of sets.
    samples, tissue, groups, case, control, accuracy
        As in :func:`groups_in_tissue`.

    Returns
    -------
    pandas.DataFrame
        As :func:`mtm_core.studies.sample_sets.compare_sets`; empty where one sex alone has the
        tissue, and too few people of that sex are in a group.
    """
    pooled = accuracy["rho_pooled"]
    return compare_sets(
        samples.cut([tissue]),
        groups,
        collections,
        case=case,
        control=control,
        held_out=lambda _: pooled if pooled.empty else pooled.droplevel("tissue"),
        options=options,
    )
