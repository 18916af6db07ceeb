"""Sets of correlated genes, held to limma's printed results and to shuffled labels."""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from mtm_core.statistics.enrichment import RestrictedSets
from mtm_core.statistics.linear_models import contrast_tests, fit_linear_models
from mtm_core.statistics.set_tests import correlation_adjusted, normal_scores, variance_inflation

SETS = [range(25), range(40, 60), range(3, 120, 7), (50, 51), range(60, 120)]
LIMMA = {
    "correlation": [0.4077927276, 0.0323627631, -0.0231698479, 0.2912754168, 0.0181352267],
    "p": [0.914067574193, 3.83643741870e-06, 0.283451482876, 0.386807106112, 0.00333667119381],
    "fdr": [0.914067574193, 1.91821870935e-05, 0.472419138127, 0.483508882639, 0.00834167798451],
}
"""camera(y, SETS, X, contrast = 2, inter.gene.cor = NA, sort = FALSE) of limma 3.54.1."""


def fraction(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values - np.floor(values))


def of_limma() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """14 samples x 120 genes and a design, by sines: the same anywhere."""
    g, n = np.arange(120)[None], np.arange(14)[:, None]
    noise = fraction(np.sin(12.9898 * (g + 1) + 78.233 * (n + 1) ** 1.5) * 43758.5453)
    shared = fraction(np.sin(1.3 * (n + 2) ** 1.7) * 43758.5453)
    higher = ((g >= 40) & (g < 60)) * (n >= 7) * 1.2
    y = 3 * noise + (g < 30) * 3 * shared + higher + g / 50
    return y, np.column_stack([np.ones(14), np.arange(14) >= 7, np.cos(np.arange(14))])


def flat(sets: list[NDArray[np.int64]]) -> RestrictedSets:
    starts = np.concatenate([[0], np.cumsum([len(own) for own in sets])])
    return RestrictedSets(np.arange(len(sets)), starts, np.concatenate(sets))


def results_of(
    y: NDArray[np.float64], design: NDArray[np.float64], sets: RestrictedSets, coef: int
) -> tuple[pd.DataFrame, NDArray[np.float64], NDArray[np.float64]]:
    fit = fit_linear_models(y, design)
    test = contrast_tests(fit, np.eye(design.shape[1])[coef])
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    everything = np.ones(y.shape[1], dtype=bool)
    scores = normal_scores(test.statistic, test.df)
    return correlation_adjusted(scores, left, fit.df, everything, sets), scores, left


def test_results_are_those_of_limma() -> None:
    y, design = of_limma()
    found, _, _ = results_of(y, design, flat([np.array(own) for own in SETS]), 1)
    for name, values in LIMMA.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6)
    assert list(np.sign(found["statistic"])) == [-1, 1, 1, 1, -1]


def test_inflation_is_that_of_the_mean_correlation(rng: np.random.Generator) -> None:
    left = rng.normal(size=(40, 30)) + rng.normal(size=(40, 1))
    left -= left.mean(axis=0)
    members = rng.permutation(30)[:12]
    pairs = np.corrcoef(left[:, members].T)[np.triu_indices(12, 1)]
    (inflation,) = variance_inflation(left, 39, flat([members]))
    assert inflation == pytest.approx(1 + 11 * pairs.mean())


def test_shuffled_labels_find_correlated_sets_no_more_than_by_chance(
    rng: np.random.Generator,
) -> None:
    """Genes of a set share a factor, as predicted genes do: as if independent, many are found."""
    factors = rng.normal(size=(60, 6))
    y = np.repeat(factors, 40, axis=1) + rng.normal(size=(60, 240)) * 1.5
    sets = flat([np.arange(40 * i, 40 * i + 20) for i in range(6)])
    adjusted, independent = [], []
    for _ in range(60):
        design = np.column_stack([np.ones(60), rng.permutation(60) < 30])
        found, scores, _ = results_of(y, design, sets, 1)
        adjusted += found["p"].tolist()
        for i in range(6):
            own = np.isin(np.arange(240), sets.members[sets.starts[i] : sets.starts[i + 1]])
            independent.append(stats.ttest_ind(scores[own], scores[~own]).pvalue)
    assert np.mean(np.array(independent) < 0.05) > 0.3
    assert np.mean(np.array(adjusted) < 0.05) < 0.08


def test_deviates_of_probabilities_below_any_float_are_finite() -> None:
    """A gene of the Y chromosome between the sexes of 1,000 people: p is 10 to the minus 500."""
    for t, df in ((100.0, 998), (40.0, 5000), (1e5, 120)):
        (deviate,) = normal_scores(np.array([-t]), df)
        share = mpmath.mpf(df) / (df + mpmath.mpf(t) ** 2)
        p = mpmath.betainc(mpmath.mpf(df) / 2, 0.5, 0, share, regularized=True)
        exact = mpmath.findroot(
            lambda z, p=p: mpmath.log(mpmath.erfc(z / mpmath.sqrt(2))) - mpmath.log(p), -deviate
        )
        assert -deviate == pytest.approx(float(exact), rel=0.005)
    assert normal_scores(np.array([50.0]), np.inf) == 50


def test_deviates_are_as_extreme_as_t() -> None:
    t = np.array([-3.0, 0.0, 12.0])
    np.testing.assert_allclose(stats.norm.sf(normal_scores(t, 7)), stats.t.sf(t, 7))
