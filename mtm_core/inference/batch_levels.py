"""Samples as measured, without the differences between batches in the level of each gene.

For what is looked at on the user's own scale: alignment to the reference would lose that scale. A
gene gets the same mean of log2 levels in every batch; how samples differ within a batch stays.
Whatever differs between batches for a reason, such as groups that coincide with them, goes too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtm_core.inference.batch_parameters import LEAST_OF_BATCH


def without_batches(log2: pd.DataFrame, batches: Sequence[str]) -> pd.DataFrame:
    """Set the mean of each gene (column) in every batch to that of all samples.

    Parameters
    ----------
    log2
        (samples, genes).
    batches
        Batch of each sample. The mean of fewer than three samples shows the people as much as the
        batch, so such a batch stays as it is.
    """
    labels = np.asarray(batches)
    values = log2.to_numpy(dtype=np.float64, copy=True)
    mean = values.mean(axis=0)
    for name in np.unique(labels):
        own = labels == name
        if own.sum() >= LEAST_OF_BATCH:
            values[own] += mean - values[own].mean(axis=0)
    return pd.DataFrame(values, log2.index, log2.columns)
