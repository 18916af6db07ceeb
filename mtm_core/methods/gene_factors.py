"""One factor for each gene: what it does in all of a donor's tissues, beside the joint factors.

A genetic effect on a gene shows in many tissues and in no other gene, so joint factors, which many
genes share, miss it. Of what they leave of a gene,

    ``r_nt = a_t u_n + e_nt``,  ``u_n ~ N(0, 1)``,  ``e_nt ~ N(0, v_t)``,

fitted by EM over the tissues that each donor has, each gene by itself. From one source tissue such
a factor is guessed too poorly to help; from several it does.

Shapes: D donors, T tissues, G genes, N samples to predict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtm_core.methods.factors import LEAST_NOISE, Array, Block
from mtm_core.methods.protocol import check_shape

_START = 0.3
"""First value of every loading: a gene's tissues are taken to rise together."""


@dataclass(frozen=True)
class GeneFactors:
    """The fitted factors of all genes.

    Attributes
    ----------
    loadings, noise
        (T, G): ``a_t`` and ``v_t``.
    """

    loadings: Array
    noise: Array

    def check(self, by_gene: tuple[int, ...]) -> None:
        """Check that saved factors are of T tissues and G genes.

        Raises
        ------
        ValueError
            If they are not, or a noise is not above 0.
        """
        check_shape("gene.loadings", self.loadings, by_gene)
        check_shape("gene.noise", self.noise, by_gene)
        if (self.noise <= 0).any():
            raise ValueError("expected noise above 0")

    def posterior(self, residuals: Mapping[int, NDArray[np.floating]]) -> tuple[Array, Array]:
        """Return mean (N, G) and variance (G,) of the factors, by residuals (N, G) of tissues."""
        precision: Array = np.ones(self.loadings.shape[1])
        projected: Array = np.zeros(next(iter(residuals.values())).shape)
        for t, r in residuals.items():
            weight = self.loadings[t] / self.noise[t]
            precision = precision + self.loadings[t] * weight
            projected = projected + r * weight
        return projected / precision, 1 / precision


def fit_gene_factors(
    residuals: Sequence[Block],
    n_donors: int,
    *,
    ridge: float,
    n_iterations: int,
) -> GeneFactors:
    """Fit by EM.

    Parameters
    ----------
    residuals
        Of each tissue: its donors (n,), each once, and their residuals (n, G).
    n_donors
        D.
    ridge
        Added to the factor's second moment when loadings are fitted: donors' worth of prior.
    n_iterations
        Steps.
    """
    n_tissues, n_genes = len(residuals), residuals[0][1].shape[1]
    loadings: Array = np.full((n_tissues, n_genes), _START)
    noise: Array = np.ones((n_tissues, n_genes))
    for _ in range(n_iterations):
        precision: Array = np.ones((n_donors, n_genes))
        projected: Array = np.zeros((n_donors, n_genes))
        for t, (donor, r) in enumerate(residuals):
            weight = loadings[t] / noise[t]
            precision[donor] += loadings[t] * weight
            projected[donor] += r * weight
        # Rescaled to unit second moment: the same model, in fewer steps.
        scale = np.sqrt(((projected / precision) ** 2 + 1 / precision).mean(axis=0))
        mean, variance = projected / precision / scale, 1 / precision / scale**2
        for t, (donor, r) in enumerate(residuals):
            second = (mean[donor] ** 2 + variance[donor]).sum(axis=0)
            loadings[t] = (r * mean[donor]).sum(axis=0) / (second + ridge)
            error = (r - mean[donor] * loadings[t]) ** 2 + loadings[t] ** 2 * variance[donor]
            noise[t] = np.maximum(error.sum(axis=0) / max(len(donor), 1), LEAST_NOISE)
    return GeneFactors(loadings, noise)
