"""Whole-matrix correlations against scipy, a column at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from mtm_core.statistics.correlation import (
    columnwise_correlation,
    correlation_interval,
    correlation_p,
    correlation_with,
    fisher_mean,
    rowwise_correlation,
    weighted_correlation,
    weighted_correlation_with,
)

Array = np.ndarray


@pytest.fixture
def x(rng: np.random.Generator) -> Array:
    return rng.normal(size=(30, 7))


@pytest.fixture
def y(rng: np.random.Generator, x: Array) -> Array:
    share = np.linspace(-1, 1, x.shape[1])
    return share * x + (1 - np.abs(share)) * rng.normal(size=x.shape)


def by_column(x: Array, y: Array) -> Array:
    return np.array([pearsonr(a, b).statistic for a, b in zip(x.T, y.T, strict=True)])


def test_columns_equal_scipy(x: Array, y: Array) -> None:
    rho = columnwise_correlation(x, y)
    assert rho.dtype == np.float64
    np.testing.assert_allclose(rho, by_column(x, y), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(rho[[0, -1]], [-1, 1], rtol=1e-12)


def test_rows_are_the_columns_of_the_transpose(x: Array, y: Array) -> None:
    rho = rowwise_correlation(x, y)
    assert rho.shape == (30,)
    np.testing.assert_allclose(rho, by_column(x.T, y.T), rtol=1e-12, atol=1e-14)


def test_rows_with_one_vector_equal_scipy(rng: np.random.Generator) -> None:
    rows, other = rng.normal(1e4, 1, size=(37, 50)), rng.normal(size=50)
    rows[5], rows[20, 3] = 0.1, np.nan
    rho = correlation_with(rows, other)
    known = np.setdiff1d(np.arange(37), [5, 20])
    expected = [pearsonr(row, other).statistic for row in rows[known]]
    np.testing.assert_allclose(rho[known], expected, rtol=1e-10)
    assert np.isnan(rho[[5, 20]]).all()
    assert np.isnan(correlation_with(rows, np.full(50, 0.3))).all()
    assert np.isnan(correlation_with(rows[:, :1], other[:1])).all()


def test_float32_is_summed_in_float64(rng: np.random.Generator) -> None:
    x = (1e3 + rng.normal(size=(20_000, 2))).astype(np.float32)
    y = (1e3 + rng.normal(size=(20_000, 2))).astype(np.float32)
    expected = by_column(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(columnwise_correlation(x, y), expected, rtol=1e-9)


def test_a_large_offset_changes_nothing(x: Array, y: Array) -> None:
    # One pass, sum(xy) - n mean(x) mean(y), loses every digit here.
    shifted = columnwise_correlation(x + 1e8, y - 1e8)
    np.testing.assert_allclose(shifted, columnwise_correlation(x, y), atol=1e-6)


def test_scale_and_order_of_rows_do_not_matter(
    rng: np.random.Generator, x: Array, y: Array
) -> None:
    expected = columnwise_correlation(x, y)
    order = rng.permutation(len(x))
    np.testing.assert_allclose(columnwise_correlation(x[order], y[order]), expected, rtol=1e-12)
    np.testing.assert_allclose(columnwise_correlation(-1e-9 * x, 1e9 * y), -expected, rtol=1e-12)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8 / 3])
def test_a_constant_column_is_nan_on_either_side(x: Array, y: Array, constant: float) -> None:
    # The mean of 30 times 0.1 is not 0.1 exactly: rounding must not pass for variation.
    x[:, 2] = y[:, 4] = constant
    rho = columnwise_correlation(x, y)
    assert np.flatnonzero(np.isnan(rho)).tolist() == [2, 4]
    rest = [0, 1, 3, 5, 6]
    np.testing.assert_allclose(rho[rest], by_column(x[:, rest], y[:, rest]), rtol=1e-12)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_rows_are_nan(n: int) -> None:
    rho = columnwise_correlation(np.ones((n, 3)), np.ones((n, 3)))
    assert rho.shape == (3,)
    assert np.isnan(rho).all()


def test_shapes_must_agree() -> None:
    # (5, 1) would broadcast to (5, 3).
    with pytest.raises(ValueError, match=r"one shape, got \(5, 3\) and \(5, 1\)"):
        columnwise_correlation(np.ones((5, 3)), np.ones((5, 1)))


def test_fisher_mean_is_the_tanh_of_the_mean_arctanh() -> None:
    rho = np.array([[0.1, -0.5], [0.9, 0.2], [0.4, 0.0]])
    expected = [np.tanh(sum(np.arctanh(r) for r in column) / 3) for column in rho.T]
    np.testing.assert_allclose(fisher_mean(rho), expected, rtol=1e-12)
    np.testing.assert_allclose(fisher_mean(rho.T, axis=1), expected, rtol=1e-12)


def test_fisher_mean_leaves_nan_out() -> None:
    rho = np.array([[0.1, np.nan, np.nan], [0.5, 0.3, np.nan]])
    mean = fisher_mean(rho)
    np.testing.assert_allclose(mean[:2], [np.tanh(np.arctanh([0.1, 0.5]).mean()), 0.3])
    assert np.isnan(mean[2])


def test_fisher_mean_of_perfect_correlations_is_finite() -> None:
    np.testing.assert_allclose(fisher_mean([1.0, 1.0]), 1, atol=1e-5)
    np.testing.assert_allclose(fisher_mean([1.0, -1.0]), 0, atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_weighted_correlation_is_that_of_the_rows_gathered(
    rng: np.random.Generator, x: Array, y: Array, offset: float
) -> None:
    rows = [rng.integers(0, 30, size=30) for _ in range(20)]
    weights = [np.bincount(drawn, minlength=30) for drawn in rows]
    rho = weighted_correlation(weights, x + offset, y - offset)
    expected = [by_column(x[drawn], y[drawn]) for drawn in rows]
    np.testing.assert_allclose(rho, expected, atol=1e-8)


def test_weights_may_be_any_share(x: Array, y: Array) -> None:
    np.testing.assert_allclose(
        weighted_correlation(np.full((1, 30), 0.3), x, y)[0], by_column(x, y), rtol=1e-9
    )


def test_columns_constant_in_a_resample_are_named(x: Array, y: Array) -> None:
    x[:, 0] = 0.1  # the prediction never varies
    x[:20, 1] = 0.1  # nor here, in the rows that the first resample drew
    y[:20, 2] = 0.1
    y[:, 3] = x[:, 3] = 0.1
    weights = np.ones((3, 30))
    weights[0, 20:] = 0
    weights[2] = 0
    rho = weighted_correlation(weights, x, y, constant_x=0)
    assert (rho[:2, 0] == 0).all()
    assert rho[0, 1] == 0
    assert rho[1, 1] == pytest.approx(by_column(x[:, 1:2], y[:, 1:2])[0])
    assert np.isnan(rho[:, 2]).tolist() == [True, False, True]
    assert np.isnan(rho[:, 3]).all()
    assert np.isnan(rho[2]).all()
    assert np.isnan(weighted_correlation(weights, x, y)[:, 0]).all()


def test_float32_is_right_whatever_the_sizes_of_the_values(rng: np.random.Generator) -> None:
    x, noise = rng.normal(size=(2, 40, 9))
    x[:, 0] = 3e-30 * x[:, 0]  # its squares are below float32's smallest number
    x[:, 1] = 1e30 * x[:, 1]  # and these above its largest
    x[:, 2] = 0.25  # never varies
    x[1:, 3] = 0.25  # varies where the first row is drawn
    x[1:, 4] = 0.25 + 1e-3 * x[1:, 4]  # hardly varies where it is not
    x[0, 3:5] = 1e3
    x[:, 5] += 1e4
    size = np.abs(x).max(axis=0)
    y = x + size * noise
    y[:, 6] = 7.0
    weights = rng.multinomial(40, np.full(40, 1 / 40), size=200)
    assert 0 < (weights[:, 0] == 0).sum() < 200
    single = [values.astype(np.float32) for values in (x, y)]
    rho = weighted_correlation(weights, *single, constant_x=0)
    expected = weighted_correlation(weights, *(v.astype(np.float64) for v in single), constant_x=0)
    assert rho.dtype == np.float32
    assert (rho[weights[:, 0] == 0, 3] == 0).all()
    assert np.isnan(rho[:, 6]).all()
    np.testing.assert_allclose(rho, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("last", [0.0, 1e6])
def test_weighted_correlation_with_one_vector_is_that_with_the_vector_repeated(
    rng: np.random.Generator, dtype: type[np.floating], last: float
) -> None:
    x = rng.normal(size=(40, 9))
    x[:, 0] = 3e-30 * x[:, 0]
    x[:, 1] = 1e30 * x[:, 1]
    x[:, 2] = 0.25  # never varies
    x[1:, 3] = 0.25  # nor where the first row is not drawn
    x[1:, 4] = 0.25 + 1e-3 * x[1:, 4]
    x[0, 3:5] = 1e3
    x[:, 5] += 1e4
    x = x.astype(dtype)
    other = rng.normal(size=40)
    other[-1] += last  # hardly varies where it is not drawn
    weights = np.vstack([rng.multinomial(40, np.full(40, 1 / 40), size=50), np.zeros(40)])
    rho = weighted_correlation_with(weights, x, other)
    repeated = np.broadcast_to(other[:, None], x.shape)
    expected = weighted_correlation(weights, x.astype(np.float64), repeated)
    assert rho.dtype == dtype
    assert np.isnan(rho[:, 2]).all()
    assert np.isnan(rho[-1]).all()
    np.testing.assert_allclose(rho, expected, atol=1e-5 if dtype == np.float32 else 1e-6)
    assert np.isnan(weighted_correlation_with(weights, x, np.full(40, 0.1))).all()


def test_weights_must_fit_the_rows(x: Array, y: Array) -> None:
    with pytest.raises(ValueError, match=r"\(R, N\) weights .* got \(2, 29\), \(30, 7\)"):
        weighted_correlation(np.ones((2, 29)), x, y)


def test_p_and_interval_equal_scipy(x: Array, y: Array) -> None:
    rho = columnwise_correlation(x, y)
    low, high = correlation_interval(rho, 30, level=0.9)
    p = correlation_p(rho, 30)
    for g in range(1, x.shape[1] - 1):  # the first and the last are -1 and 1
        expected = pearsonr(x[:, g], y[:, g], alternative="greater")
        assert p[g] == pytest.approx(expected.pvalue, rel=1e-8)
        bounds = pearsonr(x[:, g], y[:, g]).confidence_interval(0.9)
        assert (low[g], high[g]) == pytest.approx(bounds)


def test_p_and_interval_of_the_ends_and_of_nothing() -> None:
    rho = np.array([1.0, -1.0, 0.0, np.nan])
    np.testing.assert_array_equal(correlation_p(rho, 10), [0, 1, 0.5, np.nan])
    low, high = correlation_interval(rho, 10)
    assert np.isnan([low[3], high[3]]).all()
    assert low[0] > 0.99
    assert -low[2] == pytest.approx(high[2])
    assert np.isnan(correlation_p(rho, 2)).all()
    assert np.isnan(correlation_interval(rho, 3)).all()
