"""Figures of merit of out-of-fold predictions (paper, sections 2.4 and 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.statistics.correlation import (
    columnwise_correlation,
    fisher_mean,
    rowwise_correlation,
)

PREDICTABLE_RHO = 0.3
"""The paper's rule: a gene is predictable in a tissue (a pGene) above this pooled rho."""
MINIMUM_DONORS = 4
"""Held-out donors of a tissue that a fold needs to give a correlation."""


@dataclass(frozen=True)
class Accuracy:
    """How well a method predicts.

    Attributes
    ----------
    genes
        One row a (tissue, gene): ``n`` donors, ``rho_by_fold`` (Pearson inside each fold, averaged
        by Fisher's z), ``rho_pooled`` (over the folds' predictions joined), ``r2`` against the
        fold's training mean.
    tissues
        One row a tissue: ``n``; ``gene_rho_by_fold`` and ``gene_rho_pooled``, means over genes (a
        gene whose prediction does not vary counts as 0); ``sample_rho``, mean over donors;
        ``n_predictable``; ``mse_ratio``, mean squared error over that of the training mean.
    """

    genes: pd.DataFrame
    tissues: pd.DataFrame

    def summary(self) -> dict[str, float]:
        """Give means over the tissues."""
        means = self.tissues.drop(columns="n").mean()
        return {f"{name}_mean": float(value) for name, value in means.items()}


def accuracy(out_of_fold: xr.Dataset) -> Accuracy:
    """Score what :func:`mtm_core.evaluation.cross_validation.cross_validate` gives."""
    predicted, observed = out_of_fold["predicted"].to_numpy(), out_of_fold["observed"].to_numpy()
    tissue, fold = out_of_fold["tissue"].to_numpy(), out_of_fold["fold"].to_numpy()
    genes = out_of_fold["gene"].to_numpy()
    gene_parts, tissue_rows = [], []
    for name in np.unique(tissue):
        chosen = tissue == name
        p, o, f = predicted[chosen], observed[chosen], fold[chosen]
        by_fold = fisher_mean(
            [
                _correlation_or_0(p[f == k], o[f == k])
                for k in np.unique(f)
                if (f == k).sum() >= MINIMUM_DONORS
            ]
            or np.full((1, len(genes)), np.nan)
        )
        pooled = columnwise_correlation(p, o)
        error, spread = ((p - o).astype(np.float64) ** 2), (o.astype(np.float64) ** 2)
        unexplained = np.full(len(genes), np.nan)
        np.divide(
            error.sum(axis=0), spread.sum(axis=0), out=unexplained, where=spread.sum(axis=0) > 0
        )
        gene_parts.append(
            pd.DataFrame(
                {
                    "tissue": name,
                    "gene_id": genes,
                    "n": int(chosen.sum()),
                    "rho_by_fold": by_fold,
                    "rho_pooled": pooled,
                    "r2": 1 - unexplained,
                }
            )
        )
        tissue_rows.append(
            {
                "tissue": name,
                "n": int(chosen.sum()),
                "gene_rho_by_fold": np.nan_to_num(by_fold).mean(),
                "gene_rho_pooled": np.nan_to_num(pooled).mean(),
                "sample_rho": np.nan_to_num(rowwise_correlation(p, o)).mean(),
                "n_predictable": int((np.nan_to_num(pooled) > PREDICTABLE_RHO).sum()),
                "mse_ratio": error.mean() / spread.mean(),
            }
        )
    return Accuracy(
        genes=pd.concat(gene_parts, ignore_index=True),
        tissues=pd.DataFrame(tissue_rows).set_index("tissue"),
    )


def _correlation_or_0(
    predicted: NDArray[np.float32], observed: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Give rho by gene: 0 where only the prediction does not vary, NaN where the gene does not.

    Left out instead, a fold with nothing to say about a gene would not lower its mean over folds.
    """
    rho = columnwise_correlation(predicted, observed)
    rho[np.isnan(rho) & (np.ptp(observed, axis=0) > 0)] = 0
    return rho
