from __future__ import annotations

import anndata as ad
import pytest

from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort


@pytest.fixture(scope="session")
def cohort() -> ad.AnnData:
    """150 donors, 5 tissues, 30 genes that two factors move. Copy it before changing it."""
    return simulate_cohort(SimulationConfig(n_donors=150, n_factors=2, n_genes=30))


@pytest.fixture(scope="session")
def donors(cohort: ad.AnnData) -> list[str]:
    return sorted(set(cohort.obs["donor"]))
