"""Moderated linear models against limma's printed results, statsmodels and a known truth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from mtm_core.statistics.block_correlation import (
    block_covariance,
    block_indicators,
    consensus_correlation,
    within_block_correlation,
)
from mtm_core.statistics.linear_models import contrast_tests, fit_linear_models
from mtm_core.statistics.moderation import fit_prior, inverse_trigamma, moderated_variance

LIMMA = Path(__file__).with_name("limma_results")


def printed(name, skip=0):
    return pd.read_csv(LIMMA / f"{name}.tsv", sep="\t", index_col=0, skiprows=skip)


def test_moderated_t_is_that_which_limma_prints():
    expression, expected = printed("expression"), printed("top_table")
    design = np.column_stack([np.ones(8), np.repeat([0, 1], 4)])
    test = contrast_tests(fit_linear_models(expression.T.to_numpy(), design), [0, 1])
    table = test.table(expression.index)
    np.testing.assert_allclose(test.effect[0], expected["logFC"], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(table["statistic"], expected["t"], rtol=1e-7)
    np.testing.assert_allclose(table["p"], expected["P.Value"], rtol=1e-7)
    np.testing.assert_allclose(table["fdr"], expected["adj.P.Val"], rtol=1e-7)


def test_genes_of_one_variance_are_pooled_as_limma_does():
    expression, expected = printed("one_variance"), printed("one_variance_top_table")
    fit = fit_linear_models(expression.T.to_numpy(), [[1, 0], [1, 0], [1, 1]])
    table = contrast_tests(fit, [0, 1]).table(expression.index)
    assert np.isinf(fit.prior.df)
    np.testing.assert_allclose(table["statistic"], expected["t"], rtol=1e-7)
    np.testing.assert_allclose(table["p"], expected["P.Value"], rtol=1e-7)


def test_correlation_within_blocks_is_that_which_limma_prints():
    expression, expected = printed("blocks"), printed("blocks_correlation", skip=1)
    design = np.column_stack([np.ones(12), np.tile([0, 1], 6)])
    found = within_block_correlation(expression.T.to_numpy(), design, np.repeat(range(4), 3))
    np.testing.assert_allclose(np.arctanh(found), expected["atanh.correlation"], atol=1e-5)
    assert np.isnan(found[-1])  # a gene that is 0 everywhere
    assert consensus_correlation(found) == pytest.approx(0.812547212672192, abs=1e-6)


def test_correlation_within_unequal_blocks_is_that_of_a_mixed_model():
    rng = np.random.default_rng(2)
    blocks = rng.integers(0, 9, 40)
    design = np.column_stack([np.ones(40), rng.normal(size=40)])
    values = rng.normal(size=(40, 4)) + 1.2 * rng.normal(size=(9, 4))[blocks]
    found = within_block_correlation(values, design, blocks)
    for gene, correlation in enumerate(found):
        mixed = sm.MixedLM(values[:, gene], design, groups=blocks).fit(reml=True)
        between = float(np.asarray(mixed.cov_re).squeeze())
        assert correlation == pytest.approx(between / (between + mixed.scale), abs=2e-4)


@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_without_moderation_it_is_least_squares(correlation):
    rng = np.random.default_rng(0)
    blocks = np.repeat(range(6), 3)
    design = np.column_stack([np.ones(18), rng.normal(size=(18, 2)), rng.integers(0, 2, 18)])
    values = rng.normal(size=(18, 5)).astype(np.float32)
    fit = fit_linear_models(values, design, blocks=blocks, correlation=correlation)
    plain = fit_prior(np.ones(1), 1)  # of one gene: tells nothing
    fit = type(fit)(**{**fit.__dict__, "prior": type(plain)(0.0, np.ones(5))})
    several = [[0, 1, 0, 0], [0, 0, 1, -1]]
    one, both = contrast_tests(fit, [0, 1, 0, -2]), contrast_tests(fit, several)
    covariance = block_covariance(block_indicators(blocks), correlation)
    for gene in range(5):
        peer = sm.GLS(values[:, gene].astype(float), design, sigma=covariance).fit()
        t, f = peer.t_test([0, 1, 0, -2]), peer.f_test(several)
        assert one.effect[0, gene] == pytest.approx(t.effect.item(), rel=1e-5)
        assert one.standard_error[gene] == pytest.approx(t.sd.item(), rel=1e-5)
        assert one.p[gene] == pytest.approx(t.pvalue.item(), rel=1e-4)
        assert both.statistic[gene] == pytest.approx(float(f.fvalue), rel=1e-4)
        assert both.p[gene] == pytest.approx(float(f.pvalue), rel=1e-4)


def test_the_prior_that_variances_were_drawn_from_is_found():
    rng = np.random.default_rng(1)
    true = 0.3 * 5 / rng.chisquare(5, 20_000)
    prior = fit_prior(true * rng.chisquare(8, 20_000) / 8, 8)
    assert prior.df == pytest.approx(5, rel=0.05)
    np.testing.assert_allclose(prior.variance, 0.3, rtol=0.03)


def test_a_prior_that_follows_expression_finds_the_curve():
    rng = np.random.default_rng(1)
    level = rng.uniform(0, 10, 20_000)
    centre = np.exp(-level / 3) + 0.05
    s2 = centre * 6 / rng.chisquare(6, 20_000) * rng.chisquare(10, 20_000) / 10
    prior = fit_prior(s2, 10, level)
    assert prior.df == pytest.approx(6, rel=0.1)
    inside = (level > 0.5) & (level < 9.5)
    np.testing.assert_allclose(prior.variance[inside], centre[inside], rtol=0.2)
    assert fit_prior(s2, 10).df < 3  # one level for all: spread wrongly


def test_a_known_prior_gives_uniform_p():
    rng = np.random.default_rng(3)
    sd = np.sqrt(4 / rng.chisquare(4, 5_000))
    values = sd * rng.normal(size=(6, 5_000))
    design = np.column_stack([np.ones(6), np.repeat([0, 1], 3)])
    p = contrast_tests(fit_linear_models(values, design), [0, 1]).p
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_inverse_trigamma_undoes_trigamma():
    x = np.array([1e-3, 0.1, 1.0, 7.5, 1e4])
    from scipy.special import polygamma

    np.testing.assert_allclose(inverse_trigamma(polygamma(1, x)), x, rtol=1e-10)


def test_genes_that_do_not_vary_are_named_and_count_for_nothing():
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(8), np.repeat([0, 1], 4)])
    values = rng.normal(size=(8, 30)).astype(np.float32)
    values[:, 0], values[:, 1] = 3.3, 0.1 + 1.7 * design[:, 1]
    fit = fit_linear_models(values, design)
    test = contrast_tests(fit, [0, 1]).table(range(30))
    assert test["outcome"].tolist()[:3] == ["constant", "follows from covariates", "tested"]
    assert test["p"].isna().sum() == 2
    alone = contrast_tests(fit_linear_models(values[:, 2:], design), [0, 1])
    np.testing.assert_allclose(test["p"][2:], alone.p)


def test_errors_of_values_add_to_the_variance_as_a_slow_loop_says():
    rng = np.random.default_rng(5)
    design = np.column_stack([np.ones(10), np.tile([0, 1], 5), rng.normal(size=10)])
    blocks = np.repeat(range(5), 2)
    values, error = rng.normal(size=(10, 4)), rng.uniform(0.1, 2, size=(10, 4))
    fit = fit_linear_models(values, design)
    rows = np.array([[0, 1, 0], [0, 0, 1]])
    own = moderated_variance(fit.variance, fit.df, fit.prior)
    solve = np.linalg.inv(design.T @ design) @ design.T
    for by_block in (None, blocks):
        one = contrast_tests(fit, rows[1], error=error, blocks=by_block)
        both = contrast_tests(fit, rows, error=error, blocks=by_block)
        for gene in range(4):
            alike = np.eye(10) if by_block is None else np.equal.outer(blocks, blocks)
            ways = []
            for alike_now in (np.eye(10), alike):
                cov = own[gene] * np.eye(10) + alike_now * np.outer(error[:, gene], error[:, gene])
                ways.append(rows @ solve @ cov @ solve.T @ rows.T)
            effect = rows @ solve @ values[:, gene]
            assert one.standard_error[gene] == pytest.approx(max(w[1, 1] for w in ways) ** 0.5)
            f = min(effect @ np.linalg.solve(way, effect) / 2 for way in ways)
            assert both.statistic[gene] == pytest.approx(f)
    exact = contrast_tests(fit, rows[1], error=np.zeros((10, 4)))
    np.testing.assert_allclose(exact.p, contrast_tests(fit, rows[1]).p)


def test_designs_that_cannot_be_fitted_are_refused():
    values = np.zeros((4, 2))
    with pytest.raises(ValueError, match="full rank"):
        fit_linear_models(values, np.ones((4, 2)))
    with pytest.raises(ValueError, match="finite"):
        fit_linear_models(np.full((4, 2), np.nan), np.ones((4, 1)))
    with pytest.raises(ValueError, match="blocks of two"):
        within_block_correlation(values, np.ones((4, 1)), range(4))


def test_without_degrees_of_freedom_variances_are_unknown():
    values = np.random.default_rng(0).normal(size=(3, 20))
    fit = fit_linear_models(values, np.eye(3))
    assert fit.df == fit.prior.df == 0
    assert np.isnan(moderated_variance(fit.variance, fit.df, fit.prior)).all()
