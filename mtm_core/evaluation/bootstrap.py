"""How far the mean gene-wise rho would move with other donors: the donor bootstrap.

Donors, not samples, are drawn, with replacement inside each fold, so that all tissues of a donor
come and go together and no resample mixes folds. The same seed and donors give the same resamples,
whatever the method: differences of two methods are paired.

A donor who is drawn twice agrees with himself, so correlations of a small resample lie a little
above those of as many different donors. Intervals are moved back by what the resamples' mean is off
(Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 10.3).

Of more than ``MOST_GENES`` genes a fixed random ``MOST_GENES`` are scored in the resamples: what
moves is the donors, and the mean over that many genes moves with them as the mean over all does.
The estimate that the intervals are around is over all genes.
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
"""Genes that are scored in every resample."""


@dataclass(frozen=True)
class ResampledRho:
    """Mean gene-wise rho, by fold, in resamples of the donors.

    Attributes
    ----------
    by_tissue
        (R resamples, T tissues); NaN where no fold counted.
    tissues
        Names of the T tissues.
    samples
        Donor, tissue and fold of what was scored, to pair methods by.
    estimate
        Mean over the tissues of the donors as they are.
    """

    by_tissue: Array
    tissues: tuple[str, ...]
    samples: pd.MultiIndex
    estimate: float

    @property
    def mean(self) -> Array:
        """Means over the tissues (R,) that have one, around ``estimate``."""
        means = np.asarray(pd.DataFrame(self.by_tissue).mean(axis=1))
        centred: Array = means - means.mean() + self.estimate
        return centred

    def interval(self) -> tuple[float, float]:
        """Return the 95 % percentile interval of the mean over tissues."""
        return percentile_interval(self.mean)

    def less(self, other: ResampledRho) -> PairedDifference:
        """Return the difference to ``other``, in the same resamples.

        Raises
        ------
        ValueError
            If the two were not scored on the same samples, or not resampled alike.
        """
        if not self.samples.equals(other.samples) or len(self.mean) != len(other.mean):
            raise ValueError("expected two methods resampled on the same samples and folds")
        difference = self.mean - other.mean
        return PairedDifference(*percentile_interval(difference), bootstrap_p(difference))


@dataclass(frozen=True)
class PairedDifference:
    """95 % interval of a difference and twice the share of resamples on the rarer side of 0."""

    low: float
    high: float
    p: float


def resample_donors(
    out_of_fold: xr.Dataset, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> ResampledRho:
    """Resample the donors of ``out_of_fold``, and score each resample as ``gene_rho_by_fold``.

    A fold counts in a resample that drew at least ``MINIMUM_DONORS`` different donors of it who
    have the tissue.
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
    counts = np.vstack([np.ones_like(counts[:1]), counts])  # the donors as they are, first

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

    # In threads, as many as the caller's joblib jobs: the numbers stay where they are.
    by_tissue = Parallel(require="sharedmem")(delayed(of_tissue)(name) for name in tissues)
    return ResampledRho(
        np.stack([scores for _, scores in by_tissue], axis=1),
        tissues,
        samples,
        float(np.nanmean([estimate for estimate, _ in by_tissue])),
    )


def _mean_rho(folds: list[tuple[Array, NDArray[np.float32], NDArray[np.float32]]]) -> Array:
    """Return the mean over genes (R,) of the Fisher mean over folds of one tissue."""
    n_genes = folds[0][1].shape[1]
    counts = [(weights > 0).sum(axis=1) >= MINIMUM_DONORS for weights, _, _ in folds]
    total = np.where(np.any(counts, axis=0), 0.0, np.nan)
    # The (fold, resample, gene) correlations of a whole transcriptome would fill the memory.
    for block in gene_blocks(n_genes):
        if not any(np.ptp(part[:, block], axis=0).any() for _, part, _ in folds):
            continue  # a prediction that never varies, such as the training mean, adds 0
        rho = []
        for fold_counts, (weights, predicted, observed) in zip(counts, folds, strict=True):
            part = weighted_correlation(
                weights, predicted[:, block], observed[:, block], constant_x=0
            )
            part[~fold_counts] = np.nan
            rho.append(part)
        total += np.nan_to_num(fisher_mean(rho)).sum(axis=1)
    return np.asarray(total / n_genes)
