"""The own cohort's effects under shuffled labels and under resampled samples.

Genes of one tissue go together, predicted ones most of all: a few directions of the source make all
of them. So two lists of effects correlate by chance far more than as many independent numbers
would, and only draws of the samples tell how much.

What is drawn from values in single precision is in single precision: right to five digits.

Letters: R draws, N samples, G genes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from mtm_core.inference.one_sex import may_have
from mtm_core.statistics.blocks import gene_blocks
from mtm_core.statistics.correlation import correlation_with, weighted_correlation_with
from mtm_core.statistics.differential import PSEUDOCOUNT
from mtm_core.statistics.regression import orthonormal_basis, residuals
from mtm_core.statistics.resampling import percentile_interval, resampled_counts

Array = NDArray[np.floating]

N_DRAWS = 199
"""Draws of either kind: the least p-value is then 1 / 200."""
_SEED = 0
_ROUNDING = 1e-5
"""A difference of two rho below this is that of single precision."""


class Profiles(Protocol):
    """Samples in one tissue or more, as log2 expression."""

    @property
    def samples(self) -> pd.Index:
        """Names of the samples."""
        ...

    def genes(self, tissue: str) -> pd.Index:
        """Return the ids of the genes of ``tissue``."""
        ...

    def log2(self, tissue: str) -> Array:
        """Return log2 expression (N, genes of ``tissue``)."""
        ...

    def may_have(self, tissue: str) -> NDArray[np.bool_]:
        """Tell which samples (N,) are compared in ``tissue``."""
        ...


@dataclass(frozen=True)
class LinearTissues:
    """Linear expression (sample, tissue, gene) of one set of genes, as :class:`Profiles`.

    With ``sex`` by sample, people of the other sex are left out of tissues that only one has.
    """

    expression: xr.DataArray
    sex: pd.Series | None = None

    @property
    def samples(self) -> pd.Index:
        """Names of the samples."""
        return pd.Index(self.expression["sample"].to_numpy().astype(str), name="sample")

    def genes(self, tissue: str) -> pd.Index:
        """Return the ids of the genes."""
        return pd.Index(self.expression["gene"].to_numpy().astype(str), name="gene_id")

    def log2(self, tissue: str) -> Array:
        """Return log2(1 + expression) (N, G)."""
        linear = self.expression.sel(tissue=tissue).transpose("sample", "gene").to_numpy()
        return np.asarray(np.log2(1 + linear.astype(np.float64)))

    def may_have(self, tissue: str) -> NDArray[np.bool_]:
        """Tell which samples (N,) are compared in ``tissue``."""
        if self.sex is None:
            return np.ones(len(self.samples), dtype=bool)
        return may_have(tissue, self.sex.reindex(self.samples))


class Effects(Protocol):
    """Effects that can be drawn anew."""

    def gene_ids(self, tissue: str) -> pd.Index:
        """Return the genes that are the columns of every draw in ``tissue``."""
        ...

    def draw(self, tissue: str) -> tuple[Array, Array]:
        """Return effects (R, G) in ``tissue`` under shuffled labels and under resampled samples."""
        ...


@dataclass(frozen=True)
class GroupEffects:
    """log2 ratios of two groups' means of linear expression, as the reference's effects are.

    Not differences of the means of logarithms: these turn with the labels, so that shuffles which
    undo most of a true change agree with a reference nearly as well, in the other direction.

    Attributes
    ----------
    profiles
        The samples: :class:`mtm_core.studies.own_cohort.OwnCohort`, or some tissues of a
        prediction.
    groups
        Group by sample, NaN where not known.
    case, control
        The groups that are compared.
    """

    profiles: Profiles
    groups: pd.Series
    case: str
    control: str

    def gene_ids(self, tissue: str) -> pd.Index:
        """Return the genes of ``tissue``."""
        return self.profiles.genes(tissue)

    def draw(self, tissue: str) -> tuple[Array, Array]:
        """Return log2 ratios, as :class:`Effects` says."""
        groups = self.groups.reindex(self.profiles.samples)
        known = groups.isin([self.case, self.control]).to_numpy() & self.profiles.may_have(tissue)
        log2 = self.profiles.log2(tissue)[known]
        values = np.maximum(np.exp2(log2) - 1, 0)
        is_case = (groups[known] == self.case).to_numpy()
        rng = np.random.default_rng(_SEED)
        shuffled = np.stack([rng.permutation(is_case) for _ in range(N_DRAWS)])
        counts = resampled_counts(is_case, N_DRAWS, _SEED)
        return (
            _log2_ratios(values, shuffled, ~shuffled),
            _log2_ratios(values, counts * is_case, counts * ~is_case),
        )


@dataclass(frozen=True)
class TraitEffects:
    """Correlations with a trait, partial where there are covariates.

    Attributes
    ----------
    profiles
        The samples: :class:`mtm_core.studies.own_cohort.OwnCohort`, or some tissues of a
        prediction.
    trait, covariates
        As in :func:`mtm_core.studies.cohort_comparison.correlate_trait`. Covariates are regressed
        out once, before any draw.
    """

    profiles: Profiles
    trait: pd.Series
    covariates: pd.DataFrame | None = None

    def gene_ids(self, tissue: str) -> pd.Index:
        """Return the genes of ``tissue``."""
        return self.profiles.genes(tissue)

    def draw(self, tissue: str) -> tuple[Array, Array]:
        """Return correlations, as :class:`Effects` says."""
        samples = self.profiles.samples
        trait = self.trait.reindex(samples).to_numpy(dtype=np.float64)
        others = np.empty((len(samples), 0))
        if self.covariates is not None:
            others = self.covariates.reindex(samples).to_numpy(dtype=np.float64)
        known = np.isfinite(trait) & np.isfinite(others).all(axis=1)
        known &= self.profiles.may_have(tissue)
        basis = orthonormal_basis(np.column_stack([np.ones(known.sum()), others[known]]))
        log2 = self.profiles.log2(tissue)[known]
        values = residuals(log2, basis)
        left = residuals(trait[known, None], basis)
        rng = np.random.default_rng(_SEED)
        shuffled = np.stack([rng.permutation(left[:, 0]) for _ in range(N_DRAWS)])
        counts = resampled_counts(np.zeros(len(left)), N_DRAWS, _SEED)
        return (
            _correlations(shuffled, values, log2.dtype),
            weighted_correlation_with(counts, values.astype(log2.dtype), left[:, 0]),
        )


def chance_of_agreement(
    draws: tuple[Array, Array], reference: ArrayLike, observed: float
) -> Mapping[str, float]:
    """Say what ``observed``, a correlation of effects with a reference's, is worth.

    Parameters
    ----------
    draws
        Result of :meth:`Effects.draw`, (R, G) each, cut to the genes that were correlated.
    reference
        (G,) the reference's effects of these genes.
    observed
        Pearson's rho of the effects as they are with ``reference``.

    Returns
    -------
    Mapping
        ``low`` and ``high``: the 95 % interval of rho over resampled samples; ``chance_low`` and
        ``chance_high``: where 95 % of rho lie under shuffled labels; ``p``: the share of shuffles
        with as large an absolute rho, the data counted as one.
    """
    shuffled, resampled = (correlation_with(drawn, reference) for drawn in draws)
    low, high = percentile_interval(resampled)
    chance_low, chance_high = percentile_interval(shuffled)
    known = shuffled[~np.isnan(shuffled)]
    # A shuffle that deals the labels as they are gives the observed rho but for rounding.
    p = (1 + (np.abs(known) >= abs(observed) - _ROUNDING).sum()) / (1 + len(known))
    return {
        "low": low,
        "high": high,
        "chance_low": chance_low,
        "chance_high": chance_high,
        "p": float(p),
    }


def linear_of(log2: ArrayLike) -> Array:
    """Undo log2(1 + x); what is below 0 then is 0."""
    return np.asarray(np.maximum(np.exp2(np.asarray(log2, dtype=np.float64)) - 1, 0))


def log2_ratio(case: ArrayLike, control: ArrayLike) -> Array:
    """Return log2 of the ratio of two means of linear expression, 1 added to each."""
    return np.asarray(
        np.log2((np.asarray(case) + PSEUDOCOUNT) / (np.asarray(control) + PSEUDOCOUNT))
    )


def _log2_ratios(values: Array, case: ArrayLike, control: ArrayLike) -> Array:
    """Return log2 ratios (R, G) of linear ``values`` (N, G) under weights (R, N) of both groups."""
    shares = []
    for weights in (case, control):
        w = np.asarray(weights, dtype=np.float64)
        shares.append((w / w.sum(axis=1, keepdims=True)).astype(values.dtype))
    ratios = np.empty((len(shares[0]), values.shape[1]), dtype=values.dtype)
    for block in gene_blocks(values.shape[1]):
        mean_case, mean_control = (share @ values[:, block] for share in shares)
        mean_case += values.dtype.type(PSEUDOCOUNT)
        mean_control += values.dtype.type(PSEUDOCOUNT)
        mean_case /= mean_control
        np.log2(mean_case, out=ratios[:, block])
    return ratios


def _correlations(traits: Array, values: Array, dtype: np.dtype[np.floating]) -> Array:
    """Return Pearson's rho (R, G) of centred ``traits`` (R, N) and ``values`` (N, G)."""
    rows, columns = np.linalg.norm(traits, axis=1)[:, None], np.linalg.norm(values, axis=0)
    left, right = (
        np.divide(part, size, out=np.zeros_like(part), where=size > 0).astype(dtype)
        for part, size in ((traits, rows), (values, columns))
    )
    rho: Array = left @ right
    rho[rows[:, 0] == 0] = np.nan
    rho[:, columns == 0] = np.nan
    return rho
