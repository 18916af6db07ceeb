"""Ordered pairs of tissues of the same donor: what MTM is trained on (paper, section 2.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ordered_pairs(donor: ArrayLike) -> NDArray[np.int32]:
    """Return every ordered pair of distinct samples of one donor.

    Parameters
    ----------
    donor
        (N,) donor of each sample, ids or codes.

    Returns
    -------
    numpy.ndarray
        (P, 2) int32: row of the source sample, row of the target sample. A donor with n samples
        gives n(n - 1) of them. Rows are ordered by donor, then source, then target.
    """
    _, code, count = np.unique(np.asarray(donor), return_inverse=True, return_counts=True)
    rows = np.argsort(code, kind="stable")
    start = np.cumsum(count) - count
    blocks = []
    for first, n in zip(start[count > 1], count[count > 1], strict=True):
        members = rows[first : first + n]
        source, target = np.nonzero(~np.eye(n, dtype=bool))
        blocks.append(np.stack([members[source], members[target]], axis=1))
    if not blocks:
        return np.empty((0, 2), dtype=np.int32)
    return np.concatenate(blocks).astype(np.int32)
