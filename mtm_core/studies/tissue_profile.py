"""Which tissue of the reference a sample is most like, by its profile.

Shapes: N samples, T tissues, G genes found.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.scaling import to_scale
from mtm_core.inference.prepared import Prepared
from mtm_core.methods.protocol import tissue_index


def log2_as_they_are(prepared: Prepared, artefact: Artefact) -> pd.DataFrame:
    """Return (N, G) log2 expression of the model's genes that were found, in its unit, not aligned.

    Parameters
    ----------
    prepared
        With ``alignment="none"``.
    """
    method, aligned = artefact.method, prepared.aligned
    scaler = method.scaler.of_genes(tissue_index(method.tissues, prepared.source))
    values = aligned.z * scaler.sd[0] + scaler.mean[0]
    if scaler.scale == "linear":
        values = to_scale(np.maximum(values, 0), "log2")
    found = aligned.found
    return pd.DataFrame(
        values[:, found].astype(np.float64), list(prepared.samples), prepared.match.gene_ids[found]
    )


def tissue_means(artefact: Artefact) -> NDArray[np.float32]:
    """Return the mean log2 expression (T, G) of each tissue of the reference."""
    scaler = artefact.method.scaler
    if scaler.scale == "log2":
        return np.asarray(scaler.mean)
    return np.asarray(to_scale(artefact.reference.mean, "log2"))


def tissue_likeness(log2: pd.DataFrame, artefact: Artefact) -> pd.DataFrame:
    """Correlate each sample with each tissue's mean profile, both without the mean of all tissues.

    Without what tissues have in common: by whole profiles every tissue is like every other.

    Parameters
    ----------
    log2
        Result of :func:`log2_as_they_are`.

    Returns
    -------
    pandas.DataFrame
        (N, T) Pearson's rho.
    """
    genes = artefact.genes.index.get_indexer(log2.columns)
    means = tissue_means(artefact)[:, genes].astype(np.float64)
    common = means.mean(axis=0)
    rho = _of_length_1(log2.to_numpy() - common) @ _of_length_1(means - common).T
    return pd.DataFrame(rho, log2.index, list(artefact.method.tissues))


def _of_length_1(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row without its mean and of length 1; NaN where it does not vary."""
    left = rows - rows.mean(axis=1, keepdims=True)
    length = np.sqrt((left**2).sum(axis=1, keepdims=True))
    return np.asarray(left / np.where(length > 0, length, np.nan))


def nearest_tissues(likeness: pd.DataFrame, source: str) -> pd.DataFrame:
    """Return the most alike tissue of each sample, and how the one it is said to be of compares.

    Returns
    -------
    pandas.DataFrame
        By sample: ``nearest_tissue`` and ``nearest_rho``; ``source_rho`` and ``source_rank``, 1 for
        the nearest.
    """
    values = likeness.to_numpy()
    first = np.nan_to_num(values, nan=-np.inf).argmax(axis=1)
    own = likeness[source].to_numpy()
    return pd.DataFrame(
        {
            "nearest_tissue": likeness.columns.to_numpy()[first],
            "nearest_rho": values[np.arange(len(values)), first],
            "source_rho": own,
            "source_rank": 1 + (values > own[:, None]).sum(axis=1),
        },
        index=likeness.index,
    )
