"""Scores of activity: those that decoupler 2.2.0 prints, and least squares of statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.sparse import csr_array

from mtm_core.statistics.activity import (
    NotSeparable,
    multivariate_scores,
    univariate_scores,
)

# dc.mt.ulm and dc.mt.mlm (decoupler 2.2.0, tmin=5) of `planted()`: rows are samples a, b, c;
# columns the sources up, both, sets.
ULM = [
    [0.321252, 0.722838, -0.959893],
    [-1.271020, -3.110284, -1.032720],
    [-0.229412, -0.642601, 0.407107],
]
MLM = [
    [0.161380, 0.619774, -0.979981],
    [-0.031575, -2.768614, -1.007416],
    [-0.025686, -0.577744, 0.420476],
]


def planted() -> tuple[np.ndarray, csr_array]:
    """Three samples of forty genes, and the weights of three sources, two of which overlap."""
    rng = np.random.default_rng(7)
    values = np.round(rng.normal(size=(3, 40)), 2)
    weights = np.zeros((40, 3))
    for source, genes in enumerate((range(8), range(4, 16), range(20, 30))):
        weights[list(genes), source] = np.round(rng.normal(size=len(genes)), 1)
    weights[20:30, 2] = 1
    return values, csr_array(weights)


def test_scores_are_those_of_decoupler() -> None:
    values, weights = planted()
    np.testing.assert_allclose(univariate_scores(values, weights), ULM, atol=1e-6)
    np.testing.assert_allclose(multivariate_scores(values, weights), MLM, atol=1e-6)


def test_scores_are_the_t_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(300, 6)) * (rng.random((300, 6)) < 0.2)
    values = 5 + rng.normal(size=(4, 300)) + weights[:, 2] * 3
    alone = univariate_scores(values, csr_array(weights))
    together = multivariate_scores(values, csr_array(weights))
    for i, y in enumerate(values):
        fit = sm.OLS(y, sm.add_constant(weights)).fit()
        np.testing.assert_allclose(together[i], fit.tvalues[1:], rtol=1e-8)
        for s in range(6):
            one = sm.OLS(y, sm.add_constant(weights[:, [s]])).fit()
            assert alone[i, s] == pytest.approx(one.tvalues[1], rel=1e-8)


def test_constant_samples_and_sources_have_no_score() -> None:
    values, weights = planted()
    values[1] = 0.3
    of_all = csr_array(np.column_stack([weights.toarray(), np.ones(40)]))
    scores = univariate_scores(values, of_all)
    assert np.isnan(scores[1]).all()
    assert np.isnan(scores[:, 3]).all()
    assert np.isfinite(scores[[0, 2], :3]).all()
    assert np.isnan(multivariate_scores(values, weights)[1]).all()


def test_sources_that_follow_from_others_are_not_separated() -> None:
    values, weights = planted()
    dense = weights.toarray()
    for more in (dense[:, :1] - 2 * dense[:, 2:], np.ones((40, 1)), np.eye(40)):
        with pytest.raises(NotSeparable):
            multivariate_scores(values, csr_array(np.column_stack([dense, more])))
