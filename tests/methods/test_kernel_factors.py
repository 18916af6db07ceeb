"""Kernel factors: against dense kernel ridge regression, and on factors that a line cannot find."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.kernel_ridge import KernelRidge

from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.methods.factors import leave_one_tissue_out_factors, squash, sum_likelihoods
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import (
    FittedKernelFactors,
    KernelFactorsMethod,
)
from mtm_core.methods.kernel_regression import KernelRegression, gaussian_kernel
from mtm_core.methods.table import SavedMethod

BLOOD = "Whole Blood"
QUICK = KernelFactorsMethod(
    JointGaussianMethod(n_factors=(2, 3), n_iterations=8, ridge=5.0, covariates=("age", "sex")),
    n_points=60,
)


@pytest.fixture(scope="module")
def fitted(cohort: ad.AnnData, donors: list[str]) -> FittedKernelFactors:
    return QUICK.fit(cohort, donors)


def profiles(fitted: FittedKernelFactors, cohort: ad.AnnData, name: str, n: int) -> np.ndarray:
    rows = np.flatnonzero(cohort.obs["tissue"] == name)[:n]
    code = np.full(len(rows), fitted.tissues.index(name))
    return fitted.scaler.transform(np.asarray(cohort.X[rows]), code)


def test_with_points_on_the_donors_it_is_kernel_ridge_regression(rng: np.random.Generator) -> None:
    linear, wanted = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    kernel = gaussian_kernel(linear, linear, 0.1)
    penalty = 2.0 * kernel
    coefficients = np.linalg.solve(kernel.T @ kernel + penalty, kernel.T @ wanted)
    regression = KernelRegression(
        linear, np.zeros((1, 3)), np.eye(3)[None], coefficients[None], width=0.1
    )
    dense = KernelRidge(alpha=2.0, kernel="rbf", gamma=0.1).fit(linear, wanted)
    new = rng.normal(size=(7, 3))
    np.testing.assert_allclose(regression(0, new), dense.predict(new), rtol=1e-4, atol=1e-6)


def test_factors_of_other_tissues_are_the_posterior_without_the_source(
    cohort: ad.AnnData, donors: list[str]
) -> None:
    joint = QUICK.joint
    training = joint.training(cohort, donors)
    model = joint.fit_training(training).models[0]
    found = leave_one_tissue_out_factors(
        model.likelihoods(training), training.n_donors, range(len(training.tissues))
    )
    for t, others in enumerate(found):
        other_blocks = [b for i, b in enumerate(training.blocks) if i != t]
        loadings = [w for i, w in enumerate([*model.loadings, model.covariate_loadings]) if i != t]
        weights = [w for i, w in enumerate([*model.weights, model.covariate_weights]) if i != t]
        likelihoods = [
            (donor, w.T @ p, y @ p)
            for (donor, y), w, p in zip(other_blocks, loadings, weights, strict=True)
        ]
        precision, weighted_mean = sum_likelihoods(
            likelihoods, training.n_donors, model.loadings.shape[-1]
        )
        slow = np.stack(
            [np.linalg.solve(precision[d], weighted_mean[d]) for d in training.samples[t][0]]
        )
        np.testing.assert_allclose(others, slow, rtol=1e-6, atol=1e-9)


def test_a_source_of_few_donors_keeps_the_linear_guess(
    cohort: ad.AnnData, donors: list[str]
) -> None:
    few = QUICK.fit(cohort, donors[:30])
    z = {BLOOD: profiles(few, cohort, BLOOD, 6)}
    np.testing.assert_allclose(
        few.predict(z, "Liver").mean, few.joint.predict(z, "Liver").mean, rtol=1e-4, atol=1e-6
    )


def test_several_sources_are_left_to_the_joint_gaussian(
    fitted: FittedKernelFactors, cohort: ad.AnnData
) -> None:
    z = {name: profiles(fitted, cohort, name, 5) for name in (BLOOD, "Liver")}
    np.testing.assert_array_equal(
        fitted.predict(z, "Lung").mean, fitted.joint.predict(z, "Lung").mean
    )


def test_age_and_sex_are_read_where_both_are_known(
    fitted: FittedKernelFactors, cohort: ad.AnnData
) -> None:
    z = {BLOOD: profiles(fitted, cohort, BLOOD, 3)}
    people = pd.DataFrame({"age": [25.0, 60.0, np.nan], "sex": ["male", "female", "female"]})
    known, blind = fitted.predict(z, "Liver", people).mean, fitted.predict(z, "Liver").mean
    np.testing.assert_array_equal(known[2], blind[2])
    assert (np.abs(known[:2] - blind[:2]).max(axis=1) > 1e-3).all()


def test_comes_back_from_its_arrays_and_settings(
    fitted: FittedKernelFactors, cohort: ad.AnnData
) -> None:
    again = SavedMethod(
        fitted.name, fitted.arrays(), fitted.settings(), fitted.scaler, fitted.tissues
    ).restore()
    z = {BLOOD: profiles(fitted, cohort, BLOOD, 5)}
    people = pd.DataFrame({"age": [40.0] * 5, "sex": ["male"] * 5})
    for phenotypes in (None, people):
        np.testing.assert_allclose(
            again.predict(z, "Lung", phenotypes).mean,
            fitted.predict(z, "Lung", phenotypes).mean,
            rtol=1e-3,
            atol=1e-4,
        )


def test_no_donor_is_stored(fitted: FittedKernelFactors, cohort: ad.AnnData) -> None:
    z = squash(profiles(fitted, cohort, BLOOD, 150), fitted.joint.bound)
    model, regression = fitted.joint.models[0], fitted.plain[0]
    t = fitted.tissues.index(BLOOD)
    linear, _ = model.posterior({t: z}, np.empty((len(z), 0)))
    own = regression.centre[t] + regression.points @ regression.root[t].T
    assert np.abs(linear[:, None] - own[None]).max(axis=2).min() > 1e-6


def _nonlinear_cohort() -> ad.AnnData:
    """Two clouds of donors: blood moves along a line, the other tissues only beyond its middle."""
    cohort = simulate_cohort(
        SimulationConfig(n_donors=300, n_factors=2, n_genes=20, shared_variance=0.0)
    )
    rng = np.random.default_rng(1)
    names = sorted(set(cohort.obs["donor"]))
    hidden = pd.Series(rng.normal(size=len(names)), index=names)[cohort.obs["donor"]].to_numpy()
    is_blood = (cohort.obs["tissue"] == BLOOD).to_numpy()
    shown = np.where(is_blood, hidden, 2 * np.maximum(hidden, 0))
    log2 = np.log2(1 + np.asarray(cohort.X)) + 1.5 * shown[:, None]
    cohort.X = np.maximum(np.exp2(log2) - 1, 0).astype(np.float32)
    return cohort


def test_a_kernel_finds_what_a_line_cannot() -> None:
    cohort = _nonlinear_cohort()
    folds = donor_folds(cohort.obs)
    joint = JointGaussianMethod(n_factors=(2,), n_iterations=10, ridge=5.0)

    def error(method: JointGaussianMethod | KernelFactorsMethod) -> float:
        return float(accuracy(cross_validate(method, cohort, folds)).tissues["mse_ratio"].mean())

    assert error(KernelFactorsMethod(joint)) < 0.9 * error(joint)
