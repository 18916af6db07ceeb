"""A trait against all genes at once, against scipy and statsmodels a gene at a time."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import false_discovery_control, pearsonr

from mtm_core.statistics.association import trait_association

Array = np.ndarray
N, N_GENES = 30, 7
GENES = [f"G{g}" for g in range(N_GENES)]


@pytest.fixture
def covariates(rng: np.random.Generator) -> Array:
    return np.column_stack([rng.normal(size=N), rng.random(N) < 0.5]).astype(float)


@pytest.fixture
def age(rng: np.random.Generator, covariates: Array) -> Array:
    return 50 + 10 * rng.normal(size=N) + 8 * covariates[:, 0]


@pytest.fixture
def expression(rng: np.random.Generator, age: Array, covariates: Array) -> Array:
    effect = np.linspace(-0.1, 0.1, N_GENES)
    values = 8 + np.outer(age, effect) + np.outer(covariates[:, 1], rng.normal(size=N_GENES))
    return values + rng.normal(size=(N, N_GENES))


def test_equal_to_scipy_without_covariates(expression: Array, age: Array) -> None:
    table = trait_association(expression, age, GENES)
    for g, gene in enumerate(GENES):
        expected = pearsonr(expression[:, g], age)
        assert table.loc[gene, "rho"] == pytest.approx(expected.statistic, rel=1e-10)
        assert table.loc[gene, "p"] == pytest.approx(expected.pvalue, rel=1e-8)
        slope = np.polyfit(age, expression[:, g], 1)[0]
        assert table.loc[gene, "slope"] == pytest.approx(slope, rel=1e-8)
    np.testing.assert_allclose(table["fdr"], false_discovery_control(table["p"]), rtol=1e-12)
    assert (table["n"] == N).all()
    assert (table["outcome"] == "tested").all()


def test_partial_equals_the_regression_of_statsmodels(
    expression: Array, age: Array, covariates: Array
) -> None:
    # A third column that follows from the others costs no degree of freedom.
    table = trait_association(
        expression, age, GENES, covariates=np.column_stack([covariates, covariates.sum(axis=1)])
    )
    design = sm.add_constant(np.column_stack([age, covariates]))
    for g, gene in enumerate(GENES):
        fit = sm.OLS(expression[:, g], design).fit()
        t = fit.tvalues[1]
        assert table.loc[gene, "slope"] == pytest.approx(fit.params[1], rel=1e-8)
        assert table.loc[gene, "p"] == pytest.approx(fit.pvalues[1], rel=1e-8)
        assert table.loc[gene, "rho"] == pytest.approx(t / np.sqrt(t**2 + fit.df_resid), rel=1e-8)


def test_an_association_through_a_covariate_alone_disappears(rng: np.random.Generator) -> None:
    n = 400
    cause = rng.normal(size=n)
    trait = cause + 0.3 * rng.normal(size=n)
    genes = cause[:, None] + 0.3 * rng.normal(size=(n, N_GENES))
    assert (trait_association(genes, trait, GENES)["rho"] > 0.8).all()
    left = trait_association(genes, trait, GENES, covariates=cause[:, None])
    assert (left["rho"].abs() < 0.2).all()


def test_samples_without_the_trait_or_a_covariate_are_left_out(
    expression: Array, age: Array, covariates: Array
) -> None:
    age[3], covariates[7, 1] = np.nan, np.nan
    remaining = np.delete(np.arange(N), [3, 7])
    table = trait_association(expression, age, GENES, covariates=covariates)
    expected = trait_association(
        expression[remaining], age[remaining], GENES, covariates=covariates[remaining]
    )
    assert (table["n"] == N - 2).all()
    np.testing.assert_allclose(table["p"], expected["p"], rtol=1e-10)


def test_genes_that_cannot_be_tested_are_named(
    expression: Array, age: Array, covariates: Array
) -> None:
    expression[:, 2] = 0.1
    expression[:, 4] = 1 + covariates @ np.array([0.3, 0.1])
    table = trait_association(expression, age, GENES, covariates=covariates)
    assert table.loc["G2", "outcome"] == "constant"
    assert table.loc["G4", "outcome"] == "follows from covariates"
    untested = table.loc[["G2", "G4"], ["rho", "slope", "p", "fdr"]]
    assert untested.isna().all(axis=None)
    rest = table.drop(["G2", "G4"])
    assert (rest["outcome"] == "tested").all()
    np.testing.assert_allclose(rest["fdr"], false_discovery_control(rest["p"]), rtol=1e-12)


def test_a_trait_that_cannot_be_tested_is_named(
    expression: Array, age: Array, covariates: Array
) -> None:
    constant = trait_association(expression, np.full(N, 60.0), GENES)
    assert (constant["outcome"] == "constant trait").all()
    follows = trait_association(expression, 2 - covariates[:, 1], GENES, covariates=covariates)
    assert (follows["outcome"] == "trait follows from covariates").all()
    few = trait_association(expression[:6], age[:6], GENES, covariates=covariates[:6])
    assert (few["outcome"] == "too few samples").all()
    assert (few["n"] == 6).all()
    none = trait_association(expression, np.full(N, np.nan), GENES)
    assert (none["outcome"] == "too few samples").all()
    for table in (constant, follows, few, none):
        assert table[["rho", "slope", "p", "fdr"]].isna().all(axis=None)


def test_rows_must_agree(expression: Array, age: Array) -> None:
    with pytest.raises(ValueError, match=r"expression \(29, 7\) .* got \(30, 7\)"):
        trait_association(expression, age[1:], GENES)
    expression[0, 0] = np.inf
    with pytest.raises(ValueError, match="finite expression"):
        trait_association(expression, age, GENES)
