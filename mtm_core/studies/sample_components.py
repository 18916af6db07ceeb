"""Principal components of a user's samples, what the metadata have to do with them, and GTEx.

The reference is the mean and the covariance of the donors along the samples' own components, as
the model knows them: never a donor.

Shapes: N samples, G genes, K components.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kruskal, spearmanr
from sklearn.decomposition import PCA

from mtm_core.artefact import Artefact
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.methods.protocol import tissue_index
from mtm_core.methods.reference_covariance import covariance_along
from mtm_core.model_reference import QUANTILE_LEVELS
from mtm_core.statistics.multiple_testing import benjamini_hochberg
from mtm_core.studies.sample_labels import groups_of, trait_numbers, traits_of

Array = NDArray[np.float64]

FEWEST_SAMPLES = 5
"""Samples below which components say nothing."""
MOST_COMPONENTS = 10
MOST_GENES = 1_000
"""Genes that components are of: those that vary most among the samples."""
_MEDIAN, _HIGH = QUANTILE_LEVELS.index(0.5), QUANTILE_LEVELS.index(0.95)
_FEWEST_TESTED = 5
_FEWEST_OF_GROUP = 2


@dataclass(frozen=True)
class Components:
    """Principal components of samples.

    Attributes
    ----------
    scores
        (N, K), columns ``PC1`` and so on, by sample.
    shares
        (K,) of the variance of the genes that were taken.
    loadings
        (genes taken, K) by gene id.
    centre
        (K,) the mean of the reference's donors, on the same axes.
    covariance
        (K, K) of the reference's donors; ``None`` if the model does not know how genes go
        together.
    """

    scores: pd.DataFrame
    shares: Array
    loadings: pd.DataFrame
    centre: Array
    covariance: Array | None


def sample_components(log2: pd.DataFrame, artefact: Artefact, source: str) -> Components | None:
    """Take the components of ``log2`` (N, G); ``None`` below ``FEWEST_SAMPLES``.

    Parameters
    ----------
    log2
        Result of :func:`mtm_core.studies.tissue_profile.log2_as_they_are`: before alignment, so
        that the distance between the user's protocol and the reference shows.
    """
    if len(log2) < FEWEST_SAMPLES:
        return None
    values = log2.to_numpy()
    spread = values.var(axis=0)
    taken = np.sort(np.argsort(-spread, kind="stable")[:MOST_GENES])
    taken = taken[spread[taken] > 0]
    n = min(MOST_COMPONENTS, len(log2) - 1, len(taken))
    if n == 0:
        return None
    pca = PCA(n, svd_solver="full").fit(values[:, taken])
    names = [f"PC{k + 1}" for k in range(n)]
    directions = np.asarray(pca.components_.T, dtype=np.float64)
    method = artefact.method
    code = tissue_index(method.tissues, source)
    genes = artefact.genes.index.get_indexer(log2.columns[taken])
    scaler = method.scaler
    centre = np.full(n, np.nan)
    covariance = None
    if scaler.scale == "log2":
        mean = scaler.mean[code, genes].astype(np.float64)
        centre = (mean - pca.mean_) @ directions
        sd = scaler.sd[code, genes].astype(np.float64)
        low, high = artefact.reference.distance[[_MEDIAN, _HIGH], code].astype(np.float64)
        spread = float((high / max(low, 1e-12)) ** 2)
        covariance = covariance_along(method, code, genes, directions * sd[:, None], spread)
    return Components(
        pd.DataFrame(pca.transform(values[:, taken]), log2.index, names),
        np.asarray(pca.explained_variance_ratio_),
        pd.DataFrame(directions, log2.columns[taken], names),
        centre,
        covariance,
    )


def component_tests(scores: pd.DataFrame, metadata: SampleMetadata) -> pd.DataFrame:
    """Test each component against each column of the metadata.

    Returns
    -------
    pandas.DataFrame
        One row a (``component``, ``column``): ``test``, ``"Spearman"`` of a column of numbers,
        ``"Kruskal-Wallis"`` of groups (those of two samples or more); ``n``; ``statistic``, rho or
        H; ``explained``, the share of the component's variance that goes with the column (rho
        squared, or that between the groups); ``p``; ``fdr`` over all rows.
    """
    rows = []
    numbers = [
        name
        for name in traits_of(metadata)
        if metadata.column(name).kind == "number" or name == metadata.age_column
    ]
    for name in numbers:
        values = trait_numbers(metadata, name)[0].reindex(scores.index).to_numpy(np.float64)
        known = np.isfinite(values)
        for component in scores:
            own = scores.loc[known, component].to_numpy()
            row = {"component": component, "column": name, "test": "Spearman", "n": len(own)}
            if len(own) >= _FEWEST_TESTED and np.ptp(values[known]) > 0:
                found = spearmanr(own, values[known])
                rho = float(found.statistic)
                row |= {"statistic": rho, "explained": rho**2, "p": float(found.pvalue)}
            rows.append(row)
    for name in (name for name in groups_of(metadata) if name not in numbers):
        groups = metadata.groups(name).reindex(scores.index)
        counts = groups.value_counts()
        selected = groups.isin(counts.index[counts >= _FEWEST_OF_GROUP])
        for component in scores:
            own = scores.loc[selected, component]
            parts = [part.to_numpy() for _, part in own.groupby(groups[selected].to_numpy())]
            row = {"component": component, "column": name, "test": "Kruskal-Wallis", "n": len(own)}
            if len(parts) > 1 and len(own) >= _FEWEST_TESTED:
                found = kruskal(*parts)
                row |= {
                    "statistic": float(found.statistic),
                    "explained": _between(parts),
                    "p": float(found.pvalue),
                }
            rows.append(row)
    columns = ["component", "column", "test", "n", "statistic", "explained", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(fdr=benjamini_hochberg(table["p"].to_numpy(np.float64)))


def _between(parts: list[Array]) -> float:
    """Return the share of the sum of squares that lies between groups: eta squared of ANOVA."""
    whole = np.concatenate(parts)
    total = ((whole - whole.mean()) ** 2).sum()
    between = sum(len(part) * (part.mean() - whole.mean()) ** 2 for part in parts)
    return float(between / total) if total > 0 else float("nan")


def ellipse(
    components: Components, first: int, second: int, share: float, n_points: int = 100
) -> pd.DataFrame:
    """Return the outline (``x``, ``y``) that holds ``share`` of the reference's donors.

    A Gaussian's, along two components; empty if the covariance is not known.
    """
    if components.covariance is None:
        return pd.DataFrame({"x": [], "y": []}, dtype=np.float64)
    pair = [first, second]
    size, axes = np.linalg.eigh(components.covariance[np.ix_(pair, pair)])
    radius = np.sqrt(-2 * np.log1p(-share))
    angle = np.linspace(0, 2 * np.pi, n_points)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    outline = (axes * np.sqrt(np.maximum(size, 0))) @ circle * radius
    return pd.DataFrame(
        {"x": outline[0] + components.centre[first], "y": outline[1] + components.centre[second]}
    )
