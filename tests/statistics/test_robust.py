"""Outliers by median and MAD: against scipy and chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, median_abs_deviation

from mtm_core.statistics.robust import outlier_z, robust_distance, robust_z


def test_z_is_by_scipys_mad(rng: np.random.Generator) -> None:
    values = rng.standard_t(3, 50)
    spread = median_abs_deviation(values, scale="normal")
    np.testing.assert_allclose(robust_z(values), (values - np.median(values)) / spread)


def test_missing_values_and_constants_have_none() -> None:
    assert np.isnan(robust_z([1.0, 1.0, 1.0, 5.0])).all()
    z = robust_z([1.0, np.nan, 2.0, 3.0, 9.0])
    np.testing.assert_array_equal(np.isnan(z), [False, True, False, False, False])


def test_distance_has_its_nominal_level_and_finds_outliers(rng: np.random.Generator) -> None:
    scores = rng.normal(0, [5, 2, 1], (4000, 3))
    scores[0] = [0, 0, 8]
    distance, p = robust_distance(scores)
    assert 0.03 < (p < 0.05).mean() < 0.07
    assert distance.argmax() == 0
    np.testing.assert_allclose(p, chi2.sf(distance**2, 3))


@pytest.mark.parametrize("n", [3, 6, 12, 25])
def test_few_samples_have_no_more_outliers_than_many(rng: np.random.Generator, n: int) -> None:
    tables = rng.normal(size=(400, n, max(1, n // 5)))
    p = np.array([robust_distance(table)[1] for table in tables])
    assert 0.03 < (p < 0.05).mean() < 0.07
    assert (p * n < 0.01).any(axis=1).mean() < 0.03
    lowest = np.array([robust_z(table[:, 0]).min() for table in tables])
    assert 0.02 < (lowest < -outlier_z(n)).mean() < 0.09
    assert outlier_z(n) > outlier_z(31) == outlier_z(2) == 3.5


def test_p_in_few_samples_is_near_that_in_many(rng: np.random.Generator) -> None:
    scores = rng.normal(size=(300, 2))
    distance, p = robust_distance(scores)
    np.testing.assert_allclose(np.log10(p), np.log10(chi2.sf(distance**2, 2)), atol=0.25)
