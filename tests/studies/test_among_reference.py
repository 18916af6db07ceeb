"""Percentiles within a reference's distribution."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from mtm_core.studies.among_reference import reference_percentile


def test_percentile_is_the_share_of_the_reference_below() -> None:
    levels = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    quantiles = pd.Series(norm.ppf(levels), index=levels)
    got = reference_percentile(np.array([-5, -1.6449, 0, 0.3, 5]), quantiles)
    assert got[[0, 1, 2, 4]] == pytest.approx([1, 5, 50, 99], abs=0.01)
    assert got[3] == pytest.approx(100 * norm.cdf(0.3), abs=1.5)


def test_percentile_of_a_value_that_many_share_is_their_middle() -> None:
    quantiles = pd.Series([0, 0, 0, 0, 2, 4], index=[0.05, 0.25, 0.5, 0.6, 0.75, 0.95])
    assert reference_percentile(np.array([0.0]), quantiles)[0] == pytest.approx(35)
    assert reference_percentile(np.array([2.0, 3.0]), quantiles) == pytest.approx([75, 85])
    constant = pd.Series([1.0, 1.0, 1.0], index=[0.25, 0.5, 0.75])
    assert reference_percentile(np.array([0.0, 1.0]), constant) == pytest.approx([50, 50])
