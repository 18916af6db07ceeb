"""Gene set enrichment: over-representation among selected genes, and pre-ranked GSEA.

Shapes: G genes, S sets, P permutations. Sets are stored flat, as in a compressed sparse matrix: the
genes of set i are ``members[starts[i]:starts[i + 1]]``, positions in 0..G-1. Checked against
``scipy.stats.fisher_exact`` and ``gseapy.prerank``.

Both tests take genes as independent. The genes of a set are co-expressed, and their predictions
more so, so p is too small; an analysis of shuffled labels shows by how much.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom

from mtm_core.statistics.multiple_testing import benjamini_hochberg

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MINIMUM_SIZE, MAXIMUM_SIZE = 10, 500
"""Fewest and most genes of a tested set within the background."""
N_PERMUTATIONS = 1000
_EXACT_SIZES = 50
_SIZE_STEP = 1.05
"""Ratio of the set sizes above ``_EXACT_SIZES`` for which the null is drawn; sizes in between use
the nearest, scaled to their own mean."""
_BLOCK = 50_000
"""Number of positions whose running sums are made at a time: they fit a processor's cache."""
_HELD_CELLS = 2_000_000
"""Places of genes in random orders up to which they are held for the next ranking: 8 MB."""
_CELLS = 2_000_000
"""Number of positions of random sets in memory at a time."""


@dataclass(frozen=True)
class RestrictedSets:
    """Gene sets restricted to a background, without those that are too small or too large.

    Attributes
    ----------
    sets
        Positions (S',) of the remaining sets among all sets.
    starts, members
        Their genes within the background, stored flat.
    """

    sets: Integers
    starts: Integers
    members: Integers

    @property
    def sizes(self) -> Integers:
        """Number of genes of each set within the background."""
        return np.diff(self.starts)

    @classmethod
    def restrict(
        cls,
        starts: Integers,
        members: Integers,
        background: Flags,
        *,
        minimum: int = MINIMUM_SIZE,
        maximum: int = MAXIMUM_SIZE,
    ) -> RestrictedSets:
        """Restrict sets to a background.

        Parameters
        ----------
        starts, members
            All sets, stored flat.
        background
            Which genes (G,) are in the background.
        minimum, maximum
            Fewest and most genes of a set within the background.
        """
        known = background[members]
        owner = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        sizes = np.bincount(owner[known], minlength=len(starts) - 1)
        chosen = (sizes >= minimum) & (sizes <= maximum)
        remaining = known & chosen[owner]
        ends = np.cumsum(sizes[chosen])
        return cls(np.flatnonzero(chosen), np.concatenate([[0], ends]), members[remaining])


def over_representation(selected: Flags, background: Flags, sets: RestrictedSets) -> pd.DataFrame:
    """Test the over-representation of each set among selected genes, by the hypergeometric test.

    Parameters
    ----------
    selected
        Which genes (G,) are selected; those outside the background do not count.
    background
        Which genes (G,) could have been selected.
    sets
        Sets restricted to the same background.

    Returns
    -------
    pandas.DataFrame
        One row for each tested set, in the order of ``sets``: ``size`` within the background,
        ``overlap`` with the selected genes, ``expected`` overlap by chance, ``odds_ratio`` (of the
        2 x 2 table, infinite if a cell is empty), one-sided ``p``, and ``fdr`` over the sets
        (Benjamini and Hochberg).

    Examples
    --------
    Two sets of ten genes, and eight selected genes, all in the first set.

    >>> background = np.ones(100, dtype=bool)
    >>> sets = RestrictedSets.restrict(np.array([0, 10, 20]), np.arange(20), background)
    >>> over_representation(np.arange(100) < 8, background, sets)[["overlap", "expected"]]
       overlap  expected
    0        8       0.8
    1        0       0.8
    """
    chosen = selected & background
    n, k = int(background.sum()), int(chosen.sum())
    owner = np.repeat(np.arange(len(sets.sets)), sets.sizes)
    overlap = np.bincount(owner[chosen[sets.members]], minlength=len(sets.sets))
    size = sets.sizes
    p = hypergeom.sf(overlap - 1, n, size, k) if n else np.ones(len(size))
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = overlap * (n - size - k + overlap) / ((size - overlap) * (k - overlap))
    return pd.DataFrame(
        {
            "size": size,
            "overlap": overlap,
            "expected": size * (k / n) if n else 0.0,
            "odds_ratio": odds,
            "p": p,
            "fdr": benjamini_hochberg(p),
        }
    )


