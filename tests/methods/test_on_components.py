"""Methods on components: against a full decomposition, and the method on the scores themselves."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pytest

from mtm_core.config import preset
from mtm_core.data.cohort.splits import rows_of
from mtm_core.methods.factor_stack import FactorStackMethod
from mtm_core.methods.factors import squash
from mtm_core.methods.held_out import fit_scorer, predict_held_out
from mtm_core.methods.joint_gaussian import JointGaussianMethod
from mtm_core.methods.kernel_factors import KernelFactorsMethod
from mtm_core.methods.mlp import MLPMethod, NetworkTraining, SingleTaskMTMMethod
from mtm_core.methods.mtm_training import MTMMethod
from mtm_core.methods.on_components import (
    SCORE_SCALING,
    FittedOnComponents,
    OnComponentsMethod,
    for_scores,
    leading_components,
)
from mtm_core.methods.protocol import Method
from mtm_core.methods.table import SavedMethod
from mtm_core.statistics.correlation import columnwise_correlation

BLOOD = "Whole Blood"
QUICK = NetworkTraining(epochs=3, patience=3)


def methods(cohort: ad.AnnData) -> dict[str, Method]:
    config = preset("acmg59", cohort.n_vars, len(cohort.uns["tissues"]))
    config = replace(config, training=replace(config.training, epochs=2))
    return {
        "compact-mtm": MTMMethod(config),
        "compact-mlp": MLPMethod(widths=(8,), training=QUICK),
        "compact-single-task-mtm": SingleTaskMTMMethod(config.model, training=QUICK),
    }


@pytest.fixture(scope="module")
def fitted(cohort: ad.AnnData, donors: list[str]) -> dict[str, FittedOnComponents]:
    return {
        name: OnComponentsMethod(inner, 6, name=name).fit(cohort, donors)
        for name, inner in methods(cohort).items()
    }


def blood(fitted: FittedOnComponents, cohort: ad.AnnData, n: int = 6) -> np.ndarray:
    rows = np.flatnonzero(cohort.obs["tissue"] == BLOOD)[:n]
    code = np.full(len(rows), fitted.tissues.index(BLOOD))
    return fitted.scaler.transform(np.asarray(cohort.X[rows]), code)


def test_leading_components_are_those_of_a_full_decomposition(rng: np.random.Generator) -> None:
    z = (rng.normal(size=(150, 5)) * [9, 7, 5, 4, 3]) @ rng.normal(size=(5, 200))
    z = (z + rng.normal(size=z.shape)).astype(np.float32)
    expected = np.linalg.svd(z, full_matrices=False)[2][:5]
    found = leading_components(z, 5)
    np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-4)
    np.testing.assert_allclose(np.abs(np.diag(expected @ found)), 1, atol=1e-3)
    small = leading_components(z[:, :20], 5)
    np.testing.assert_allclose(small.T @ small, np.eye(5), atol=1e-4)


def test_components_and_units_are_of_the_training_donors(
    fitted: dict[str, FittedOnComponents], cohort: ad.AnnData, donors: list[str]
) -> None:
    one = fitted["compact-mtm"]
    rows = rows_of(cohort.obs["donor"], donors)
    codes = cohort.obs["tissue"].cat.codes.to_numpy().astype(np.int64)[rows]
    z = squash(one.scaler.transform(np.asarray(cohort.X[rows]), codes), 3.0)
    expected = np.linalg.svd(z, full_matrices=False)[2][:6]
    np.testing.assert_allclose(np.abs(np.diag(expected @ one.basis)), 1, atol=1e-3)
    scores = z @ one.basis
    assert one.unit == pytest.approx(np.sqrt((scores**2).mean()), rel=1e-4)
    t = codes[0]
    np.testing.assert_allclose(
        one.inner.scaler.mean[t], scores[codes == t].mean(axis=0) / one.unit, atol=1e-4
    )
    assert (one.inner.scaler.sd == 1).all()


@pytest.mark.parametrize("name", ["compact-mtm", "compact-mlp", "compact-single-task-mtm"])
def test_genes_are_those_of_the_predicted_scores(
    name: str, fitted: dict[str, FittedOnComponents], cohort: ad.AnnData
) -> None:
    one = fitted[name]
    z = blood(one, cohort)
    target = next(tissue for tissue in one.tissues if tissue != BLOOD)
    s, t = one.tissues.index(BLOOD), one.tissues.index(target)
    given = squash(z, 3.0) @ one.basis / one.unit - one.inner.scaler.mean[s]
    scores = one.inner.predict({BLOOD: given.astype(np.float32)}, target).mean
    expected = (scores + one.inner.scaler.mean[t]) * one.unit @ one.basis.T
    predict = one.target_predictor({BLOOD: z})
    np.testing.assert_allclose(predict(target).mean, expected, atol=1e-4)
    some = np.array([5, 2])
    np.testing.assert_allclose(predict(target, some).mean, expected[:, some], atol=1e-4)
    assert one.predict({BLOOD: z}, target).mean.shape == z.shape


@pytest.mark.parametrize("name", ["compact-mtm", "compact-mlp", "compact-single-task-mtm"])
def test_networks_on_components_are_saved_and_checked(
    name: str, fitted: dict[str, FittedOnComponents], cohort: ad.AnnData
) -> None:
    one = fitted[name]
    arrays, settings = one.arrays(), one.settings()
    again = SavedMethod(name, arrays, settings, one.scaler, one.tissues).restore()
    z = blood(one, cohort)
    target = next(tissue for tissue in one.tissues if tissue != BLOOD)
    np.testing.assert_allclose(
        again.predict({BLOOD: z}, target).mean, one.predict({BLOOD: z}, target).mean, atol=1e-5
    )
    assert again.name == name
    for broken, changed in (
        (arrays | {"basis": arrays["basis"][:-1]}, settings),
        (arrays | {"score_mean": arrays["score_mean"][:, :-1]}, settings),
        ({n: a for n, a in arrays.items() if n != "basis"}, settings),
        (arrays | {"more": arrays["basis"]}, settings),
        (arrays, settings | {"unit": -1.0}),
        (arrays, settings | {"inner": settings["inner"] | {"method": "stack"}}),
    ):
        with pytest.raises(ValueError, match=r"shape|missing|unexpected|unit|components"):
            SavedMethod(name, broken, changed, one.scaler, one.tissues).restore()


def test_a_template_is_brought_to_scores(cohort: ad.AnnData) -> None:
    templates = methods(cohort)
    mtm = for_scores(templates["compact-mtm"], 9)
    assert isinstance(mtm, MTMMethod)
    assert (mtm.config.model.n_genes, mtm.config.scaling) == (9, SCORE_SCALING)
    assert mtm.config.model.encoder_input == "z"
    single = for_scores(templates["compact-single-task-mtm"], 9)
    assert isinstance(single, SingleTaskMTMMethod)
    assert (single.model.n_genes, single.scaling) == (9, SCORE_SCALING)


def test_a_network_on_components_learns_what_donors_share(
    cohort: ad.AnnData, donors: list[str]
) -> None:
    training = NetworkTraining(epochs=60, learning_rate=1e-2, patience=60)
    inner = MLPMethod(widths=(16,), dropout=0.0, training=training)
    known, held_out = tuple(donors[:110]), tuple(donors[110:])
    scorer = fit_scorer(cohort, known)
    one = OnComponentsMethod(inner, 4, name="compact-mlp").fit(cohort, known)
    rho = [
        np.nanmean(columnwise_correlation(part.predicted, part.observed))
        for part in predict_held_out(one, cohort, held_out, scorer, source=BLOOD)
        if len(part.donor) >= 15
    ]
    assert np.mean(rho) > 0.3


def test_compact_mtm_is_weighed_beside_kernel_factors(
    cohort: ad.AnnData, donors: list[str]
) -> None:
    joint = JointGaussianMethod(
        n_factors=(2,), ridge=10.0, shrinkage=30.0, covariates=("age", "sex"), gene_ridge=None
    )
    compact = OnComponentsMethod(methods(cohort)["compact-mtm"], 6)
    kernel = KernelFactorsMethod(joint, n_points=30)
    method = FactorStackMethod(factors=kernel, others=(compact,), name="compact-stack")
    stack = method.fit(cohort, donors)
    assert [base.name for base in stack.bases] == ["kernel-factors", "compact-mtm"]
    arrays, settings = stack.arrays(), stack.settings()
    again = SavedMethod("compact-stack", arrays, settings, stack.scaler, stack.tissues).restore()
    z = np.random.default_rng(0).normal(size=(3, cohort.n_vars)).astype(np.float32)
    target = next(tissue for tissue in stack.tissues if tissue != BLOOD)
    weights = stack.plain.weights[stack.tissues.index(target)]
    alone = [base.predict({BLOOD: z}, target).mean for base in stack.bases]
    found = again.predict({BLOOD: z}, target)
    np.testing.assert_allclose(found.mean, np.tensordot(weights, alone, axes=1), atol=1e-4)
    assert again.name == "compact-stack"
    # From several tissues it has weights and intervals of its own, for both methods.
    assert again.several is not None
    assert again.several.weights.shape == stack.plain.weights.shape
    further = again.further[0]
    assert again.is_calibrated_from((BLOOD, further))
    given = {BLOOD: z, further: z[::-1].copy()}
    other = next(t for t in stack.tissues if t not in (BLOOD, *again.further))
    own = [base.predict(given, other).mean for base in stack.bases]
    together = again.predict(given, other)
    weights = again.several.weights[stack.tissues.index(other)]
    np.testing.assert_allclose(together.mean, np.tensordot(weights, own, axes=1), atol=1e-4)
    assert together.multipliers is not None
