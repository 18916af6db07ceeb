from __future__ import annotations

import numpy as np
from statsmodels.stats.multitest import multipletests

from mtm_core.statistics.multiple_testing import benjamini_hochberg


def test_adjusted_p_equals_statsmodels(rng: np.random.Generator) -> None:
    p = rng.random(50) ** 3
    expected = multipletests(p, method="fdr_bh")[1]
    np.testing.assert_allclose(benjamini_hochberg(p), expected, rtol=1e-12)


def test_a_test_that_was_not_made_does_not_count(rng: np.random.Generator) -> None:
    p = rng.random(20) ** 3
    with_gaps = np.insert(p, [0, 7, 20], np.nan)
    adjusted = benjamini_hochberg(with_gaps)
    np.testing.assert_array_equal(np.isnan(adjusted), np.isnan(with_gaps))
    np.testing.assert_array_equal(adjusted[~np.isnan(with_gaps)], benjamini_hochberg(p))


def test_without_tests_nothing_is_adjusted() -> None:
    assert np.isnan(benjamini_hochberg([np.nan, np.nan])).all()
    assert benjamini_hochberg([]).shape == (0,)
