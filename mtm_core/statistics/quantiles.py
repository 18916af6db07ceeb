"""Quantiles of every row of a wide matrix. Checked against ``numpy.quantile`` row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtm_core.statistics.blocks import gene_blocks


def row_quantiles(values: NDArray[np.float32], levels: Sequence[float]) -> NDArray[np.float32]:
    """Return the quantiles of each row, as ``numpy.quantile(values, levels, axis=1)``.

    Parameters
    ----------
    values
        Genes in rows (G, N), with N at least 1. Rows are contiguous and so sort much faster than
        columns.
    levels
        Q levels between 0 and 1.

    Returns
    -------
    numpy.ndarray
        Quantiles (Q, G) in float32, interpolated linearly.
    """
    n = values.shape[1]
    result = np.empty((len(levels), len(values)), dtype=np.float32)
    for block in gene_blocks(len(values)):
        ordered = np.sort(values[block], axis=1)
        for row, level in zip(result, levels, strict=True):
            position = level * (n - 1)
            below = min(int(position), n - 1)
            low, high = ordered[:, below], ordered[:, min(below + 1, n - 1)]
            share = position - below
            step = (high - low).astype(np.float64)
            row[block] = low + step * share if share < 0.5 else high - step * (1 - share)
    return result
