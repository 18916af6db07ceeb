"""Which of many samples a figure draws: as many as can be seen, spread evenly over all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtm_core.figures.shared.style import MOST_OF_SAMPLES

_LEAST = 10


def n_drawn(n_samples: int, n_strips: int, share: float = 1.0) -> int:
    """Return how many of ``n_samples`` a figure of ``n_strips`` strips draws in each of them.

    All where ``MOST_OF_SAMPLES`` are enough for all strips. A group that shares its strips with
    others has its ``share`` of what they have.
    """
    most = max(_LEAST, round(share * MOST_OF_SAMPLES / max(n_strips, 1)))
    return min(n_samples, most)


def spread_evenly(values: ArrayLike, strips: ArrayLike, most: int) -> NDArray[np.bool_]:
    """Choose up to ``most`` values of each strip: evenly by rank, from the lowest to the highest.

    So the points that are drawn lie as all do, outliers at both ends included.

    Parameters
    ----------
    values
        (M,) numbers; NaN, which is not drawn, is not chosen.
    strips
        (M,) the strip of each.
    """
    numbers = np.asarray(values, dtype=np.float64).ravel()
    strip_of = np.asarray(strips).ravel()
    chosen = np.zeros(len(numbers), dtype=bool)
    known = np.flatnonzero(~np.isnan(numbers))
    order = known[np.lexsort((numbers[known], strip_of[known]))]
    if not len(order):
        return chosen
    _, first, sizes = np.unique(strip_of[order], return_index=True, return_counts=True)
    rank, n = np.arange(len(order)) - np.repeat(first, sizes), np.repeat(sizes, sizes)
    steps = np.maximum(n - 1, 1)
    # Of n ranks those where another of ``most`` equal steps from the first to the last is reached.
    is_next = (rank * (most - 1)) // steps != ((rank - 1) * (most - 1)) // steps
    chosen[order] = (n <= most) | (rank == 0) | is_next
    return chosen


def name_of_drawn(name: str, n: int, n_samples: int) -> str:
    """Add to a name in a legend how many of the samples are drawn, if these are not all."""
    return name if n >= n_samples else f"{name} ({n:,} of {n_samples:,} in each tissue)"


def drawn_in_words(n_samples: int, n_strips: int) -> str:
    """Say in a caption which samples are drawn; nothing where all are."""
    n = n_drawn(n_samples, n_strips)
    if n >= n_samples:
        return ""
    return (
        f" Of {n_samples:,} samples about {n:,} are drawn in each tissue, at even ranks from the "
        f"lowest to the highest. The data of the figure have all."
    )
