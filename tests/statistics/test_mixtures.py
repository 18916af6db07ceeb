"""Shares of profiles in samples: against a bounded solver, and planted mixtures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from mtm_core.statistics.mixtures import mixture_shares


def test_shares_are_those_of_a_bounded_least_squares_solver(rng: np.random.Generator) -> None:
    profiles = rng.gamma(0.5, 100, (40, 4))
    mixtures = rng.dirichlet([1, 2, 3, 0.2], 12) @ profiles.T * rng.lognormal(0, 0.5, (12, 40))
    found = mixture_shares(mixtures, profiles)
    weight = 1 / np.sqrt(profiles.max(axis=1))
    for sample, shares, fit in zip(mixtures, found.shares, found.fit, strict=True):
        expected = lsq_linear(profiles * weight[:, None], sample * weight, (0, np.inf)).x
        np.testing.assert_allclose(shares, expected / expected.sum(), atol=1e-6)
        fitted = profiles @ expected * weight
        assert fit == pytest.approx(np.corrcoef(fitted, sample * weight)[0, 1])


def test_exact_mixtures_are_found_whatever_their_size(rng: np.random.Generator) -> None:
    profiles, shares = rng.gamma(0.5, 100, (30, 5)), rng.dirichlet(np.ones(5), 8)
    libraries = rng.lognormal(0, 2, (8, 1))
    found = mixture_shares(shares @ profiles.T * libraries, profiles)
    np.testing.assert_allclose(found.shares, shares, atol=1e-8)
    np.testing.assert_allclose(found.fit, 1, atol=1e-8)


def test_a_sample_of_nothing_has_no_shares() -> None:
    found = mixture_shares([[0.0, 0.0], [0.0, 3.0]], [[1.0, 0.0], [0.0, 1.0]])
    assert np.isnan(found.shares[0]).all()
    np.testing.assert_array_equal(found.shares[1], [0, 1])


@pytest.mark.parametrize("bad", [[[-1.0, 2.0]], [[np.nan, 1.0]], [[1.0, 2.0, 3.0]]])
def test_invalid_expression_is_refused(bad: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="expected"):
        mixture_shares(bad, [[1.0], [2.0]])
