"""Agreement of two similarity matrices, by Mantel's test (1967, Cancer Research 27:209).

Shapes: T items (tissues).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from mtm_core.statistics.outcome import CONSTANT, TESTED, TOO_FEW

MINIMUM_ITEMS = 4
N_PERMUTATIONS = 999


@dataclass(frozen=True)
class SimilarityAgreement:
    """Agreement of two similarity matrices (T, T).

    Attributes
    ----------
    n_items, n_pairs
        T, and T (T - 1) / 2.
    spearman
        Spearman's rho of the off-diagonal entries.
    p
        One-sided p of Mantel's test, by permuting the items of one matrix. The usual p of a
        correlation would be far too small, as pairs share items.
    outcome
        ``"tested"``, ``"too few samples"`` (fewer than ``MINIMUM_ITEMS`` items) or ``"constant"``.
        Unless tested, the numbers are NaN.
    """

    n_items: int
    n_pairs: int
    spearman: float
    p: float
    outcome: str


def similarity_agreement(
    first: ArrayLike, second: ArrayLike, *, n_permutations: int = N_PERMUTATIONS, seed: int = 0
) -> SimilarityAgreement:
    """Correlate the ranks of the off-diagonal entries of two symmetric matrices.

    Parameters
    ----------
    first, second
        Similarities (T, T). An item whose entries are all NaN, but for the diagonal, is left out.
    n_permutations
        Number of permutations of Mantel's test.
    seed
        Seed of the permutations.

    Raises
    ------
    ValueError
        If the shapes are not one square, or single values are missing.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 2 or a.shape != b.shape or a.shape[0] != a.shape[1]:
        raise ValueError(f"expected two (T, T) arrays, got {a.shape} and {b.shape}")
    diagonal = np.eye(len(a), dtype=bool)
    known = ~(np.isnan(a) | diagonal).all(axis=1) & ~(np.isnan(b) | diagonal).all(axis=1)
    a, b = a[np.ix_(known, known)], b[np.ix_(known, known)]
    n = len(a)
    upper = np.triu_indices(n, k=1)
    n_pairs, nan = len(upper[0]), float("nan")
    if n < MINIMUM_ITEMS:
        return SimilarityAgreement(n, n_pairs, nan, nan, TOO_FEW)
    if np.isnan(a[upper]).any() or np.isnan(b[upper]).any():
        raise ValueError("expected similarities that are missing of whole items only")
    if np.ptp(a[upper]) == 0 or np.ptp(b[upper]) == 0:
        return SimilarityAgreement(n, n_pairs, nan, nan, CONSTANT)
    ranks_b = rankdata(b[upper])
    ranks_b = (ranks_b - ranks_b.mean()) / ranks_b.std() / n_pairs
    ranks_a = np.zeros((n, n))
    ranks_a[upper] = rankdata(a[upper])
    ranks_a += ranks_a.T
    ranks_a = (ranks_a - ranks_a[upper].mean()) / ranks_a[upper].std()
    rho = float(ranks_a[upper] @ ranks_b)
    rng = np.random.default_rng(seed)
    exceeding = 0
    for _ in range(n_permutations):
        order = rng.permutation(n)
        exceeding += bool(ranks_a[np.ix_(order, order)][upper] @ ranks_b >= rho - 1e-12)
    return SimilarityAgreement(n, n_pairs, rho, (1 + exceeding) / (1 + n_permutations), TESTED)
