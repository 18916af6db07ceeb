"""B-GEx: Bayesian ridge regression of each target gene on the blood genes most correlated with it.

Xu et al. 2020, Bioinformatics 36:3773-3781 (btaa239), where ten genes of blood performed best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from mtm_core.config import ScalingConfig
from mtm_core.methods.by_target import (
    FittedByTarget,
    LinearMap,
    SparseMap,
    TargetModel,
    TrainingPairs,
    is_wide,
)
from mtm_core.methods.protocol import Floats
from mtm_core.methods.table import MethodRequest

Array = NDArray[np.float64]

_GENES_AT_ONCE = 512
_MAX_STEPS = 300
_TOLERANCE = 1e-3
_HYPER = 2e-6
"""Twice the parameters of the vague Gamma priors on both precisions, as in scikit-learn."""
_TINY = 1e-300


@dataclass(frozen=True)
class BGExMethod:
    """B-GEx: Bayesian ridge on the source genes most correlated with each target gene.

    Attributes
    ----------
    source
        Tissue to predict from.
    n_genes
        Number of source genes for each target gene, by absolute correlation.
    scaling
        How expression is turned into z-scores.
    """

    source: str = "Whole Blood"
    n_genes: int = 10
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "bgex"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Choose source genes and fit each target, on ``donors`` with source and target."""
        pairs = TrainingPairs.from_cohort(cohort, donors, source=self.source, scaling=self.scaling)
        return pairs.fit(self.name, self.fit_target)

    def fit_target(self, inputs: Floats, z: Floats) -> TargetModel:
        """Fit each gene of ``z`` (n, G) to its most correlated columns of ``inputs`` (n, P)."""
        x = inputs.astype(np.float64)
        centred = x - x.mean(axis=0)
        standard = _standardise(centred)
        n_chosen = min(self.n_genes, x.shape[1])
        chosen = np.empty((n_chosen, z.shape[1]), dtype=np.int32)
        values = np.empty((n_chosen, z.shape[1]))
        for start in range(0, z.shape[1], _GENES_AT_ONCE):
            block = slice(start, start + _GENES_AT_ONCE)
            y = z[:, block] - z[:, block].mean(axis=0, dtype=np.float64)
            chosen[:, block] = most_correlated(standard, y.astype(standard.dtype), n_chosen)
            predictors = centred[:, chosen[:, block]]  # (n, J, genes)
            values[:, block] = bayesian_ridge(
                np.einsum("njg,nkg->gjk", predictors, predictors, optimize=True),
                np.einsum("njg,ng->gj", predictors, y, optimize=True),
                (y**2).sum(axis=0),
                len(x),
            ).T
        del centred, standard
        intercept = z.mean(axis=0, dtype=np.float64) - (x.mean(axis=0)[chosen] * values).sum(axis=0)
        if is_wide(inputs):
            return SparseMap(chosen, values.astype(np.float32), intercept.astype(np.float32))
        coefficients = np.zeros((x.shape[1], z.shape[1]), dtype=np.float32)
        np.put_along_axis(coefficients, chosen, values.astype(np.float32), axis=0)
        return LinearMap(coefficients, intercept.astype(np.float32))


def bayesian_ridge(gram: Array, crossed: Array, square: Array, n: int) -> Array:
    """Fit Bayesian ridge regressions of many genes at once.

    The precisions of coefficients and noise maximise the evidence (MacKay 1992, Neural Computation
    4:415-447), by fixed-point steps in the eigenbasis of each gene's inputs. A gene leaves the
    iteration when its coefficients have converged.

    Parameters
    ----------
    gram
        Gram matrices (G, J, J) of each gene's centred inputs.
    crossed
        Products (G, J) of the inputs with the centred gene.
    square
        Sum of squares (G,) of the centred gene.
    n
        Number of donors.

    Returns
    -------
    numpy.ndarray
        Coefficients (G, J).
    """
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0)
    target = np.einsum("gjk,gj->gk", vectors, crossed)
    noise, prior = n / np.maximum(square, _TINY), np.ones(len(gram))
    rotated = np.zeros_like(target)
    moving = np.arange(len(gram))
    for _ in range(_MAX_STEPS):
        v, q = values[moving], target[moving]
        shrunk = v + (prior / noise)[moving, None]
        b = q / shrunk
        error = square[moving] - 2 * (b * q).sum(axis=1) + (v * b**2).sum(axis=1)
        determined = (v / shrunk).sum(axis=1)
        prior[moving] = (determined + _HYPER) / ((b**2).sum(axis=1) + _HYPER)
        noise[moving] = (n - determined + _HYPER) / (np.maximum(error, 0) + _HYPER)
        moves = np.abs(b - rotated[moving]).sum(axis=1) > _TOLERANCE
        rotated[moving] = b
        moving = moving[moves]
        if not len(moving):
            break
    coefficients: Array = np.einsum("gjk,gk->gj", vectors, rotated)
    return coefficients


def most_correlated(
    standard: NDArray[np.floating], y: NDArray[np.floating], n: int
) -> NDArray[np.intp]:
    """Return the columns with the largest absolute correlation with each gene.

    Parameters
    ----------
    standard
        Centred columns (N, P) of length 1.
    y
        Centred genes (N, G). Their variance does not change the order.
    n
        Number of columns to return.

    Returns
    -------
    numpy.ndarray
        Positions (n, G), the most correlated first.
    """
    correlation = np.abs(y.T @ standard)
    rows = np.arange(len(correlation))[:, None]
    if n < correlation.shape[1]:
        # A full sort of 19,291 columns would take longer than everything else.
        top = np.argpartition(correlation, -n, axis=1)[:, -n:]
        top.sort(axis=1)  # the first of equal columns comes first
    else:
        top = np.tile(np.arange(n), (len(correlation), 1))
    order = np.argsort(-correlation[rows, top], axis=1, kind="stable")
    return top[rows, order].T


def _standardise(centred: Array) -> NDArray[np.floating]:
    """Scale centred columns to length 1; a constant column becomes 0.

    Many columns are returned in single precision, as only their order of correlation is used.
    """
    length = np.sqrt((centred**2).sum(axis=0))
    standard: Array = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    narrow = standard.astype(np.float32)
    return narrow if is_wide(narrow) else standard


def make(request: MethodRequest) -> BGExMethod:
    """Make the listed method."""
    return BGExMethod(request.source)
