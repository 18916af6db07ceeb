"""What scripts that compare settings share: training donors dealt into folds, and a score."""

from __future__ import annotations

from collections.abc import Sequence

import anndata as ad

from mtm_core.data.cohort.splits import DonorFolds, donor_folds, rows_of
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.methods.protocol import Method


def training_part(cohort: ad.AnnData, fold: int) -> tuple[ad.AnnData, DonorFolds]:
    """Return the training donors of a fold of ``mtm evaluate``, and three folds of their own."""
    training = donor_folds(cohort.obs).training(fold)
    part = cohort[rows_of(cohort.obs["donor"], training)].copy()
    return part, donor_folds(part.obs, n_folds=3, balance_tissue=WHOLE_BLOOD)


def mean_gene_rho(
    method: Method,
    cohort: ad.AnnData,
    folds: DonorFolds,
    *,
    only: Sequence[int] | None = None,
    further_sources: Sequence[str] = (),
) -> float:
    """Return the mean gene-wise rho by fold over the tissues, from expression alone."""
    predictions = cross_validate(
        method, cohort, folds, only=only, further_sources=further_sources, with_phenotypes=False
    )
    return accuracy(predictions).summary()["gene_rho_by_fold_mean"]
