"""Distributions of the training cohort that a model stores: the reference."""

from __future__ import annotations

from dataclasses import dataclass

import anndata as ad
import numpy as np
from numpy.typing import NDArray

from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler, to_scale
from mtm_core.methods.protocol import check_shape

QUANTILE_LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Reference:
    """Distributions of the training cohort, for Q levels, T tissues and G genes.

    Attributes
    ----------
    mean
        Mean linear expression (T, G).
    expression
        Quantiles (Q, T, G) of expression on the scaler's scale, at ``QUANTILE_LEVELS``.
    distance
        Quantiles (Q, T) of a sample's distance from the reference: the root mean square of its
        z-scores over genes.
    """

    mean: NDArray[np.float32]
    expression: NDArray[np.float32]
    distance: NDArray[np.float32]

    def check(self, n_tissues: int, n_genes: int) -> None:
        """Check the shapes of distributions read from disk.

        Raises
        ------
        ValueError
            If one is not that of T tissues and G genes.
        """
        n_levels = len(QUANTILE_LEVELS)
        check_shape("reference.mean", self.mean, (n_tissues, n_genes))
        check_shape("reference.expression", self.expression, (n_levels, n_tissues, n_genes))
        check_shape("reference.distance", self.distance, (n_levels, n_tissues))

    @classmethod
    def of(cls, cohort: ad.AnnData, scaler: TissueScaler) -> Reference:
        """Compute means and quantiles of every tissue of ``cohort``."""
        codes, levels = tissue_codes(cohort), np.array(QUANTILE_LEVELS)
        mean, expression, distance = [], [], []
        for t in range(len(tissue_names(cohort))):  # one at a time, as a wide cohort is large
            values = np.asarray(cohort.X[np.flatnonzero(codes == t)])
            mean.append(values.mean(axis=0, dtype=np.float64))
            on_scale = to_scale(values, scaler.scale)
            expression.append(_quantiles(on_scale, levels))
            z = (on_scale - scaler.mean[t]) / scaler.sd[t]
            rms = np.sqrt(np.einsum("ng,ng->n", z, z, dtype=np.float64) / z.shape[1])
            distance.append(np.quantile(rms, levels))
        return cls(
            np.stack(mean).astype(np.float32),
            np.stack(expression, axis=1).astype(np.float32),
            np.stack(distance, axis=1).astype(np.float32),
        )


def _quantiles(values: NDArray[np.float32], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return quantiles (Q, G) over samples (n, G), as ``numpy.quantile`` but faster."""
    ordered = np.sort(np.ascontiguousarray(values.T), axis=1)
    position = levels * (len(values) - 1)
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, len(values) - 1)
    low, high = (ordered[:, place].astype(np.float64) for place in (below, above))
    quantiles: NDArray[np.float64] = (low + (position - below) * (high - low)).T
    return quantiles
