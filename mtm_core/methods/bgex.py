"""B-GEx (S1): for each gene of a target tissue, Bayesian ridge on the few genes most like it.

Xu et al. 2020, Bioinformatics 36:3773-3781 (btaa239): ten genes of blood are found best there.
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
from mtm_core.methods.table import Wanted

Array = NDArray[np.float64]

_GENES_AT_ONCE = 512
_MOST_STEPS = 300
_TOLERANCE = 1e-3
_HYPER = 2e-6
"""Twice the parameters of the Gamma priors on both precisions, scikit-learn's: they are vague."""
_TINY = 1e-300


@dataclass(frozen=True)
class BGExMethod:
    """Bayesian ridge on the ``n_genes`` source genes most correlated, either way, with a gene."""

    source: str = "Whole Blood"
    n_genes: int = 10
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    name: str = "bgex"

    def fit(self, cohort: ad.AnnData, donors: Sequence[str]) -> FittedByTarget:
        """Choose genes and fit, on the pairs (source, target) of ``donors``."""
        pairs = TrainingPairs.of(cohort, donors, source=self.source, scaling=self.scaling)
        return pairs.fit(self.name, self.fit_target)

    def fit_target(self, inputs: Floats, z: Floats) -> TargetModel:
        """Fit each gene of ``z`` (n, G) to its own few columns of ``inputs`` (n, P)."""
        x = inputs.astype(np.float64)
        centred = x - x.mean(axis=0)
        standard = _standardise(centred)
        n_chosen = min(self.n_genes, x.shape[1])
        chosen = np.empty((n_chosen, z.shape[1]), dtype=np.int32)
        values = np.empty((n_chosen, z.shape[1]))
        for start in range(0, z.shape[1], _GENES_AT_ONCE):
            block = slice(start, start + _GENES_AT_ONCE)
            y = z[:, block] - z[:, block].mean(axis=0, dtype=np.float64)
            chosen[:, block] = most_alike(standard, y.astype(standard.dtype), n_chosen)
            own = centred[:, chosen[:, block]]  # (n, J, genes)
            values[:, block] = bayesian_ridge(
                np.einsum("njg,nkg->gjk", own, own, optimize=True),
                np.einsum("njg,ng->gj", own, y, optimize=True),
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
    """Fit Bayesian ridge for many genes at once: MacKay 1992, Neural Computation 4:415-447.

    Precisions of coefficients and noise maximise the evidence, by fixed-point steps in each gene's
    eigenbasis, until no coefficient moves; a gene that has settled is left as it is.

    Parameters
    ----------
    gram, crossed, square
        (G, J, J), (G, J), (G,): products of centred inputs, of these with the gene, and the gene's
        sum of squares, over ``n`` donors.

    Returns
    -------
    ndarray
        (G, J).
    """
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0)
    target = np.einsum("gjk,gj->gk", vectors, crossed)
    noise, prior = n / np.maximum(square, _TINY), np.ones(len(gram))
    rotated = np.zeros_like(target)
    moving = np.arange(len(gram))
    for _ in range(_MOST_STEPS):
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


def most_alike(standard: NDArray[np.floating], y: NDArray[np.floating], n: int) -> NDArray[np.intp]:
    """Return the ``n`` columns of ``standard`` (N, P) most correlated, either way, with each gene.

    Of columns of length 1 and centred genes ``y`` (N, G): (n, G), the most correlated first. A
    gene's own spread does not change the order. Of 19,291 columns a full sort would cost more than
    all else.
    """
    likeness = np.abs(y.T @ standard)
    rows = np.arange(len(likeness))[:, None]
    if n < likeness.shape[1]:
        few = np.argpartition(likeness, -n, axis=1)[:, -n:]
        few.sort(axis=1)  # of equals, the first column first
    else:
        few = np.tile(np.arange(n), (len(likeness), 1))
    order = np.argsort(-likeness[rows, few], axis=1, kind="stable")
    return few[rows, order].T


def _standardise(centred: Array) -> NDArray[np.floating]:
    """Return centred columns length 1; 0 where a column does not vary.

    In single precision where there are many: all that is read off is an order.
    """
    length = np.sqrt((centred**2).sum(axis=0))
    standard: Array = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    narrow = standard.astype(np.float32)
    return narrow if is_wide(narrow) else standard


def make(wanted: Wanted) -> BGExMethod:
    """Make the method as it is listed."""
    return BGExMethod(wanted.source)
