"""Genes' own values: against dense Gaussians, refitted models, and effects that were planted."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.methods.factor_choice import Grid
from mtm_core.methods.factors import FactorSettings, squash
from mtm_core.methods.inner_folds import make_inner_folds
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import FittedKernelFactors, KernelFactorsMethod
from mtm_core.methods.own_genes import (
    OwnGenes,
    ResidualSums,
    _log_likelihood,
    _shared_effect,
    choose_own_genes,
    fit_slopes,
    sum_residuals,
)
from mtm_core.methods.table import SavedMethod

BLOOD = "Whole Blood"
SIMULATED = SimulationConfig(
    n_donors=260, n_tissues=4, n_genes=60, own_variance=0.3, n_own_genes=6, shared_variance=0.3
)
METHOD = KernelFactorsMethod(
    JointGaussianMethod(
        n_factors=(4,),
        n_iterations=8,
        ridge=10.0,
        covariates=("age", "sex"),
        choose_from=BLOOD,
        grid=Grid(ridge=(), shrinkage=(), sizes=()),
        gene_ridge=None,
    ),
    n_points=30,
)


@pytest.fixture(scope="module")
def simulated() -> ad.AnnData:
    return simulate_cohort(SIMULATED)


@pytest.fixture(scope="module")
def fitted(simulated: ad.AnnData) -> FittedKernelFactors:
    return METHOD.fit(simulated, donor_folds(simulated.obs).training(0))


def residual_sums(rng: np.random.Generator, slopes: np.ndarray, n: int = 200) -> ResidualSums:
    """Draw residuals of donors with slopes (T, G) on the source, tissue 0."""
    sums = ResidualSums.zeros(3, *slopes.shape, 0)
    for fold in range(3):
        source = rng.normal(size=(n, slopes.shape[1]))
        for t in range(1, len(slopes)):
            sums.add(fold, t, source, source * slopes[t] + rng.normal(size=source.shape))
    return sums


def test_a_class_is_a_gaussian_over_tissues(rng: np.random.Generator) -> None:
    slopes, variance = rng.normal(size=(5, 3)), rng.uniform(0.2, 1, size=(5, 3))
    nu, omega = 0.4, 0.3
    likelihood = _log_likelihood(slopes, variance, nu, omega)
    weight, common = _shared_effect(slopes, variance, nu, omega)
    for g in range(3):
        prior = nu * np.ones((5, 5)) + omega * np.eye(5)
        total = prior + np.diag(variance[:, g])
        dense = multivariate_normal(np.zeros(5), total).logpdf(slopes[:, g])
        assert likelihood[g] - 5 * np.log(2 * np.pi) / 2 == pytest.approx(dense)
        expected = prior @ np.linalg.solve(total, slopes[:, g])
        shrunk = common[g] + omega * weight[:, g] * (slopes[:, g] - common[g])
        np.testing.assert_allclose(shrunk, expected)


def test_planted_slopes_are_found_and_no_others(rng: np.random.Generator) -> None:
    slopes = np.zeros((6, 300))
    slopes[1:, :8] = rng.normal(0.4, 0.05, size=(5, 8))
    slopes[1:3, 8:10] = 0.6  # in two tissues alone
    found = fit_slopes(residual_sums(rng, slopes))
    np.testing.assert_array_equal(np.flatnonzero(found.any(axis=0)), np.arange(10))
    np.testing.assert_allclose(found[:, :10], slopes[:, :10], atol=0.15)


def test_background_that_all_genes_share_is_no_effect(rng: np.random.Generator) -> None:
    slopes = np.full((6, 300), 0.04)
    slopes[1:, :5] = 0.4
    found = fit_slopes(residual_sums(rng, slopes))
    np.testing.assert_array_equal(np.flatnonzero(found.any(axis=0)), np.arange(5))


def test_without_effects_nothing_is_used(rng: np.random.Generator) -> None:
    assert choose_own_genes(residual_sums(rng, np.zeros((6, 300)))) is None
    assert choose_own_genes(residual_sums(rng, np.zeros((6, 300)), n=2)) is None


def test_effects_of_one_fold_alone_are_not_used(rng: np.random.Generator) -> None:
    sums = residual_sums(rng, np.zeros((6, 300)))
    slopes = np.zeros((6, 300))
    slopes[1:, :8] = 0.4
    assert choose_own_genes(residual_sums(rng, slopes)) is not None
    odd = residual_sums(rng, slopes)
    for mixed, other in zip(vars(sums).values(), vars(odd).values(), strict=True):
        if isinstance(mixed, np.ndarray):
            mixed[0] = other[0]
    assert choose_own_genes(sums) is None


@pytest.mark.parametrize("n_genes", [40, 400])
def test_residuals_are_those_of_a_model_without_the_donors(n_genes: int) -> None:
    cohort = simulate_cohort(SimulationConfig(n_donors=90, n_tissues=3, n_genes=n_genes))
    training = METHOD.joint.training(cohort, list(cohort.uns["donors"].index))
    source = training.tissues.index(BLOOD)
    folds = [
        fold.fit(FactorSettings((3, 5), 10.0, 50.0), 0)
        for fold in make_inner_folds(training, source, seed=0)
    ]
    sums = sum_residuals(folds, training, source)
    target = next(t for t in range(3) if t != source)
    (givers, y_source), (donor, y) = training.samples[source], training.samples[target]
    for f, fold in enumerate(folds):
        out = fold.split.is_held_out
        both = [d for d in np.flatnonzero(out) if d in givers and d in donor]
        held = [d for d in givers if out[d]]
        factors = [one.held_out_factors[0][[held.index(d) for d in both]] for one in fold.fits]
        residuals = []
        for t, have, values in ((source, givers, y_source), (target, donor, y)):
            loadings = [
                values[~fold.split.held_out_samples[t]].T @ one.loading_coefficients[t]
                for one in fold.fits
            ]
            shown = np.mean([z @ w.T for z, w in zip(factors, loadings, strict=True)], axis=0)
            residuals.append(values[[list(have).index(d) for d in both]] - shown)
        assert sums.n[f, target] == len(both) > 0
        np.testing.assert_allclose(
            sums.products[f, target], (residuals[0] * residuals[1]).sum(axis=0), atol=1e-3
        )
        np.testing.assert_allclose(
            sums.source_squares[f, target], (residuals[0] ** 2).sum(axis=0), rtol=1e-4
        )
    assert not sums.products[:, source].any()


def test_a_fit_finds_planted_genes(fitted: FittedKernelFactors, simulated: ad.AnnData) -> None:
    assert fitted.own_genes is not None
    planted = set(simulated.uns["truth"]["own_genes"])
    found = set(fitted.own_genes.genes)
    assert len(planted & found) >= 5
    assert len(found - planted) <= 2


def test_own_genes_add_their_share_of_the_residual(
    fitted: FittedKernelFactors, rng: np.random.Generator
) -> None:
    own = fitted.own_genes
    assert own is not None
    plain = replace(fitted, own_genes=None)
    z = rng.normal(size=(5, 60)).astype(np.float32)
    sums = squash(z, fitted.joint.bound) - plain.predict({BLOOD: z}, BLOOD).mean
    target = next(name for name in fitted.tissues if name != BLOOD)
    slopes = own.dense(60)[fitted.tissues.index(target)]
    expected = plain.predict({BLOOD: z}, target).mean + slopes * sums
    predict = fitted.target_predictor({BLOOD: z})
    np.testing.assert_allclose(predict(target).mean, expected, atol=1e-5)
    some = np.array([own.genes[2], 7, own.genes[0]])
    np.testing.assert_allclose(predict(target, some).mean, expected[:, some], atol=1e-5)
    np.testing.assert_array_equal(
        fitted.predict({target: z}, BLOOD).mean, plain.predict({target: z}, BLOOD).mean
    )
    two = {BLOOD: z, target: z}
    third = next(name for name in fitted.tissues if name not in two)
    joint = fitted.joint
    sums = squash(z, joint.bound) - joint.predict(two, BLOOD).mean
    expected = joint.predict(two, third).mean + own.dense(60)[fitted.tissues.index(third)] * sums
    np.testing.assert_allclose(fitted.predict(two, third).mean, expected, atol=1e-5)
    assert not np.allclose(expected, plain.predict(two, third).mean, atol=1e-3)
    others = {target: z, third: z}
    np.testing.assert_array_equal(
        fitted.predict(others, BLOOD).mean, plain.predict(others, BLOOD).mean
    )


def test_own_genes_are_saved_and_checked(
    fitted: FittedKernelFactors, rng: np.random.Generator
) -> None:
    arrays, settings = fitted.arrays(), fitted.settings()
    restored = SavedMethod(fitted.name, arrays, settings, fitted.scaler, fitted.tissues).restore()
    z = rng.normal(size=(4, 60)).astype(np.float32)
    target = next(name for name in fitted.tissues if name != BLOOD)
    np.testing.assert_allclose(
        restored.predict({BLOOD: z}, target).mean,
        fitted.predict({BLOOD: z}, target).mean,
        atol=1e-5,
    )
    source = fitted.tissues.index(BLOOD)
    for broken in (
        arrays["own_genes"][:, :-1],
        np.full_like(arrays["own_genes"], np.nan),
        np.ones_like(arrays["own_genes"]),
    ):
        with pytest.raises(ValueError, match=r"own genes|own_genes"):
            OwnGenes.from_dense(source, broken, fitted.scaler.mean.shape)
    without = {name: array for name, array in arrays.items() if name != "own_genes"}
    with pytest.raises(ValueError, match="own_genes"):
        SavedMethod(fitted.name, without, settings, fitted.scaler, fitted.tissues).restore()
