"""Agreement of sets, signs and sizes, against counting by hand and scipy."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from mtm_core.statistics.overlap import concordance, set_overlap, sign_consistency

BACKGROUND = [f"G{g}" for g in range(20)]


def test_overlap_equals_counting() -> None:
    found = set_overlap(BACKGROUND[:6], [*BACKGROUND[3:12], "foreign"], BACKGROUND)
    assert (found.n_background, found.n_first, found.n_second, found.n_shared) == (20, 6, 9, 3)
    # Draws of 6 out of 20 of which k are among the 9.
    draws = [comb(9, k) * comb(11, 6 - k) for k in range(7)]
    assert found.p == pytest.approx(sum(draws[3:]) / sum(draws))
    assert found.expected == pytest.approx(sum(k * d for k, d in enumerate(draws)) / sum(draws))
    assert found.jaccard == pytest.approx(3 / 12)
    precision, recall = 3 / 6, 3 / 9
    assert found.f1 == pytest.approx(2 * precision * recall / (precision + recall))
    assert found.outcome == "tested"


def test_the_same_set_is_as_good_as_can_be_and_an_empty_one_is_named() -> None:
    same = set_overlap(BACKGROUND[:5], BACKGROUND[:5], BACKGROUND)
    assert (same.jaccard, same.f1) == (1, 1)
    assert same.p == pytest.approx(1 / comb(20, 5))
    for first, second in (([], BACKGROUND[:3]), (BACKGROUND[:3], []), (["foreign"], ["G1"])):
        nothing = set_overlap(first, second, BACKGROUND)
        assert nothing.outcome == "empty set"
        assert np.isnan([nothing.p, nothing.jaccard, nothing.f1]).all()


def test_signs_are_counted_where_both_have_one() -> None:
    first = np.array([1.0, -2.0, 3.0, 0.0, np.nan, 0.1, 5.0])
    second = np.array([0.2, -0.1, -1.0, 1.0, 1.0, 3.0, 0.0])
    found = sign_consistency(first, second)
    assert (found.n, found.n_same, found.share) == (4, 3, 0.75)
    assert found.p == pytest.approx(2 * (4 + 1) / 16)  # 3 or 4 of 4, and 1 or 0
    assert found.outcome == "tested"
    nothing = sign_consistency([0.0, np.nan], [1.0, 1.0])
    assert nothing.outcome == "no signs"
    assert np.isnan([nothing.share, nothing.p]).all()


def test_concordance_is_over_the_genes_that_both_know(rng: np.random.Generator) -> None:
    first = pd.Series(rng.normal(size=20), index=BACKGROUND)
    second = 0.5 * first + pd.Series(rng.normal(size=20), index=BACKGROUND)
    second = second.sample(frac=1, random_state=0).drop(["G4", "G9"])
    first["G1"] = np.nan
    shared = [gene for gene in BACKGROUND if gene not in {"G1", "G4", "G9"}]
    a, b = first[shared].to_numpy(), second[shared].to_numpy()
    found = concordance(first, second)
    assert found.n == 17
    assert (found.pearson, found.pearson_p) == pytest.approx(tuple(pearsonr(a, b)))
    interval = pearsonr(a, b).confidence_interval()
    assert (found.pearson_low, found.pearson_high) == pytest.approx(tuple(interval))
    assert (found.spearman, found.spearman_p) == pytest.approx(tuple(spearmanr(a, b)))


def test_vectors_that_cannot_be_correlated_are_named() -> None:
    some = pd.Series([1.0, 2.0, 4.0, 3.0, 5.0], index=BACKGROUND[:5])
    few = concordance(some, some[:3])
    assert (few.n, few.outcome) == (3, "too few samples")
    flat = concordance(some, pd.Series(0.0, index=BACKGROUND[:5]))
    assert (flat.n, flat.outcome) == (5, "constant")
    assert np.isnan([few.pearson, few.spearman, flat.pearson, flat.pearson_p]).all()
