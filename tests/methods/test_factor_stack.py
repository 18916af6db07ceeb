"""The stack of kernel factors: one set of inner folds for settings, weights and intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.methods.controls import ControlMethod
from mtm_core.methods.factor_choice import Grid
from mtm_core.methods.factor_stack import FactorStackMethod
from mtm_core.methods.factors import FactorSettings
from mtm_core.methods.held_out import HeldOutTissue, predict_held_out
from mtm_core.methods.inner_fits import N_EM_STEPS
from mtm_core.methods.inner_folds import make_inner_folds
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.methods.stack import FittedStack
from mtm_core.methods.table import SavedMethod

BLOOD = "Whole Blood"
N_TRAINING = 180
JOINT = JointGaussianMethod(
    n_factors=(2, 4),
    ridge=10.0,
    shrinkage=30.0,
    covariates=("age", "sex"),
    choose_from=BLOOD,
    grid=Grid(ridge=(10.0, 100.0), shrinkage=(30.0, 1000.0), sizes=((2, 4),)),
    gene_ridge=None,
)
METHOD = FactorStackMethod(factors=KernelFactorsMethod(JOINT, n_points=30))


@pytest.fixture(scope="module", params=[40, 300])
def wide_or_not(request: pytest.FixtureRequest) -> ad.AnnData:
    """260 donors; in the second there are more genes than samples of a tissue."""
    config = SimulationConfig(
        n_donors=260, n_genes=request.param, n_factors=4, private_variance=0.2, presence=(1.0, 0.7)
    )
    return simulate_cohort(config)


@pytest.fixture(scope="module")
def fitted(wide_or_not: ad.AnnData) -> FittedStack:
    return METHOD.fit(wide_or_not, sorted(set(wide_or_not.obs["donor"]))[:N_TRAINING])


@pytest.mark.parametrize("reads", [False, True])
def test_intervals_from_several_tissues_hold_what_they_say_too(
    fitted: FittedStack, wide_or_not: ad.AnnData, reads: bool
) -> None:
    new = tuple(sorted(set(wide_or_not.obs["donor"]))[N_TRAINING:])
    assert len(fitted.further) == 3
    given = {"source": BLOOD, "with_phenotypes": reads}
    together, alone = (
        list(
            predict_held_out(
                fitted, wide_or_not, new, fitted.scaler, further_sources=further, **given
            )
        )
        for further in (fitted.further, ())
    )
    assert {part.tissue for part in together} == set(fitted.tissues) - {BLOOD, *fitted.further}
    assert 0.87 < np.mean(inside_90(together)) < 0.93
    own = [part for part in alone if part.tissue in {p.tissue for p in together}]
    errors = [
        np.mean([np.mean((part.predicted - part.observed) ** 2) for part in parts])
        for parts in (together, own)
    ]
    assert errors[0] < errors[1]


def test_inner_donors_are_read_from_all_that_they_give(wide_or_not: ad.AnnData) -> None:
    """Against the factors' own posterior, from a fit to the others by the method itself."""
    donors = sorted(set(wide_or_not.obs["donor"]))[:N_TRAINING]
    training = JOINT.training(wide_or_not, donors)
    source = training.tissues.index(BLOOD)
    settings = FactorSettings((3,), 10.0, 30.0)
    for fold in make_inner_folds(training, source, seed=0)[:1]:
        inner = fold.fit(settings, 0)
        split, (fit,) = inner.split, inner.fits
        rest = [d for d, held in zip(training.donors, split.is_held_out, strict=True) if not held]
        joint = replace(JOINT, n_factors=(3,), n_iterations=N_EM_STEPS, choose_from=None)
        scaled = joint.training(wide_or_not, rest)
        model = joint.fit_training(
            replace(
                scaled,
                samples=tuple(
                    (own[0], y[~held])
                    for own, (_, y), held in zip(
                        scaled.samples, training.samples, split.held_out_samples, strict=True
                    )
                ),
            ),
            settings,
        ).models[0]
        for i in range(5):
            given = {source: training.samples[source][1][split.held_out_samples[source]][[i]]}
            for t, rows in zip(split.further, split.further_rows, strict=True):
                if rows[i] >= 0:
                    given[t] = training.samples[t][1][split.held_out_samples[t]][[rows[i]]]
            target = next(t for t in range(len(training.tissues)) if t not in given)
            loadings = np.asarray(model.loadings[target], dtype=np.float64)
            away = []
            for factors, sources in (
                (fit.held_out_factors[0], {source: given[source]}),
                (fit.held_out_factors_from_several[0], given),
            ):
                mean, _ = model.posterior(sources, np.zeros((1, 0)))
                mixing_weights = (factors @ fit.loading_coefficients[target].T)[[i]]
                found = inner.predict(training, target, mixing_weights)
                away.append(float(np.abs(found - mean @ loadings.T).max()))
            # In the space of samples, noise is scaled by all donors: from one tissue, too.
            assert away[1] < max(1e-3, 2 * away[0])


