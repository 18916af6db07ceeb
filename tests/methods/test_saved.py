"""Fitted methods restored from what they saved; that all are is in test_contract.py."""

from __future__ import annotations

import anndata as ad
import pytest

from mtm_core.config import preset, with_changes
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.methods.registry import make_method
from mtm_core.methods.table import SavedMethod

CONFIG = with_changes(preset("acmg59", 15, 5), {"training.epochs": "1"})


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=60, n_genes=15))


def test_parts_of_no_known_method_are_refused(cohort: ad.AnnData) -> None:
    fitted = make_method("ridge", source="Whole Blood", config=CONFIG).fit(
        cohort, sorted(set(cohort.obs["donor"]))
    )
    with pytest.raises(ValueError, match="'oracle' are of no method"):
        SavedMethod("oracle", {}, {}, fitted.scaler, fitted.tissues).restore()
