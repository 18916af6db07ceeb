"""Which of many samples a figure draws: as many as can be seen, the ends among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtm_core.figures.shared.style import MOST_OF_SAMPLES

_LEAST, _ENDS = 10, 8


def n_drawn(n_samples: int, n_strips: int, share: float = 1.0) -> int:
    """Return how many of ``n_samples`` a figure of ``n_strips`` strips draws in each of them.

    All where ``MOST_OF_SAMPLES`` are enough for all strips. A group that shares its strips with
    others has its ``share`` of what they have.
    """
    most = max(_LEAST, round(share * MOST_OF_SAMPLES / max(n_strips, 1)))
    return min(n_samples, most)


def spread_evenly(values: ArrayLike, strips: ArrayLike, most: int) -> NDArray[np.bool_]:
    """Choose up to ``most`` values of each strip: the ends, and evenly by rank between them.

    An eighth of them are the lowest and as many the highest, so that several outliers are seen as
    several; the others lie as all do.

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
    ends = most // _ENDS
    inner, between = rank - ends, most - 2 * ends
    steps = np.maximum(n - 2 * ends - 1, 1)
    # Of the ranks between those where another of equal steps from the first to the last is reached.
    is_next = (inner * (between - 1)) // steps != ((inner - 1) * (between - 1)) // steps
    chosen[order] = (n <= most) | (inner <= 0) | (rank >= n - ends) | is_next
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
        f" Of {n_samples:,} samples about {n:,} are drawn in each tissue: the lowest and the"
        " highest, and others at even ranks between them. The downloaded data contain all samples."
    )