def preranked(
    scores: Floats,
    background: Flags,
    sets: RestrictedSets,
    *,
    weight: float = 1.0,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """Test whether each set is enriched at an end of a ranking, by pre-ranked GSEA.

    Subramanian et al. 2005, PNAS 102:15545-15550, with permuted genes. Sets of the same size share
    a null distribution; above 50 genes, sizes within 5 % share one, scaled to the mean of each.

    Parameters
    ----------
    scores
        Scores (G,) to rank genes by, finite in the background. Ties are in the order of the genes;
        where all are tied, p and fdr are 1.
    background
        Which genes (G,) are ranked.
    sets
        Sets restricted to the same background.
    weight
        Exponent of |score| in the running sum.
    n_permutations
        Number of random sets of each size; p is at least about ``2 / n_permutations``.
    seed
        Seed of the permutations.

    Returns
    -------
    pandas.DataFrame
        One row for each tested set: ``size``; ``es``, enrichment score; ``nes``, the score divided
        by the mean of null scores of its sign; ``p`` among null scores of its sign, never 0;
        ``fdr``, q-value over the normalised scores of all sets; ``n_leading``, number of genes in
        the leading edge, which ends at the peak of the running sum.
    """
    order = np.flatnonzero(background)
    order = order[np.argsort(-scores[order], kind="stable")]
    rank = np.full(len(scores), -1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    weights = np.abs(scores[order]) ** weight
    sizes = sets.sizes
    es, n_leading = np.empty(len(sizes)), np.zeros(len(sizes), dtype=np.int64)
    for size in np.unique(sizes):
        of_size = np.flatnonzero(sizes == size)
        at = sets.starts[of_size, None] + np.arange(size)
        positions = np.sort(rank[sets.members[at]], axis=1)
        es[of_size], n_leading[of_size] = _scores(positions, weights)
    null = _Null.draw(weights, sizes, n_permutations, seed)
    nes, p = null.normalise(es, sizes)
    fdr = null.q_values(nes, sizes)
    if len(order) and np.ptp(scores[order]) == 0:  # their order is that of the genes: no ranking
        p, fdr = np.ones_like(p), np.ones_like(fdr)
    return pd.DataFrame(
        {
            "size": sizes,
            "es": es,
            "nes": nes,
            "p": p,
            "fdr": fdr,
            "n_leading": n_leading,
        }
    )


def leading_edge(scores: Floats, members: Integers, es: float, n_leading: int) -> Integers:
    """Return the leading edge of a set: its genes up to the peak of the running sum.

    Parameters
    ----------
    scores
        Scores (G,) of all genes.
    members
        Positions of the genes of the set.
    es, n_leading
        Results of :func:`preranked` for the set.
    """
    order = members[np.argsort(-scores[members], kind="stable")]
    return order[:n_leading] if es >= 0 else order[::-1][:n_leading]


def _scores(positions: Integers | NDArray[np.int32], weights: Floats) -> tuple[Floats, Integers]:
    """Return enrichment scores and sizes of leading edges of M sets, given sorted ranks (M, k)."""
    n_sets, size = positions.shape
    n = len(weights)
    hits = np.cumsum(weights[positions], axis=1)
    total = hits[:, -1:]
    even = (np.arange(size) + 1.0) / size  # for a set in which every score is 0
    if (total > 0).all():
        hits /= total
    else:
        hits = np.where(total > 0, hits / np.where(total > 0, total, 1), even)
    misses = (positions - np.arange(size)) / max(n - size, 1)
    after = hits - misses
    before = 0.0 - misses
    before[:, 1:] += hits[:, :-1]
    top, bottom = after.argmax(axis=1), before.argmin(axis=1)
    rows = np.arange(n_sets)
    high, low = after[rows, top], before[rows, bottom]
    is_high = high >= -low
    return np.where(is_high, high, low), np.where(is_high, top + 1, size - bottom)


@lru_cache(maxsize=8)
def _drawn(n: int, largest: int, n_permutations: int, seed: int) -> NDArray[np.int32]:
    """Draw the first ``largest`` of ``n`` genes in ``n_permutations`` random orders.

    The first k genes of a random order are a random set of k, so one order serves all sizes. It is
    the same for every ranking of so many genes: the last few are held, 2 MB each by default.
    """
    rng = np.random.default_rng(seed)
    first = np.empty((n_permutations, largest), dtype=np.int32)
    block = max(1, _CELLS // max(n, 1))
    for start in range(0, n_permutations, block):
        rows = min(block, n_permutations - start)
        orders = rng.permuted(np.tile(np.arange(n, dtype=np.int32), (rows, 1)), axis=1)
        first[start : start + rows] = orders[:, :largest]
    first.flags.writeable = False
    return first


@dataclass(frozen=True)
class _Null:
    """Null distribution: enrichment scores of random sets, separately by sign.

    Attributes
    ----------
    grid
        Set sizes (K,) that were drawn.
    positive, negative
        Absolute scores of each size, ascending, divided by their mean.
    means
        These means (2, K), of positive and of negative scores.
    """

    grid: Integers
    positive: list[Floats]
    negative: list[Floats]
    means: Floats

    @classmethod
    def draw(cls, weights: Floats, sizes: Integers, n_permutations: int, seed: int) -> _Null:
        grid = _grid(sizes)
        n = len(weights)
        largest = max(int(grid.max(initial=0)), min(n, MAXIMUM_SIZE))  # one draw for most sets
        draw = _drawn if n_permutations * largest <= _HELD_CELLS else _drawn.__wrapped__
        drawn = draw(n, largest, n_permutations, seed)
        found = np.empty((len(grid), n_permutations))
        for i, size in enumerate(grid):
            rows = max(1, _BLOCK // int(size))
            for start in range(0, n_permutations, rows):
                places = np.sort(drawn[start : start + rows, :size], axis=1)
                found[i, start : start + rows] = _scores(places, weights)[0]
        signs = [[row[row >= 0] for row in found], [-row[row < 0] for row in found]]
        means = np.array([[part.mean() if len(part) else np.nan for part in s] for s in signs])
        scaled = [
            [np.sort(part / mean) for part, mean in zip(s, of_sign, strict=True)]
            for s, of_sign in zip(signs, means, strict=True)
        ]
        return cls(grid, scaled[0], scaled[1], means)

    def normalise(self, es: Floats, sizes: Integers) -> tuple[Floats, Floats]:
        """Return normalised scores and p-values of ``es``."""
        nes, p = np.full(len(es), np.nan), np.full(len(es), np.nan)
        place = self._place(sizes)
        for sign, null in enumerate((self.positive, self.negative)):
            own = np.flatnonzero((es < 0) == bool(sign))
            known = np.isfinite(self.means[sign])
            if not known.any():
                continue
            mean = np.exp(
                np.interp(
                    np.log(sizes[own]), np.log(self.grid[known]), np.log(self.means[sign][known])
                )
            )
            scaled = np.abs(es[own]) / mean
            nes[own] = -scaled if sign else scaled
            for i in np.unique(place[own]):
                of_size = place[own] == i
                above = len(null[i]) - np.searchsorted(null[i], scaled[of_size] * (1 - 1e-12))
                p[own[of_size]] = (1 + above) / (1 + len(null[i]))
        return nes, p

    def q_values(self, nes: Floats, sizes: Integers) -> Floats:
        """Return the q-value of each normalised score, among the scores of its sign."""
        counts = np.bincount(self._place(sizes), minlength=len(self.grid)).astype(np.float64)
        result = np.full(len(nes), np.nan)
        for sign, null in enumerate((self.positive, self.negative)):
            own = np.flatnonzero(np.signbit(nes) == bool(sign) if len(nes) else [])
            own = own[np.isfinite(nes[own])]
            if not len(own):
                continue
            values = np.concatenate(null)
            weights = np.repeat(counts, [len(part) for part in null])
            order = np.argsort(values)
            values, weights = values[order], weights[order]
            above = np.concatenate([np.cumsum(weights[::-1])[::-1], [0.0]])
            scaled = np.abs(nes[own])
            at = np.searchsorted(values, scaled * (1 - 1e-12))
            chance = (above[at] + 1) / (weights.sum() + 1)
            observed = np.sort(scaled)
            share = (len(own) - np.searchsorted(observed, scaled * (1 - 1e-12))) / len(own)
            q = np.minimum(chance / share, 1.0)
            # A more extreme score has no larger q-value.
            back = np.argsort(scaled, kind="stable")
            q[back] = np.minimum.accumulate(q[back])
            result[own] = q
        return result

    def _place(self, sizes: Integers) -> Integers:
        """Return the position in ``grid`` of the size nearest to each of ``sizes``, by ratio."""
        if not len(self.grid):
            return np.zeros(len(sizes), dtype=np.int64)
        logs = np.log(self.grid)
        right = np.searchsorted(logs, np.log(sizes)).clip(1 if len(logs) > 1 else 0, len(logs) - 1)
        left = np.maximum(right - 1, 0)
        nearer = np.abs(logs[left] - np.log(sizes)) <= np.abs(logs[right] - np.log(sizes))
        return np.where(nearer, left, right).astype(np.int64)


def _grid(sizes: Integers) -> Integers:
    """Return the sizes to draw: all up to ``_EXACT_SIZES``, above it at most 5 % apart."""
    unique = np.unique(sizes)
    grid = unique[unique <= _EXACT_SIZES].tolist()
    last = 0.0
    for size in unique[unique > _EXACT_SIZES].tolist():
        if size > last * _SIZE_STEP or size == unique[-1]:
            grid.append(size)
            last = float(size)
    return np.array(grid, dtype=np.int64)
