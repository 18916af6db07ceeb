"""What targets have in common is done once, and changes no prediction."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.config import preset, with_changes
from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.methods.controls import ControlMethod
from mtm_core.methods.joint_gaussian import FittedJointGaussian, JointGaussianMethod
from mtm_core.methods.kernel_factors import FittedKernelFactors, KernelFactorsMethod
from mtm_core.methods.mlp import MLPMethod, NetworkTraining, SingleTaskMTMMethod
from mtm_core.methods.protocol import HasTargetPredictor, Method, target_predictor
from mtm_core.methods.registry import make_method, trainable_methods
from mtm_core.methods.stack import FittedStack, StackMethod

CONFIG = with_changes(preset("acmg59", 15, 5), {"training.epochs": "1"})
JOINT = JointGaussianMethod(n_factors=(2, 3), covariates=("age", "sex"))
METHODS: dict[str, Method] = {
    "mtm": make_method("mtm", source="Whole Blood", config=CONFIG),
    "joint-gaussian": JOINT,
    "kernel-factors": KernelFactorsMethod(joint=JOINT, n_points=20),
    "stack": StackMethod((JOINT, make_method("ridge", source="Whole Blood", config=CONFIG))),
    "ridge": make_method("ridge", source="Whole Blood", config=CONFIG),
    "training-mean": ControlMethod("training-mean"),  # shares no work
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
    for known in (None, people):
        predict = target_predictor(fitted, {"Whole Blood": z}, known)
        for target in [*targets, targets[0]]:  # the first again: nothing is left behind
            expected = fitted.predict({"Whole Blood": z}, target, known)
            got = predict(target)
            np.testing.assert_array_equal(got.mean, expected.mean)
            if expected.sd is not None:
                np.testing.assert_array_equal(got.sd, expected.sd)


@pytest.mark.parametrize("name", trainable_methods())
def test_some_genes_are_those_of_the_whole(name: str, cohort: ad.AnnData) -> None:
    method = make_method(name, source="Whole Blood", config=CONFIG)
    if isinstance(method, MLPMethod | SingleTaskMTMMethod):
        method = replace(method, training=NetworkTraining(epochs=1))
    fitted = method.fit(cohort, sorted(set(cohort.obs["donor"])))
    z = np.random.default_rng(0).normal(size=(3, cohort.n_vars)).astype(np.float32)
    people = pd.DataFrame({"age": [30.0, 50.0, np.nan], "sex": ["male", "female", "male"]})
    given = [{"Whole Blood": z}]
    if isinstance(fitted, FittedJointGaussian | FittedKernelFactors | FittedStack):
        given.append({"Whole Blood": z, "Liver": z[::-1].copy()})
    for profiles in given:
        predict = target_predictor(fitted, profiles, people)
        for target in ("Lung", "Brain - Cortex"):
            whole = predict(target)
            for genes in (np.array([7, 2, 2]), slice(3, 12, 4), np.array([], dtype=np.intp)):
                some = predict(target, genes)
                np.testing.assert_allclose(some.mean, whole.mean[:, genes], rtol=1e-5, atol=1e-6)
                assert some.mean.dtype == np.float32
                if whole.sd is not None:
                    assert some.sd is not None
                    np.testing.assert_allclose(some.sd, whole.sd[:, genes], rtol=1e-5)
                assert (some.multipliers is None) == (whole.multipliers is None)


def test_methods_that_share_work_say_so(cohort: ad.AnnData) -> None:
    donors = sorted(set(cohort.obs["donor"]))
    joint = METHODS["joint-gaussian"].fit(cohort, donors)
    assert isinstance(joint, HasTargetPredictor)
    assert not isinstance(ControlMethod("training-mean").fit(cohort, donors), HasTargetPredictor)
