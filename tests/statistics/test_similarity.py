"""Agreement of similarities, against scipy and by enumerating every exchange."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from mtm_core.statistics.similarity import similarity_agreement

Array = np.ndarray


@pytest.fixture
def first(rng: np.random.Generator) -> Array:
    return np.corrcoef(rng.normal(size=(6, 9)))


@pytest.fixture
def second(rng: np.random.Generator, first: Array) -> Array:
    noise = rng.normal(0, 0.3, size=first.shape)
    return np.round(first + noise + noise.T, 1)  # rounded, so that some tie


def off_diagonal(values: Array) -> Array:
    return np.array([values[i, j] for i in range(len(values)) for j in range(i)])


def test_rho_equals_scipy_and_p_all_exchanges(first: Array, second: Array) -> None:
    found = similarity_agreement(first, second, n_permutations=20_000)
    rho = spearmanr(off_diagonal(first), off_diagonal(second)).statistic
    assert found.spearman == pytest.approx(rho)
    assert (found.n_items, found.n_pairs, found.outcome) == (6, 15, "tested")
    exchanged = [
        spearmanr(off_diagonal(first[np.ix_(o, o)]), off_diagonal(second)).statistic
        for o in permutations(range(6))
    ]
    assert found.p == pytest.approx(np.mean(np.array(exchanged) >= rho - 1e-12), abs=0.01)


def test_exchanges_that_change_nothing_count_as_chance() -> None:
    # Two pairs of like items: of the 24 orders of four items, 8 keep who is like whom.
    like = np.eye(4) + np.kron(np.eye(2), 0.5 * np.ones((2, 2)))
    assert similarity_agreement(like, like).p == pytest.approx(8 / 24, abs=0.05)


def test_opposite_similarities_are_no_agreement(first: Array) -> None:
    assert similarity_agreement(first, first).spearman == pytest.approx(1)
    assert similarity_agreement(first, first).p < 0.01
    opposite = similarity_agreement(first, -first)
    assert opposite.spearman == pytest.approx(-1)
    assert opposite.p > 0.99


def test_order_of_items_does_not_matter_nor_one_that_is_missing(
    rng: np.random.Generator, first: Array, second: Array
) -> None:
    order = rng.permutation(6)
    again = similarity_agreement(first[np.ix_(order, order)], second[np.ix_(order, order)])
    assert again.spearman == pytest.approx(similarity_agreement(first, second).spearman)
    rest = similarity_agreement(first[1:, 1:], second[1:, 1:])
    second[0], second[:, 0] = np.nan, np.nan
    assert similarity_agreement(first, second) == rest


def test_incomparable_matrices_are_named_or_refused(first: Array) -> None:
    assert similarity_agreement(first[:3, :3], first[:3, :3]).outcome == "too few samples"
    constant = similarity_agreement(first, np.ones((6, 6)))
    assert constant.outcome == "constant"
    assert np.isnan([constant.spearman, constant.p]).all()
    with pytest.raises(ValueError, match=r"two \(T, T\) arrays, got \(6, 6\) and \(5, 5\)"):
        similarity_agreement(first, first[1:, 1:])
    first[1, 2] = np.nan
    with pytest.raises(ValueError, match="missing of whole items only"):
        similarity_agreement(first, first)
