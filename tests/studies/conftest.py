"""A simulated cohort in which a disease changes known genes, and predictions of its donors."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.data.cohort.simulate import DiseaseConfig, SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import DonorFolds, donor_folds
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.studies.out_of_fold import TissuePredictions, on_expression_scale

DISEASED = "Liver"
"""The one tissue, beside blood, that the disease changes."""


@pytest.fixture(scope="session")
def diseased_cohort() -> ad.AnnData:
    """240 donors, 4 tissues, 30 genes, half of them predictable; 96 cases. Copy before changing."""
    cohort = simulate_cohort(
        SimulationConfig(
            n_donors=240,
            n_tissues=4,
            n_genes=30,
            presence=(1.0, 0.8),
            shared_variance=0.15,
            trait_effect=0.6,
            disease=DiseaseConfig(
                tissues=("Whole Blood", DISEASED), n_genes=10, log2_fold_change=1.2
            ),
        )
    )
    donors = cohort.uns["donors"]
    donors["bmi"] = np.random.default_rng(1).uniform(18, 40, len(donors))
    return cohort


@pytest.fixture(scope="session")
def folds(diseased_cohort: ad.AnnData) -> DonorFolds:
    return donor_folds(diseased_cohort.obs, n_folds=3)


@pytest.fixture(scope="session")
def out_of_fold(diseased_cohort: ad.AnnData, folds: DonorFolds) -> xr.Dataset:
    """Ridge from blood. The disease and what donors share tell one tissue from another."""
    return cross_validate(RidgeMethod("Whole Blood"), diseased_cohort, folds)


@pytest.fixture(scope="session")
def predictions(
    out_of_fold: xr.Dataset, diseased_cohort: ad.AnnData, folds: DonorFolds
) -> dict[str, TissuePredictions]:
    return on_expression_scale(out_of_fold, diseased_cohort, folds)


@pytest.fixture(scope="session")
def shuffled_donors(diseased_cohort: ad.AnnData) -> pd.DataFrame:
    """The donor table with its rows dealt to other donors: no trait goes with expression."""
    donors = diseased_cohort.uns["donors"]
    return donors.sample(frac=1, random_state=1).set_axis(donors.index)
