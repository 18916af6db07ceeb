from __future__ import annotations

import numpy as np
import pytest

from mtm_core.statistics.resampling import bootstrap_p, percentile_interval, resampled_counts

GROUP = np.array([0, 1, 0, 2, 1, 0, 0])


def test_each_group_keeps_its_size_in_every_resample() -> None:
    counts = resampled_counts(GROUP, 200, seed=0)
    assert counts.shape == (200, 7)
    for group, size in ((0, 4), (1, 2), (2, 1)):
        assert (counts[:, group == GROUP].sum(axis=1) == size).all()
    assert (counts == counts.astype(int)).all()


def test_members_are_drawn_with_replacement_and_alike() -> None:
    counts = resampled_counts(np.zeros(10), 20_000, seed=0)
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.03)
    assert (counts == 0).mean() == pytest.approx(0.9**10, abs=0.005)


def test_resamples_are_those_of_the_seed() -> None:
    first = resampled_counts(GROUP, 50, seed=1)
    np.testing.assert_array_equal(resampled_counts(GROUP, 50, seed=1), first)
    assert (resampled_counts(GROUP, 50, seed=2) != first).any()


def test_interval_is_the_middle_of_the_resamples(rng: np.random.Generator) -> None:
    values = rng.permutation(np.arange(1001.0))
    assert percentile_interval(values) == pytest.approx((25, 975))
    assert percentile_interval(values, level=0.5) == pytest.approx((250, 750))


def test_p_is_twice_the_rarer_side() -> None:
    assert bootstrap_p([-1.0] * 9 + [1.0] * 190) == pytest.approx(2 * 10 / 200)
    assert bootstrap_p([1.0] * 9 + [-1.0] * 190) == pytest.approx(2 * 10 / 200)
    assert bootstrap_p([1.0] * 199) == pytest.approx(2 / 200)
    assert bootstrap_p([-1.0, 1.0] * 50) == 1
    assert bootstrap_p([0.0] * 50) == 1


def test_a_resample_without_a_value_does_not_count() -> None:
    values = [-1.0, 1.0, 2.0, 3.0]
    assert bootstrap_p([*values, np.nan, np.nan]) == bootstrap_p(values)
    assert percentile_interval([*values, np.nan]) == percentile_interval(values)
    assert np.isnan(bootstrap_p([np.nan]))
    assert np.isnan(percentile_interval([np.nan])).all()
