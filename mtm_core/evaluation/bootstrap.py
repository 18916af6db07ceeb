"""Bootstrap over donors of the mean gene-wise rho.

Donors, not samples, are resampled, inside each fold, so that all tissues of a donor are drawn
together and folds do not mix. The same seed and donors give the same resamples for every method, so
differences between methods are paired.

A donor who is drawn twice agrees with himself, so correlations in resamples are slightly too high.
Intervals are corrected by the bias of the resamples' mean (Efron & Tibshirani 1993, An Introduction
to the Bootstrap, section 10.3).

With more than ``MOST_GENES`` genes, resamples are scored on that many genes, drawn once at random:
the variation comes from donors, and a mean over so many genes varies like the mean over all. The
estimate itself is over all genes.

Shapes: R resamples, T tissues.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from joblib import Parallel, delayed
from numpy.typing import NDArray

from mtm_core.evaluation.accuracy import MINIMUM_DONORS
from mtm_core.statistics.blocks import gene_blocks
from mtm_core.statistics.correlation import fisher_mean, weighted_correlation
from mtm_core.statistics.resampling import bootstrap_p, percentile_interval, resampled_counts

Array = NDArray[np.float64]

N_RESAMPLES = 500
MOST_GENES = 4096
"""Largest number of genes scored in each resample."""


@dataclass(frozen=True)
class ResampledRho:
    """Bootstrap distribution of the mean gene-wise rho by fold.

    Attributes
    ----------
    by_tissue
        Mean over genes (R, T); NaN if no fold of a resample has enough donors.
    tissues
        Names of the T tissues.
    samples
        Tissue, fold and donor of the scored samples, by which methods are paired.
    estimate
        Mean over tissues in the original donors.
    """

    by_tissue: Array
    tissues: tuple[str, ...]
    samples: pd.MultiIndex
    estimate: float

    @property
    def mean(self) -> Array:
        """Bias-corrected means over tissues (R,); NaN if no tissue of a resample has a mean."""
        means = pd.DataFrame(self.by_tissue).mean(axis=1)
        return np.asarray(means - means.mean() + self.estimate)

    def interval(self) -> tuple[float, float]:
        """Return the 95 % percentile interval of the mean over tissues."""
        return percentile_interval(self.mean)

    def difference_from(self, other: ResampledRho) -> PairedDifference:
        """Return the paired difference of this method minus ``other``.

        Raises
        ------
        ValueError
            If the two differ in samples, folds or number of resamples.
        """
        if not self.samples.equals(other.samples) or len(self.mean) != len(other.mean):
            raise ValueError("expected two methods resampled on the same samples and folds")
        difference = self.mean - other.mean
        return PairedDifference(*percentile_interval(difference), bootstrap_p(difference))


@dataclass(frozen=True)
class PairedDifference:
    """95 % bootstrap interval of a difference, and its two-sided p-value."""

    low: float
    high: float
    p: float


def resample_donors(
    out_of_fold: xr.Dataset, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> ResampledRho:
    """Resample donors, and score each resample by ``gene_rho_by_fold``.

    A fold counts in a resample if at least ``MINIMUM_DONORS`` different donors with the tissue were
    drawn from it.

    Parameters
    ----------
    out_of_fold
        Out-of-fold predictions.
    n_resamples
        Number of resamples, R.
    seed
        Seed of the resamples and of the scored genes.
    """
    samples = pd.MultiIndex.from_arrays(
        [out_of_fold[name].to_numpy() for name in ("tissue", "fold", "donor")],
        names=["tissue", "fold", "donor"],
    )
    order = samples.argsort()
    samples = samples[order]
    donors = samples.droplevel("tissue").unique().sort_values()
    counts = resampled_counts(donors.get_level_values("fold"), n_resamples, seed)
    counts = counts[:, donors.get_indexer(samples.droplevel("tissue"))]
    counts = np.vstack([np.ones_like(counts[:1]), counts])  # first, the original donors

    cells = pd.Series(range(len(samples)), index=samples).groupby(["tissue", "fold"]).indices
    tissues = tuple(str(name) for name in samples.unique("tissue"))
    n_genes = out_of_fold.sizes["gene"]
    genes: slice | NDArray[np.intp] = slice(None)
    if n_genes > MOST_GENES:
        genes = np.sort(np.random.default_rng(seed).permutation(n_genes)[:MOST_GENES])

    def of_tissue(name: str) -> tuple[float, Array]:
        folds = []
        for (tissue, _), rows in cells.items():
            if tissue == name:
                part = out_of_fold.isel(pair=order[rows])
                values = (part[side].to_numpy() for side in ("predicted", "observed"))
                folds.append((counts[:, rows], *values))
        resampled = _mean_rho([(w, p[:, genes], o[:, genes]) for w, p, o in folds])
        if n_genes <= MOST_GENES:
            return float(resampled[0]), resampled[1:]
        return float(_mean_rho([(w[:1], p, o) for w, p, o in folds])[0]), resampled[1:]

    # Threads share the arrays; the caller's joblib configuration sets their number.
    by_tissue = Parallel(require="sharedmem")(delayed(of_tissue)(name) for name in tissues)
    return ResampledRho(
        np.stack([scores for _, scores in by_tissue], axis=1),
        tissues,
        samples,
        float(np.nanmean([estimate for estimate, _ in by_tissue])),
    )


def _mean_rho(folds: list[tuple[Array, NDArray[np.float32], NDArray[np.float32]]]) -> Array:
    """Return the mean over genes (R,) of rho averaged over the folds of one tissue."""
    n_genes = folds[0][1].shape[1]
    counts = [(weights > 0).sum(axis=1) >= MINIMUM_DONORS for weights, _, _ in folds]
    total = np.where(np.any(counts, axis=0), 0.0, np.nan)
    # Correlations by fold, resample and gene of a whole transcriptome would not fit in memory.
    for block in gene_blocks(n_genes):
        if not any(np.ptp(part[:, block], axis=0).any() for _, part, _ in folds):
            continue  # a constant prediction, such as the training mean, adds 0
        rho = []
        for fold_counts, (weights, predicted, observed) in zip(counts, folds, strict=True):
            part = weighted_correlation(
                weights, predicted[:, block], observed[:, block], constant_x=0
            )
            part[~fold_counts] = np.nan
            rho.append(part)
        total += np.nan_to_num(fisher_mean(rho)).sum(axis=1)
    return np.asarray(total / n_genes)
