"""Outliers by median and MAD: against scipy and chance."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, median_abs_deviation

from mtm_core.statistics.robust import robust_distance, robust_z


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
