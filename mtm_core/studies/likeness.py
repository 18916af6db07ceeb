"""Likeness of tissues in a trained model, and maps of few dimensions.

Letters: N items, T tissues, U units of a layer, C size of a code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from mtm_core.artefact import Artefact
from mtm_core.errors import SelectionError
from mtm_core.statistics.similarity import SimilarityAgreement, similarity_agreement
from mtm_core.studies.latent import LatentModel, decoding_paths

Array = NDArray[np.float64]

MINIMUM_MAPPED = 3
"""Items that a map needs: two are always a line."""


@dataclass(frozen=True)
class Map:
    """Principal components of some items.

    Attributes
    ----------
    positions
        ``first`` and ``second`` component, by item.
    shares
        Share of the variance that each explains.
    """

    positions: pd.DataFrame
    shares: tuple[float, float]


@dataclass(frozen=True)
class Likeness:
    """Two likenesses of the same pairs of tissues.

    Attributes
    ----------
    pairs
        One row a pair: ``tissue``, ``other_tissue``, ``profiles`` (of the tissues' mean profiles)
        and ``likeness``, Pearson's rho both.
    agreement
        Spearman's rho of the two, and Mantel's test.
    """

    pairs: pd.DataFrame
    agreement: SimilarityAgreement


def mean_profiles(artefact: Artefact) -> pd.DataFrame:
    """Return log2 expression (tissues, genes) of the mean donor of the model's cohort.

    Where the model's scaler is linear it is the log2 of the mean, else the mean of the log2.
    """
    scaler = artefact.method.scaler
    mean = scaler.mean if scaler.scale == "log2" else np.log2(1 + scaler.mean)
    return pd.DataFrame(
        mean.astype(np.float64), index=artefact.tissues.index, columns=artefact.genes.index
    )


def decoded_mean(fitted: LatentModel, source: str) -> dict[str, Array]:
    """Decode the mean profile of ``source`` to each tissue: activations (T, U) of each layer."""
    mean = np.zeros((1, fitted.scaler.mean.shape[1]), dtype=np.float32)
    paths = decoding_paths(fitted, fitted.codes({source: mean}))
    return {layer: activations[:, 0] for layer, activations in paths.items()}


def compare_likeness(profiles: pd.DataFrame, values: pd.DataFrame) -> Likeness:
    """Hold the likeness of tissues' profiles against that of ``values`` (tissues, any columns).

    Only tissues that ``values`` has are compared; a missing value counts as 0, as in
    :func:`mtm_core.studies.predictable_genes.study_predictable_genes`.
    """
    tissues = [str(name) for name in values.index]
    own = np.corrcoef(values.fillna(0).to_numpy(dtype=np.float64))
    of_profiles = np.corrcoef(profiles.loc[tissues].to_numpy(dtype=np.float64))
    first, second = np.triu_indices(len(tissues), k=1)
    pairs = pd.DataFrame(
        {
            "tissue": np.array(tissues)[first],
            "other_tissue": np.array(tissues)[second],
            "profiles": of_profiles[first, second],
            "likeness": own[first, second],
        }
    )
    return Likeness(pairs, similarity_agreement(own, of_profiles))


def map_of(values: pd.DataFrame) -> Map:
    """Return the first two principal components of the rows of ``values`` (N, any columns).

    Columns are centred, not scaled. The sign of a component is arbitrary, but always the same.

    Raises
    ------
    SelectionError
        If there are fewer than ``MINIMUM_MAPPED`` rows, or all are the same.
    """
    matrix = values.to_numpy(dtype=np.float64)
    if len(matrix) < MINIMUM_MAPPED:
        raise SelectionError(
            f"a map needs {MINIMUM_MAPPED} samples or more, and there are {len(matrix)}."
        )
    if (matrix == matrix[0]).all():
        raise SelectionError("all samples are the same: there is nothing to map.")
    found = PCA(n_components=2, svd_solver="full").fit(matrix)
    first, second = (float(share) for share in found.explained_variance_ratio_)
    positions = pd.DataFrame(found.transform(matrix), values.index, ["first", "second"])
    return Map(positions, (first, second))
