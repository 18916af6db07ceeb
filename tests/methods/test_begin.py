"""What targets have in common is done once, and changes no prediction."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.config import preset, with_changes
from mtm_core.data.simulate import SimulationConfig, simulate_cohort
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.protocol import Method, SharesWork, begin
from mtm_core.methods.registry import make_method
from mtm_core.methods.stack import StackMethod

CONFIG = with_changes(preset("acmg59", 15, 5), {"training.epochs": "1"})
JOINT = JointGaussianMethod(n_factors=(2, 3), covariates=("age", "sex"))
METHODS: dict[str, Method] = {
    "mtm": make_method("mtm", source="Whole Blood", config=CONFIG),
    "joint-gaussian": JOINT,
    "kernel-factors": KernelFactorsMethod(joint=JOINT, n_points=20),
    "stack": StackMethod((JOINT, make_method("ridge", source="Whole Blood", config=CONFIG))),
    "ridge": make_method("ridge", source="Whole Blood", config=CONFIG),  # shares no work
}


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=60, n_genes=15))


@pytest.mark.parametrize("name", METHODS)
def test_each_target_is_predicted_as_if_it_were_the_only_one(name: str, cohort: ad.AnnData) -> None:
    fitted = METHODS[name].fit(cohort, sorted(set(cohort.obs["donor"])))
    z = np.random.default_rng(0).normal(size=(4, cohort.n_vars)).astype(np.float32)
    people = pd.DataFrame({"age": [30.0, 50.0, np.nan, 70.0], "sex": ["male", "female"] * 2})
    targets = [tissue for tissue in fitted.tissues if tissue != "Whole Blood"]
    for told in (None, people):
        predict = begin(fitted, {"Whole Blood": z}, told)
        for target in [*targets, targets[0]]:  # the first again: nothing is left behind
            expected = fitted.predict({"Whole Blood": z}, target, told)
            got = predict(target)
            np.testing.assert_array_equal(got.mean, expected.mean)
            if expected.sd is not None:
                np.testing.assert_array_equal(got.sd, expected.sd)


def test_methods_that_share_work_say_so(cohort: ad.AnnData) -> None:
    donors = sorted(set(cohort.obs["donor"]))
    shares = {name for name in ("ridge", "joint-gaussian", "kernel-factors")
              if isinstance(METHODS[name].fit(cohort, donors), SharesWork)}  # fmt: skip
    assert shares == {"joint-gaussian", "kernel-factors"}
