"""B-GEx against a loop over genes with scipy's correlation and an evidence maximisation by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from mtm_core.methods.bgex import BGExMethod, most_correlated

Array = np.ndarray


@pytest.fixture
def blood(rng: np.random.Generator) -> Array:
    """60 donors, 15 genes of unlike spread."""
    return (rng.normal(size=(60, 15)) * np.linspace(0.2, 5, 15)).astype(np.float32)


@pytest.fixture
def target(blood: Array, rng: np.random.Generator) -> Array:
    """Six genes; gene g follows blood's genes g and g + 1."""
    standard = blood / blood.std(axis=0)
    signal = standard[:, :6] - standard[:, 1:7]
    return (signal + rng.normal(size=(60, 6))).astype(np.float32)


def bayesian_ridge(x: Array, y: Array) -> tuple[Array, float]:
    """Maximise the evidence (MacKay 1992) by fixed-point steps, with dense inverses."""
    x_centred, y_centred = x - x.mean(axis=0), y - y.mean()
    noise, prior = 1 / y.var(), 1.0
    for _ in range(2000):
        covariance = np.linalg.inv(prior * np.eye(x.shape[1]) + noise * x_centred.T @ x_centred)
        b = noise * covariance @ x_centred.T @ y_centred
        well_determined = x.shape[1] - prior * np.trace(covariance)
        prior = well_determined / (b @ b)
        noise = (len(y) - well_determined) / ((y_centred - x_centred @ b) ** 2).sum()
    return b, float(y.mean() - x.mean(axis=0) @ b)


def test_equals_a_loop_over_genes(blood: Array, target: Array) -> None:
    fitted = BGExMethod(n_genes=4).fit_target(blood, target)
    x, y = blood.astype(np.float64), target.astype(np.float64)
    for gene in range(6):
        rho = [pearsonr(x[:, k], y[:, gene]).statistic for k in range(15)]
        chosen = sorted(range(15), key=lambda k: -abs(rho[k]))[:4]
        assert {gene, gene + 1} <= set(chosen)
        expected, intercept = bayesian_ridge(x[:, chosen], y[:, gene])
        np.testing.assert_allclose(fitted.coefficients[chosen, gene], expected, atol=2e-3)
        assert fitted.intercept[gene] == pytest.approx(intercept, abs=2e-3)
        others = np.setdiff1d(np.arange(15), chosen)
        assert not fitted.coefficients[others, gene].any()


def test_ten_genes_are_read(blood: Array, target: Array) -> None:
    fitted = BGExMethod().fit_target(blood, target)
    assert ((fitted.coefficients != 0).sum(axis=0) == 10).all()


def test_genes_that_do_not_vary_are_predicted_by_their_mean(blood: Array, target: Array) -> None:
    blood[:, 2], target[:, 4] = 0.5, -1.5
    fitted = BGExMethod(n_genes=14).fit_target(blood, target)
    assert np.isfinite(fitted.coefficients).all()
    assert not fitted.coefficients[2].any()
    np.testing.assert_allclose(fitted(blood)[:, 4], -1.5, atol=1e-5)


def test_the_most_correlated_are_the_first_of_a_full_sort(rng: np.random.Generator) -> None:
    standard, y = rng.normal(size=(20, 200)), rng.normal(size=(20, 7))
    standard[:, 150] = -standard[:, 3]  # as much alike
    y[:, 0] = 2 * standard[:, 3]
    expected = np.argsort(-np.abs(standard.T @ y), axis=0, kind="stable")[:10]
    np.testing.assert_array_equal(most_correlated(standard, y, 10), expected)
    np.testing.assert_array_equal(most_correlated(standard[:, :10], y, 10).shape, (10, 7))
    assert most_correlated(standard, y, 10)[:2, 0].tolist() == [3, 150]
