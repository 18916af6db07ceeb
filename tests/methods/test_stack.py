"""The stack: weights, intervals, what it saves, and the predictions of held-out donors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from mtm_core.data.cohort.splits import donor_folds
from mtm_core.evaluation.coverage import coverage
from mtm_core.evaluation.cross_validation import cross_validate
from mtm_core.evaluation.fold_store import StoredFold, out_of_fold, write_fold
from mtm_core.methods.calibration import Calibration, _non_negative_weights
from mtm_core.methods.controls import ControlMethod
from mtm_core.methods.held_out import fit_scorer, predict_held_out
from mtm_core.methods.joint_gaussian import FittedJointGaussian, JointGaussianMethod
from mtm_core.methods.protocol import INTERVAL_LEVELS
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.methods.stack import FittedStack, StackMethod
from mtm_core.methods.table import SavedMethod

BLOOD = "Whole Blood"
QUICK = JointGaussianMethod(n_factors=(2,), n_iterations=8, ridge=5.0)


@pytest.fixture(scope="module")
def fitted(cohort: ad.AnnData, donors: list[str]) -> FittedStack:
    return StackMethod((QUICK, ControlMethod("source-as-proxy"))).fit(cohort, donors)


def test_weights_minimise_the_squared_error_without_going_below_zero(
    rng: np.random.Generator,
) -> None:
    predicted = rng.normal(size=(3, 200))
    observed = 0.7 * predicted[0] - 0.5 * predicted[1] + 0.1 * rng.normal(size=200)
    weights = _non_negative_weights(
        predicted @ predicted.T, predicted @ observed, float(observed @ observed)
    )

    def error(w: np.ndarray) -> float:
        return float(((observed - w @ predicted) ** 2).sum())

    slow = minimize(error, np.ones(3), bounds=[(0, None)] * 3, method="L-BFGS-B").x
    np.testing.assert_allclose(weights, slow, atol=1e-4)
    assert weights.min() >= 0
    assert weights[1] == 0


def test_a_method_that_knows_more_gets_more_weight(fitted: FittedStack) -> None:
    targets = [i for i, tissue in enumerate(fitted.tissues) if tissue != BLOOD]
    weights = fitted.plain.weights[targets]
    assert (weights[:, 0] > 3 * weights[:, 1]).all()


def test_intervals_hold_what_they_say_on_new_donors(cohort: ad.AnnData) -> None:
    folds = donor_folds(cohort.obs)
    out_of_fold = cross_validate(StackMethod((QUICK, RidgeMethod())), cohort, folds)
    inside = (out_of_fold["observed"] >= out_of_fold["lower_90"]) & (
        out_of_fold["observed"] <= out_of_fold["upper_90"]
    )
    assert 0.87 < float(inside.mean()) < 0.93
    widths = [
        float((out_of_fold[f"upper_{level}"] - out_of_fold[f"lower_{level}"]).mean())
        for level in (50, 80, 90, 95)
    ]
    assert widths == sorted(widths)


def test_held_out_donors_change_nothing_of_the_fit(cohort: ad.AnnData, donors: list[str]) -> None:
    method, training = StackMethod((QUICK,)), donors[:100]
    before = method.fit(cohort, training)
    changed = cohort.copy()
    rows = np.flatnonzero(~cohort.obs["donor"].isin(training).to_numpy())
    changed.X[rows] = 1e4
    after = method.fit(changed, training)
    for name, array in vars(before.plain).items():
        np.testing.assert_array_equal(array, getattr(after.plain, name))


def test_age_and_sex_are_used_of_donors_whose_both_are_known(cohort: ad.AnnData) -> None:
    base = replace(QUICK, covariates=("age", "sex"))
    fitted = StackMethod((base,)).fit(cohort, sorted(set(cohort.obs["donor"])))
    z = {BLOOD: np.zeros((3, cohort.n_vars), dtype=np.float32)}
    people = pd.DataFrame({"age": [70.0, np.nan, 70.0], "sex": ["male", "male", "male"]})
    known, blind = fitted.predict(z, "Liver", people), fitted.predict(z, "Liver")
    np.testing.assert_array_equal(known.mean[1], blind.mean[1])
    # A cohort's table holds no NaN in its text.
    nameless = fitted.predict(z, "Liver", people.assign(age=70.0, sex=["", "male", "male"]))
    np.testing.assert_array_equal(nameless.mean[0], blind.mean[0])
    np.testing.assert_array_equal(known.mean[0], known.mean[2])
    assert not np.allclose(known.mean[0], blind.mean[0])
    t = fitted.tissues.index("Liver")
    assert fitted.with_covariates is not None
    np.testing.assert_allclose(known.sd[0], fitted.with_covariates.error[t], rtol=1e-6)
    np.testing.assert_allclose(known.sd[1], fitted.plain.error[t], rtol=1e-6)
    for i, level in enumerate(INTERVAL_LEVELS):
        expected = [
            c.multipliers[t, i]
            for c in (fitted.with_covariates, fitted.plain, fitted.with_covariates)
        ]
        np.testing.assert_allclose(known.multipliers[level], expected, rtol=1e-6)


def test_comes_back_from_its_arrays_and_settings(cohort: ad.AnnData, donors: list[str]) -> None:
    fitted = StackMethod((QUICK, JointGaussianMethod(n_factors=(1, 2), n_iterations=3))).fit(
        cohort, donors
    )
    again = SavedMethod(
        "stack", fitted.arrays(), fitted.settings(), fitted.scaler, fitted.tissues
    ).restore()
    z = {BLOOD: fitted.scaler.transform(np.asarray(cohort.X[:4]), np.zeros(4, dtype=np.int64))}
    for target in ("Liver", "Lung"):
        first, second = fitted.predict(z, target), again.predict(z, target)
        np.testing.assert_allclose(first.mean, second.mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(first.sd, second.sd)
        for level in INTERVAL_LEVELS:
            np.testing.assert_array_equal(first.multipliers[level], second.multipliers[level])


@pytest.fixture(scope="module")
def from_several(cohort: ad.AnnData, donors: list[str]) -> FittedStack:
    base = replace(QUICK, covariates=("age", "sex"))
    return StackMethod((base, ControlMethod("source-as-proxy")), n_further=2).fit(cohort, donors)


def test_several_sources_have_weights_and_intervals_of_their_own(
    from_several: FittedStack, cohort: ad.AnnData, donors: list[str], rng: np.random.Generator
) -> None:
    alone = replace(from_several, several=None, several_with_covariates=None)
    z = rng.normal(size=(3, cohort.n_vars)).astype(np.float32)
    people = pd.DataFrame({"age": [70.0, 20.0, 70.0], "sex": ["male", "male", "female"]})
    t = from_several.tissues.index("Lung")
    beside = next(tissue for tissue in from_several.further if tissue != "Lung")
    for known, one, several in (
        (None, from_several.plain, from_several.several),
        (people, from_several.with_covariates, from_several.several_with_covariates),
    ):
        assert one is not None
        assert several is not None
        assert not np.allclose(several.error, one.error)
        for profiles, expected in (({BLOOD: z}, one), ({BLOOD: z, beside: -z}, several)):
            predicted = from_several.predict(profiles, "Lung", known)
            by_base = [base.predict(profiles, "Lung", known).mean for base in from_several.bases]
            np.testing.assert_allclose(
                predicted.mean, np.tensordot(expected.weights[t], by_base, 1), rtol=1e-4, atol=1e-5
            )
            np.testing.assert_allclose(predicted.sd[1], expected.error[t], rtol=1e-6)
    one_source = from_several.predict({BLOOD: z}, "Lung").mean
    np.testing.assert_array_equal(one_source, alone.predict({BLOOD: z}, "Lung").mean)


def test_a_combination_that_nothing_was_learnt_from_has_no_interval(
    from_several: FittedStack, cohort: ad.AnnData, rng: np.random.Generator
) -> None:
    z = rng.normal(size=(2, cohort.n_vars)).astype(np.float32)
    first, second = from_several.further
    unknown = next(t for t in from_several.tissues if t not in (BLOOD, first, second))
    target = next(t for t in from_several.tissues if t not in (BLOOD, first, second, unknown))
    for sources, has_interval in (
        ([BLOOD], True),
        ([first], True),  # as before: the caller says that it was not checked
        ([BLOOD, first], True),
        ([second, BLOOD, first], True),
        ([first, second], False),
        ([BLOOD, unknown], False),
    ):
        predicted = from_several.predict(dict.fromkeys(sources, z), target)
        assert (predicted.sd is not None) == (predicted.multipliers is not None) == has_interval
    alone = replace(from_several, several=None, several_with_covariates=None, further=())
    assert alone.predict(dict.fromkeys([BLOOD, first], z), target).multipliers is None


def test_held_out_donors_without_an_interval_do_not_count(
    from_several: FittedStack, cohort: ad.AnnData, donors: list[str], tmp_path: Path
) -> None:
    fitted = replace(from_several, further=from_several.further[:1])
    unknown = from_several.further[1]
    scorer = fit_scorer(cohort, tuple(donors))
    held_out = tuple(donors)
    parts = list(
        predict_held_out(fitted, cohort, held_out, scorer, source=BLOOD, further_sources=[unknown])
    )
    gives = set(cohort.obs.loc[cohort.obs["tissue"] == unknown, "donor"])
    for part in parts:
        assert part.multipliers is not None
        expected = [donor not in gives for donor in part.donor]
        np.testing.assert_array_equal(np.isfinite(part.multipliers[90]), expected)
    bare = replace(parts[0], sd=None, multipliers=None)  # as a tissue of whom all give both
    write_fold([bare, *parts[1:]], scorer, tmp_path / "fold.h5")
    stored = out_of_fold([StoredFold.open(tmp_path / "fold.h5", 0)], cohort)
    assert np.isnan(stored["lower_90"][: len(bare.donor)]).all()
    table = coverage(stored)
    assert np.isnan(table.loc[bare.tissue, "coverage_90"])
    assert table.drop(bare.tissue)["coverage_90"].notna().all()


def test_further_sources_are_those_that_most_donors_give(
    from_several: FittedStack, cohort: ad.AnnData
) -> None:
    givers = cohort.obs.loc[cohort.obs["tissue"] == BLOOD, "donor"]
    counts = cohort.obs.loc[cohort.obs["donor"].isin(givers), "tissue"].value_counts()
    further = counts.drop(BLOOD).index[:2]
    assert counts.drop(BLOOD).is_unique  # or the test's own order would be chance
    assert from_several.several is not None
    assert from_several.further == tuple(further)
    for i, tissue in enumerate(from_several.tissues):
        same = np.array_equal(from_several.several.error[i], from_several.plain.error[i])
        # No targets while they are sources: what one source gave holds for them.
        assert same == (tissue in {BLOOD, *further})


def test_several_sources_come_back_from_arrays_also_under_an_earlier_name(
    from_several: FittedStack, cohort: ad.AnnData, rng: np.random.Generator
) -> None:
    earlier = {
        ".".join("other".join(part.split("with_covariates")) for part in name.split(".")): array
        for name, array in from_several.arrays().items()
    }
    assert earlier.keys() != from_several.arrays().keys()
    again = SavedMethod(
        "stack",
        earlier,
        from_several.settings(),
        from_several.scaler,
        from_several.tissues,
    ).restore()
    beside = next(tissue for tissue in from_several.further if tissue != "Lung")
    z = {t: rng.normal(size=(2, cohort.n_vars)).astype(np.float32) for t in (BLOOD, beside)}
    first, second = from_several.predict(z, "Lung"), again.predict(z, "Lung")
    np.testing.assert_allclose(first.mean, second.mean, rtol=1e-4, atol=1e-5)
    assert first.sd is not None
    np.testing.assert_array_equal(first.sd, second.sd)
    assert isinstance(again, FittedStack)
    for kind in ("with_covariates", "several_with_covariates"):
        for member, array in vars(getattr(from_several, kind)).items():
            np.testing.assert_array_equal(getattr(getattr(again, kind), member), array)
    assert again.further == from_several.further


def test_methods_of_other_donors_are_refused(cohort: ad.AnnData, donors: list[str]) -> None:
    one, two = QUICK.fit(cohort, donors[:60]), QUICK.fit(cohort, donors[60:])
    blank = Calibration(np.ones((5, 2)), np.ones((5, 30)), np.ones((5, 4)))
    with pytest.raises(ValueError, match="share one scaler"):
        FittedStack((one, two), blank, None, BLOOD)


def test_further_sources_are_used_for_donors_that_have_them(
    cohort: ad.AnnData, donors: list[str]
) -> None:
    training, held_out = tuple(donors[:100]), tuple(donors[100:])
    fitted = QUICK.fit(cohort, training)
    scorer = fit_scorer(cohort, training)
    parts = list(
        predict_held_out(fitted, cohort, held_out, scorer, source=BLOOD, further_sources=["Liver"])
    )
    assert {part.tissue for part in parts} == set(fitted.tissues) - {BLOOD, "Liver"}
    samples = {
        (donor, tissue): row
        for row, (donor, tissue) in enumerate(
            zip(cohort.obs["donor"], cohort.obs["tissue"], strict=True)
        )
    }
    used = 0
    for part in parts:
        code = fitted.tissues.index(part.tissue)
        for i, donor in enumerate(part.donor):
            profiles = {}
            for name in (BLOOD, "Liver"):
                if (donor, name) in samples:
                    x = np.asarray(cohort.X[[samples[donor, name]]])
                    tissue = np.array([fitted.tissues.index(name)])
                    profiles[name] = fitted.scaler.transform(x, tissue)
            used += len(profiles) == 2
            alone = fitted.predict(profiles, part.tissue).mean[0]
            np.testing.assert_allclose(part.predicted[i], alone, rtol=1e-3, atol=1e-4)
            target = np.asarray(cohort.X[[samples[donor, part.tissue]]])
            expected = scorer.transform(target, np.array([code]))[0]
            np.testing.assert_allclose(part.observed[i], expected, rtol=1e-5)
    assert used > 10
    assert isinstance(fitted, FittedJointGaussian)