@pytest.mark.parametrize("reads", [False, True])
def test_intervals_hold_what_they_say_on_new_donors(
    fitted: FittedStack, wide_or_not: ad.AnnData, reads: bool
) -> None:
    new = tuple(sorted(set(wide_or_not.obs["donor"]))[N_TRAINING:])
    parts = predict_held_out(
        fitted, wide_or_not, new, fitted.scaler, source=BLOOD, with_phenotypes=reads
    )
    assert 0.87 < np.mean(inside_90(parts)) < 0.93


def inside_90(parts: Iterable[HeldOutTissue]) -> np.ndarray:
    """Tell which observed values lie in their intervals of nine in ten."""
    inside = []
    for part in parts:
        assert part.sd is not None
        assert part.multipliers is not None
        half_width = part.multipliers[90][:, None] * part.sd
        inside.append(np.abs(part.observed - part.predicted).ravel() < half_width.ravel())
    return np.concatenate(inside)


def test_inner_predictions_are_those_of_models_fitted_without_the_donors(
    wide_or_not: ad.AnnData,
) -> None:
    """Slowly: a kernel-factors fit of its own in each fold, without the donors held out."""
    kernel, donors = METHOD.kernel(0), sorted(set(wide_or_not.obs["donor"]))
    training = kernel.joint.training(wide_or_not, donors)
    choice = kernel.joint.choose(training)
    assert choice is not None
    shape = kernel.choose_shape(choice.fitted_folds())
    names, source = np.array(training.donors), training.tissues.index(BLOOD)
    for fold in choice.fitted_folds()[:1]:
        rest = names[~fold.split.is_held_out].tolist()
        slow = kernel.fit_training(
            replace(
                kernel.joint.training(wide_or_not, rest),
                samples=tuple(
                    (np.searchsorted(rest, names[donor[~held]]), y[~held])
                    for (donor, y), held in zip(
                        training.samples, fold.split.held_out_samples, strict=True
                    )
                ),
            ),
            choice.settings,
            shape,
        )
        own = fold.split.held_out_samples[source]
        z = training.scaler.transform(
            np.asarray(wide_or_not.X[training.rows[source][own]]), np.full(own.sum(), source)
        )
        people = wide_or_not.uns["donors"].loc[names[training.samples[source][0][own]]]
        for known in (None, people):
            estimate = kernel.factor_estimator(shape, with_covariates=known is not None)
            t = training.tissues.index("Liver")
            ours = (
                fold.mixing_weights(estimate)(t)
                @ training.samples[t][1][~fold.split.held_out_samples[t]]
            )
            expected = slow.predict({BLOOD: z}, "Liver", known).mean
            # Loadings begin elsewhere, and noise is of other donors' variance.
            assert np.corrcoef(ours.ravel(), expected.ravel())[0, 1] > 0.99
            assert abs(ours.std() / expected.std() - 1) < 0.1


