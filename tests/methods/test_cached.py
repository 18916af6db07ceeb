"""Cached fits: made once, read back equal, and made anew when anything they depend on changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from mtm_core.data.cohort.simulate import SimulationConfig, simulate_cohort
from mtm_core.methods.cached import CachedMethod, identity
from mtm_core.methods.joint_gaussian import FittedJointGaussian, JointGaussianMethod
from mtm_core.methods.stack import StackMethod

QUICK = JointGaussianMethod(n_factors=(2,), n_iterations=4)


@pytest.fixture(scope="module")
def cohort() -> ad.AnnData:
    return simulate_cohort(SimulationConfig(n_donors=60, n_factors=2, n_genes=12))


@pytest.fixture(scope="module")
def donors(cohort: ad.AnnData) -> list[str]:
    return sorted(set(cohort.obs["donor"]))


def fits(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_fit_is_made_once(
    cohort: ad.AnnData, donors: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = CachedMethod(QUICK, tmp_path).fit(cohort, donors)
    monkeypatch.setattr(JointGaussianMethod, "fit", None)
    again = CachedMethod(QUICK, tmp_path).fit(cohort, donors[::-1])
    assert isinstance(again, FittedJointGaussian)
    np.testing.assert_array_equal(again.models[0].loadings, first.models[0].loadings)
    np.testing.assert_array_equal(again.scaler.mean, first.scaler.mean)


def test_other_donors_settings_or_cohort_are_other_fits(
    cohort: ad.AnnData, donors: list[str], tmp_path: Path
) -> None:
    CachedMethod(QUICK, tmp_path).fit(cohort, donors)
    CachedMethod(QUICK, tmp_path).fit(cohort, donors[:40])
    CachedMethod(replace(QUICK, ridge=7.0), tmp_path).fit(cohort, donors)
    other = simulate_cohort(SimulationConfig(n_donors=60, n_factors=2, n_genes=12, seed=5))
    CachedMethod(QUICK, tmp_path).fit(other, sorted(set(other.obs["donor"])))
    assert len(fits(tmp_path)) == 4
    CachedMethod(replace(QUICK, name="joint-gaussian-age-sex"), tmp_path).fit(cohort, donors)
    assert len(fits(tmp_path)) == 4  # a name is not what a fit depends on


def test_a_stack_of_cached_members_is_the_stack(
    cohort: ad.AnnData, donors: list[str], tmp_path: Path
) -> None:
    cached = CachedMethod(StackMethod((CachedMethod(QUICK, tmp_path),)), tmp_path).fit(
        cohort, donors
    )
    plain = StackMethod((QUICK,)).fit(cohort, donors)
    z = {"Whole Blood": np.ones((2, cohort.n_vars), dtype=np.float32)}
    np.testing.assert_allclose(
        cached.predict(z, "Liver").mean, plain.predict(z, "Liver").mean, rtol=1e-4, atol=1e-5
    )
    assert len(fits(tmp_path)) == 5  # three inner folds, all donors, and the stack


def test_identity_leaves_out_what_changes_no_result() -> None:
    @dataclass(frozen=True)
    class Setting:
        sizes: tuple[int, ...]
        part: JointGaussianMethod
        folder: Path = field(compare=False)

    known = identity(Setting((1, 2), QUICK, Path("here")))
    assert known == identity(Setting((1, 2), QUICK, Path("there")))
    assert isinstance(known, dict)
    assert known["sizes"] == [1, 2]
    assert known["part"]["ridge"] == QUICK.ridge
    assert known != identity(Setting((1, 3), QUICK, Path("here")))
