"""Reduced-rank ridge against its definition: the nearest of that rank in ridge's metric."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from mtm_core.methods.reduced_rank import ReducedRankRidgeMethod
from mtm_core.methods.ridge import PENALTIES

Array = np.ndarray


def solve(x: Array, y: Array, penalty: float, rank: int) -> tuple[Array, Array]:
    """Return coefficients and intercept: truncate M b, M M = X'X + penalty I, then undo M."""
    x_centred, y_centred = x - x.mean(axis=0), y - y.mean(axis=0)
    metric = x_centred.T @ x_centred + penalty * np.eye(x.shape[1])
    b = np.linalg.solve(metric, x_centred.T @ y_centred)
    root = np.real(sqrtm(metric))
    u, s, vt = np.linalg.svd(root @ b)
    truncated = np.linalg.solve(root, (u[:, :rank] * s[:rank]) @ vt[:rank])
    return truncated, y.mean(axis=0) - x.mean(axis=0) @ truncated


@pytest.fixture
def low_rank(rng: np.random.Generator) -> tuple[Array, Array]:
    """33 donors, 6 inputs, 5 genes; two directions of the inputs carry all signal."""
    x = rng.normal(size=(33, 6)) + 1
    signal = x @ rng.normal(size=(6, 2)) @ rng.normal(size=(2, 5))
    return x.astype(np.float32), (signal + 2 * rng.normal(size=(33, 5)) - 2).astype(np.float32)


def test_rank_and_penalty_are_those_of_an_explicit_search(low_rank: tuple[Array, Array]) -> None:
    method = ReducedRankRidgeMethod(n_folds=4, seed=3)
    fitted = method.fit_target(*low_rank)
    x, y = (part.astype(np.float64) for part in low_rank)
    errors = {}
    order = np.random.default_rng(3).permutation(33)
    for penalty in PENALTIES:
        for rank in range(1, 6):
            total = 0.0
            for held in np.array_split(order, 4):
                rest = np.setdiff1d(order, held)
                b, a = solve(x[rest], y[rest], penalty, rank)
                total += ((y[held] - x[held] @ b - a) ** 2).sum()
            errors[penalty, rank] = total
    penalty, rank = min(errors, key=lambda key: errors[key])
    assert rank == 2
    assert PENALTIES[0] < penalty < PENALTIES[-1]
    b, a = solve(x, y, penalty, rank)
    np.testing.assert_allclose(fitted.coefficients, b, atol=1e-5)
    np.testing.assert_allclose(fitted.intercept, a, atol=1e-5)
    assert np.linalg.matrix_rank(fitted.coefficients, tol=1e-4) == 2


@pytest.mark.parametrize("n_donors", [2, 3, 7])
def test_few_donors_are_enough_to_fit(n_donors: int, low_rank: tuple[Array, Array]) -> None:
    x, y = (part[:n_donors] for part in low_rank)
    fitted = ReducedRankRidgeMethod().fit_target(x, y)
    assert np.isfinite(fitted(x)).all()
    np.testing.assert_allclose(fitted(x).mean(axis=0), y.mean(axis=0), atol=1e-4)