def test_fit_that_chooses_is_the_fit_of_what_was_chosen(
    fitted: FittedStack, wide_or_not: ad.AnnData
) -> None:
    kernel, donors = METHOD.kernel(0), sorted(set(wide_or_not.obs["donor"]))[:N_TRAINING]
    alone = kernel.fit(wide_or_not, donors)
    z = np.random.default_rng(0).normal(size=(3, wide_or_not.n_vars)).astype(np.float32)
    t = fitted.tissues.index("Lung")
    expected = fitted.plain.weights[t, 0] * alone.predict({BLOOD: z}, "Lung").mean
    np.testing.assert_allclose(
        fitted.predict({BLOOD: z}, "Lung").mean, expected, rtol=1e-4, atol=1e-5
    )
    assert 0.7 < fitted.plain.weights[t, 0] < 2


def test_comes_back_from_its_arrays_and_settings(
    fitted: FittedStack, wide_or_not: ad.AnnData
) -> None:
    again = SavedMethod(
        "factor-stack", fitted.arrays(), fitted.settings(), fitted.scaler, fitted.tissues
    ).restore()
    assert again.name == "factor-stack"
    z = {BLOOD: np.random.default_rng(0).normal(size=(3, wide_or_not.n_vars)).astype(np.float32)}
    people = pd.DataFrame({"age": [30.0, 50.0, np.nan], "sex": ["male", "female", "male"]})
    first, second = fitted.predict(z, "Lung", people), again.predict(z, "Lung", people)
    np.testing.assert_allclose(first.mean, second.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first.sd, second.sd, rtol=1e-6)


def test_other_methods_are_weighted_by_what_they_add(cohort: ad.AnnData) -> None:
    donors = sorted(set(cohort.obs["donor"]))
    joint = replace(JOINT, n_factors=(1,), grid=Grid((10.0,), (30.0,), ((1,),)))
    alone = FactorStackMethod(factors=KernelFactorsMethod(joint, n_points=30))
    second = JointGaussianMethod(n_factors=(2,), ridge=10.0, shrinkage=30.0, gene_ridge=None)
    both = replace(alone, others=(second, ControlMethod("training-mean"))).fit(cohort, donors)
    t = [i for i, tissue in enumerate(both.tissues) if tissue != BLOOD]
    weights = both.plain.weights[t].mean(axis=0)
    assert weights[1] > 0.5  # the cohort has two factors
    assert both.plain.error[t].mean() < alone.fit(cohort, donors).plain.error[t].mean()
    # Donors with several tissues are paired with their own predictions by every method.
    assert both.several is not None
    others = [i for i, tissue in enumerate(both.tissues) if tissue not in (BLOOD, *both.further)]
    assert both.several.weights[others, 1].min() > 0.4
    assert (both.several.error[others].mean(axis=1) < both.plain.error[others].mean(axis=1)).all()


def test_beside_a_method_of_one_tissue_several_are_not_calibrated(cohort: ad.AnnData) -> None:
    donors = sorted(set(cohort.obs["donor"]))
    beside = replace(METHOD, others=(RidgeMethod(BLOOD),)).fit(cohort, donors)
    assert beside.several is None
    assert beside.further == ()


def test_few_donors_keep_the_settings_and_are_calibrated_all_the_same(cohort: ad.AnnData) -> None:
    donors = sorted(set(cohort.obs["donor"]))[:100]
    steps: list[str] = []
    method = replace(METHOD, on_step=lambda step, done, total: steps.append(step))
    few = method.fit(cohort, donors)
    assert few.bases[0].joint.fitted_with == FactorSettings((2, 4), 10.0, 30.0)  # type: ignore[attr-defined]
    assert steps == sorted(
        steps, key=("z-scores", "choose settings", "own genes", "calibrate", "fit").index
    )
    scored = list(
        predict_held_out(
            few,
            cohort,
            tuple(sorted(set(cohort.obs["donor"]))[100:]),
            few.scaler,
            source=BLOOD,
        )
    )
    assert 0.86 < np.mean(inside_90(scored)) < 0.94
