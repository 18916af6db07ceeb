from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from mtm_core.figures.shared.style import MOST_OF_SAMPLES
from mtm_core.figures.shared.thinning import drawn_in_words, n_drawn, spread_evenly


@pytest.mark.parametrize(("n", "most"), [(1000, 125), (126, 125), (125, 125), (7, 10), (1000, 10)])
def test_the_ends_are_drawn_and_even_ranks_between_them(
    n: int, most: int, rng: np.random.Generator
) -> None:
    values = rng.lognormal(size=n)
    chosen = spread_evenly(values, np.zeros(n), most)
    ranks = np.flatnonzero(chosen[np.argsort(values)])
    assert len(ranks) == min(n, most)
    k = most // 8
    assert (ranks[:k] == np.arange(k)).all()
    assert (ranks[-k:] == np.arange(n)[-k:]).all()
    steps = np.diff(ranks[k:-k])
    assert steps.max() - steps.min() <= 1
    between = np.sort(values)[k:-k]
    drawn = np.sort(values)[ranks[k:-k]]
    assert ks_2samp(drawn, between).statistic < 1 / len(drawn) + 1 / len(between)


def test_each_of_several_outliers_is_drawn(rng: np.random.Generator) -> None:
    values = rng.permutation(np.r_[rng.normal(size=990), np.linspace(20, 21, 10)])
    chosen = spread_evenly(values, np.zeros(1000), n_drawn(1000, 48))
    assert chosen[values > 10].all()


def test_each_strip_is_thinned_by_itself(rng: np.random.Generator) -> None:
    values = rng.normal(size=(300, 3)) + np.array([0, 100, 200])
    values[:290, 2] = np.nan
    strips = np.broadcast_to(np.arange(3.0)[::-1], values.shape)
    chosen = spread_evenly(values, strips, 20).reshape(values.shape)
    assert chosen.sum(axis=0).tolist() == [20, 20, 10]
    for column in (0, 1):
        alone = spread_evenly(values[:, column], np.zeros(300), 20)
        np.testing.assert_array_equal(chosen[:, column], alone)
    assert not chosen[np.isnan(values)].any()


def test_nothing_is_chosen_of_nothing() -> None:
    assert spread_evenly([], [], 5).tolist() == []
    assert spread_evenly([np.nan], [0], 5).tolist() == [False]


def test_all_are_drawn_where_all_can_be_seen() -> None:
    assert n_drawn(100, 49) == 100
    assert drawn_in_words(100, 49) == ""
    assert n_drawn(1000, 48) == MOST_OF_SAMPLES // 48
    assert n_drawn(500, 48, share=0.5) == pytest.approx(MOST_OF_SAMPLES / 96, abs=1)
    assert "Of 1,000 samples about 125 are drawn in each tissue" in drawn_in_words(1000, 48)
