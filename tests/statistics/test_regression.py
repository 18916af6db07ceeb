"""Residuals of whole matrices against statsmodels, a column at a time."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from mtm_core.statistics.regression import orthonormal_basis, residuals

Array = np.ndarray


@pytest.fixture
def design(rng: np.random.Generator) -> Array:
    """An intercept, a number and a two-level factor."""
    return np.column_stack([np.ones(25), rng.normal(60, 9, size=25), rng.random(25) < 0.4])


@pytest.fixture
def values(rng: np.random.Generator, design: Array) -> Array:
    return design @ rng.normal(size=(3, 6)) + rng.normal(size=(25, 6))


def test_residuals_equal_statsmodels(design: Array, values: Array) -> None:
    expected = np.column_stack([sm.OLS(column, design).fit().resid for column in values.T])
    np.testing.assert_allclose(residuals(values, orthonormal_basis(design)), expected, atol=1e-10)


def test_covariates_that_follow_from_others_cost_nothing(design: Array, values: Array) -> None:
    more = np.column_stack([design, 1 - design[:, 2], np.full(25, 7.0), np.zeros(25)])
    basis = orthonormal_basis(more)
    assert basis.shape == (25, 3)
    np.testing.assert_allclose(
        residuals(values, basis), residuals(values, orthonormal_basis(design)), atol=1e-10
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_explained_by_covariates_has_residual_0(
    design: Array, values: Array, dtype: type
) -> None:
    given = values.astype(dtype)
    given[:, 2] = design @ np.array([0.1, 0.01, -0.3])
    left = residuals(given, orthonormal_basis(design))
    assert (left[:, 2] == 0).all()
    assert (np.ptp(left[:, [0, 1, 3, 4, 5]], axis=0) > 0.5).all()


def test_a_small_signal_beside_the_covariates_remains(
    rng: np.random.Generator, design: Array
) -> None:
    signal = 1e-3 * rng.normal(size=(25, 1))
    left = residuals((design[:, [2]] + signal).astype(np.float32), orthonormal_basis(design))
    np.testing.assert_allclose(left, residuals(signal, orthonormal_basis(design)), atol=1e-6)
