"""Fitted methods restored from what they saved; that all are is in test_contract.py."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

from mtm_core.config import preset, with_changes
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.methods.protocol import with_present_names
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


def test_arrays_that_an_earlier_version_named_otherwise_are_found() -> None:
    known = ("plain", "with_covariates", "several", "several_with_covariates", "0")
    names = ("plain.sd", "other.sd", "several.sd", "several_other.sd", "0.other.1.sd")
    arrays = {name: np.array(place) for place, name in enumerate(names)}
    present = with_present_names(arrays, known)
    assert {name: int(array) for name, array in present.items()} == {
        "plain.sd": 0,
        "with_covariates.sd": 1,
        "several.sd": 2,
        "several_with_covariates.sd": 3,
        "0.other.1.sd": 4,
    }
    assert with_present_names(present, (*known, "other")) == present
    for more in ({"another.sd": np.array(0)}, {"with_covariates.sd": np.array(0)}):
        assert with_present_names(arrays | more, known) == arrays | more  # refused by its names
