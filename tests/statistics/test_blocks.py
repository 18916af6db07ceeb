"""Genes taken a few at a time give what they give all at once, in little memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mtm_core.statistics import blocks
from mtm_core.statistics.association import trait_association
from mtm_core.statistics.correlation import columnwise_correlation, weighted_correlation
from mtm_core.statistics.differential import differential_expression

N_GENES = 23


def gene_names(n: int) -> list[str]:
    return [f"G{i}" for i in range(n)]


def correlation(x: np.ndarray) -> np.ndarray:
    return columnwise_correlation(x, np.roll(x, 1, axis=0))


def weighted(x: np.ndarray) -> np.ndarray:
    weights = np.random.default_rng(1).multinomial(len(x), np.full(len(x), 1 / len(x)), 4)
    return weighted_correlation(weights, x, np.roll(x, 1, axis=0), constant_x=0)


def differential(x: np.ndarray) -> pd.DataFrame:
    return differential_expression(x[: len(x) // 3], x[len(x) // 3 :], gene_names(x.shape[1]))


def association(x: np.ndarray) -> pd.DataFrame:
    trait = np.random.default_rng(2).normal(size=len(x))
    trait[3] = np.nan
    names = gene_names(x.shape[1])
    return trait_association(x, trait, names, covariates=x[:, 4:5].astype(float))


STATISTICS: list[Callable[[np.ndarray], np.ndarray | pd.DataFrame]] = [
    correlation,
    weighted,
    differential,
    association,
]


@pytest.mark.parametrize("n_genes", [0, 1, 3, 7])
def test_slices_cover_every_gene_once(n_genes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "GENES_AT_ONCE", 3)
    covered = [i for block in blocks.gene_blocks(n_genes) for i in range(n_genes)[block]]
    assert covered == list(range(n_genes))
    assert all(block.stop - block.start <= 3 for block in blocks.gene_blocks(n_genes))


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_few_genes_at_a_time_are_all_at_once(
    statistic: Callable[[np.ndarray], np.ndarray | pd.DataFrame],
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = rng.gamma(2, 5, size=(40, N_GENES)).astype(np.float32)
    x[:, [2, 21]] = 1.5  # constant, in the first block and in the last
    x[:, 9] = x[:, 4] * 2 + 1  # follows from the covariate
    whole = statistic(x)
    monkeypatch.setattr(blocks, "GENES_AT_ONCE", 5)
    parts = statistic(x)
    if isinstance(whole, pd.DataFrame):
        pd.testing.assert_frame_equal(parts, whole, rtol=1e-12)
        assert len(set(whole["outcome"])) > 1
    else:
        rounding = np.finfo(whole.dtype).eps
        np.testing.assert_allclose(parts, whole, rtol=10 * rounding, atol=10 * rounding)
        # Exact ties of a constant gene: nothing to correlate.
        assert np.isnan(whole[..., [2, 21]]).all()


@pytest.mark.parametrize("statistic", [correlation, differential, association])
def test_memory_is_that_of_a_few_genes(
    statistic: Callable[[np.ndarray], object], rng: np.random.Generator
) -> None:
    x = rng.standard_gamma(2, size=(200, 60 * blocks.GENES_AT_ONCE), dtype=np.float32)
    statistic(x[:, : blocks.GENES_AT_ONCE])  # what is imported on the way is not counted
    given = x.nbytes if statistic is correlation else 0  # the other side
    tracemalloc.start()
    statistic(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - given < 0.8 * x.nbytes, f"{peak / x.nbytes:.2f} of the input"
