"""A simulated cohort in which a disease changes known genes, and predictions of its donors."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from mtm_core.data.simulate import DiseaseConfig, SimulationConfig, simulate_cohort

DISEASED = "Liver"
"""The one tissue, beside blood, that the disease changes."""


@pytest.fixture(scope="session")
def diseased_cohort() -> ad.AnnData:
    """240 donors, 4 tissues, 30 genes; 96 cases. Copy it before changing it."""
    cohort = simulate_cohort(
        SimulationConfig(
            n_donors=240,
            n_tissues=4,
            n_genes=30,
            presence=(1.0, 0.8),
            trait_effect=0.4,
            disease=DiseaseConfig(
                tissues=("Whole Blood", DISEASED), n_genes=10, log2_fold_change=1.2
            ),
        )
    )
    donors = cohort.uns["donors"]
    donors["bmi"] = np.random.default_rng(1).uniform(18, 40, len(donors))
    return cohort
