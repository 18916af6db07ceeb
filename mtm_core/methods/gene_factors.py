"""Gene-specific factors: one factor for each gene, shared by all tissues of a donor.

A genetic variant may change one gene in many tissues and no other gene. Joint factors, which many
genes share, miss such an effect. So one factor is fitted to the joint model's residuals of each
gene, in donor n and tissue t,

    ``r_nt = a_t u_n + e_nt``,  ``u_n ~ N(0, 1)``,  ``e_nt ~ N(0, v_t)``,

by EM over the tissues that each donor has. Estimated from one source tissue, these factors are too
noisy to improve predictions; estimated from several, they do.

Shapes: D donors, T tissues, G genes, N samples to predict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.factors import NOISE_FLOOR, Array, Block
from mtm_core.methods.protocol import check_shape

_START = 0.3
"""Initial value of every loading: a gene's effect starts with the same sign in all tissues."""


@dataclass(frozen=True)
class GeneFactors:
    """Fitted gene-specific factors.

    Attributes
    ----------
    loadings
        Loadings ``a_t`` (T, G).
    noise
        Noise variances ``v_t`` (T, G).
    """

    loadings: Array
    noise: Array

    def check(self, by_gene: tuple[int, ...]) -> None:
        """Check factors read from disk against the expected shape (T, G).

        Raises
        ------
        ValueError
            If a shape differs, or a noise variance is not above 0.
        """
        check_shape("gene.loadings", self.loadings, by_gene)
        check_shape("gene.noise", self.noise, by_gene)
        if (self.noise <= 0).any():
            raise ValueError("expected noise above 0")

    def posterior(self, residuals: Mapping[int, NDArray[np.floating]]) -> tuple[Array, Array]:
        """Return posterior mean (N, G) and variance (G,) from residuals (N, G) by tissue."""
        precision: Array = np.ones(self.loadings.shape[1])
        weighted_mean: Array = np.zeros(next(iter(residuals.values())).shape)
        for t, r in residuals.items():
            weight = self.loadings[t] / self.noise[t]
            precision = precision + self.loadings[t] * weight
            weighted_mean = weighted_mean + r * weight
        return weighted_mean / precision, 1 / precision


def fit_gene_factors(
    residuals: Sequence[Block],
    n_donors: int,
    *,
    ridge: float,
    n_iterations: int,
) -> GeneFactors:
    """Fit gene-specific factors by EM.

    Parameters
    ----------
    residuals
        For each tissue: its donors (n,), each once, and their residuals (n, G).
    n_donors
        D.
    ridge
        Ridge penalty on the loadings, in donors' worth of prior.
    n_iterations
        Number of EM steps.
    """
    n_tissues, n_genes = len(residuals), residuals[0][1].shape[1]
    loadings: Array = np.full((n_tissues, n_genes), _START)
    noise: Array = np.ones((n_tissues, n_genes))
    for _ in range(n_iterations):
        precision: Array = np.ones((n_donors, n_genes))
        weighted_mean: Array = np.zeros((n_donors, n_genes))
        for t, (donor, r) in enumerate(residuals):
            weight = loadings[t] / noise[t]
            precision[donor] += loadings[t] * weight
            weighted_mean[donor] += r * weight
        # Rescaled to unit second moment: the same model, in fewer steps.
        scale = np.sqrt(((weighted_mean / precision) ** 2 + 1 / precision).mean(axis=0))
        mean, variance = weighted_mean / precision / scale, 1 / precision / scale**2
        for t, (donor, r) in enumerate(residuals):
            second_moment = (mean[donor] ** 2 + variance[donor]).sum(axis=0)
            loadings[t] = (r * mean[donor]).sum(axis=0) / (second_moment + ridge)
            error = (r - mean[donor] * loadings[t]) ** 2 + loadings[t] ** 2 * variance[donor]
            noise[t] = np.maximum(error.sum(axis=0) / max(len(donor), 1), NOISE_FLOOR)
    return GeneFactors(loadings, noise)
