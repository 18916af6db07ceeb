"""Accuracy of out-of-fold predictions (He et al. 2023, sections 2.4 and 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.evaluation.composition import composition_design
from mtm_core.evaluation.confounding import confounder_design, known_confounders, strata
from mtm_core.evaluation.coverage import coverage
from mtm_core.statistics.correlation import (
    columnwise_correlation,
    correlation_interval,
    correlation_p,
    fisher_mean,
    rowwise_correlation,
)
from mtm_core.statistics.multiple_testing import benjamini_hochberg
from mtm_core.statistics.regression import orthonormal_basis, residuals

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

PREDICTABLE_RHO = 0.3
"""Pooled rho above which a gene is predictable in a tissue (a pGene), as in the paper."""
FDR = 0.05
"""FDR level of Benjamini and Hochberg, over genes of a tissue or tissues of a comparison."""
MINIMUM_DONORS = 4
"""Fewest held-out donors of a tissue in a fold for a correlation.

After covariates are regressed out, the residuals must have as many degrees of freedom as those of
these donors about their mean.
"""


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of one method.

    Attributes
    ----------
    genes
        One row for each tissue and gene: ``n`` donors; ``rho_by_fold`` (Pearson's rho inside each
        fold, averaged by Fisher's z); ``rho_pooled`` (over the predictions of all folds) with its
        95 % interval ``rho_low`` and ``rho_high``, its one-sided ``p`` and the ``fdr`` over the
        genes of the tissue; ``r2``; ``mae_ratio`` (absolute error over that of the training mean);
        ``is_predictable``, by the rule of the paper, and ``survives_fdr``, predictable with an FDR
        of at most 5 %. With phenotypes, ``adjusted_rho_by_fold`` and ``adjusted_rho_pooled``, with
        age, sex and Hardy scale regressed out of both sides, inside each fold or over all donors.
        With blood composition, ``n_composition`` donors with known composition, and over these
        ``rho_composition_known``, pooled, and ``rho_adjusted_for_composition``, with the cell
        shares regressed out of both sides.
    tissues
        One row for each tissue: ``n``; means over genes ``gene_rho_by_fold``,
        ``gene_rho_pooled``, ``gene_adjusted_rho_by_fold``, ``gene_adjusted_rho_pooled``,
        ``gene_rho_composition_known`` and ``gene_rho_adjusted_for_composition``, in which a gene
        with a constant prediction counts as 0; ``sample_rho``, mean over donors; ``n_predictable``
        and ``n_predictable_fdr`` genes; ``mse_ratio`` and ``mae_ratio``, error over that of the
        training mean; ``coverage_{level}``, if the method has intervals. NaN if no fold has enough
        donors.
    samples
        One row for each held-out sample: ``tissue``, ``donor``, and ``rho`` over its genes.
    """

    genes: pd.DataFrame
    tissues: pd.DataFrame
    samples: pd.DataFrame

    def summary(self) -> dict[str, float]:
        """Return means over tissues, and coverage over all values."""
        return summarise_tissues(self.tissues)


def summarise_tissues(tissues: pd.DataFrame) -> dict[str, float]:
    """Return the mean of each figure over tissues, as ``{figure}_mean``.

    Coverage is averaged over all held-out values instead, and its name is unchanged.
    """
    result = {}
    for figure in tissues.columns.drop("n"):
        values = tissues[figure].dropna()
        if not figure.startswith("coverage_"):
            result[f"{figure}_mean"] = float(values.mean())
        elif len(values):
            result[figure] = float(np.average(values, weights=tissues.loc[values.index, "n"]))
    return result


def accuracy(
    out_of_fold: xr.Dataset,
    phenotypes: pd.DataFrame | None = None,
    *,
    design: Array | None = None,
    composition: pd.DataFrame | None = None,
) -> Accuracy:
    """Score out-of-fold predictions by gene, tissue and sample.

    Parameters
    ----------
    out_of_fold
        Out-of-fold predictions; may also have intervals (:mod:`mtm_core.evaluation.coverage`).
    phenotypes
        Donor table of the cohort. Without one, or if it has neither age nor sex nor Hardy scale,
        there are no partial correlations.
    design
        Design matrix (P, C) with an intercept, to regress out in place of age, sex and Hardy scale.
    composition
        Shares of blood cells by donor, from
        :func:`mtm_core.evaluation.composition.estimated_composition`.

    Raises
    ------
    CohortError
        If ``phenotypes`` lacks a donor.
    """
    donor, tissue, fold = (out_of_fold[name].to_numpy() for name in ("donor", "tissue", "fold"))
    if design is None and phenotypes is not None and known_confounders(phenotypes):
        design = confounder_design(phenotypes, donor)
    cells = None if composition is None else composition_design(composition, donor)
    genes, tissues, samples, inside = {}, {}, {}, []
    ids = out_of_fold["gene"].to_numpy().astype(object)
    for name in np.unique(tissue):
        rows = np.flatnonzero(tissue == name)
        part = out_of_fold.isel(pair=rows)  # a wide cohort may not fit in memory at once
        p, o = part["predicted"].to_numpy(), part["observed"].to_numpy()
        read = {"predicted": (part["predicted"].dims, p), "observed": (part["observed"].dims, o)}
        inside.append(coverage(part.assign(read)))
        genes[name] = _score_genes(p, o, fold[rows], None if design is None else design[rows])
        if cells is not None:
            genes[name] = genes[name].assign(**_adjusted_for_composition(p, o, cells[rows]))
        genes[name].insert(0, "gene_id", ids)
        samples[name] = pd.DataFrame(
            {"donor": donor[rows], "rho": np.nan_to_num(rowwise_correlation(p, o))}
        )
        tissues[name] = _score_tissue(p, o, genes[name], samples[name])
    by_tissue = pd.DataFrame.from_dict(tissues, orient="index").rename_axis("tissue")
    return Accuracy(
        genes=_joined(genes),
        tissues=by_tissue.join(pd.concat(inside)),
        samples=_joined(samples),
    )


def accuracy_in_strata(
    out_of_fold: xr.Dataset,
    phenotypes: pd.DataFrame,
    genes: pd.DataFrame | None = None,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Score each stratum of :func:`mtm_core.evaluation.confounding.strata` separately.

    Returns
    -------
    pandas.DataFrame
        Indexed by stratum: ``n_tissues``, ``n_samples``, and :meth:`Accuracy.summary`. In every
        stratum, errors are relative to those of the mean of all training donors.
    """
    rows = {}
    for name, part in strata(out_of_fold, phenotypes, genes, seed=seed).items():
        scored = accuracy(part)
        counts = {"n_tissues": len(scored.tissues), "n_samples": len(scored.samples)}
        rows[name] = counts | scored.summary()
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("stratum")


def with_predictable(genes: pd.DataFrame) -> pd.DataFrame:
    """Add ``is_predictable`` to the genes of an older evaluation, which lacks it."""
    if "is_predictable" in genes:
        return genes
    return genes.assign(is_predictable=genes["rho_pooled"] > PREDICTABLE_RHO)


def gene_rho_by_fold(out_of_fold: xr.Dataset) -> pd.Series:
    """Return ``gene_rho_by_fold`` of each tissue, as :func:`accuracy` does."""
    tissue, fold = (out_of_fold[name].to_numpy() for name in ("tissue", "fold"))
    means = {}
    for name in np.unique(tissue):
        rows = np.flatnonzero(tissue == name)
        part = out_of_fold.isel(pair=rows)
        predicted, observed = part["predicted"].to_numpy(), part["observed"].to_numpy()
        means[name] = _mean_over_genes(pd.Series(_rho_by_fold(predicted, observed, fold[rows])))
    return pd.Series(means, dtype=np.float64)


def correlation_or_0(predicted: NDArray[np.floating], observed: NDArray[np.floating]) -> Array:
    """Return rho by gene: 0 if only the prediction is constant, NaN if the observation is.

    Otherwise a fold with a constant prediction would not lower the mean over folds.
    """
    rho = columnwise_correlation(predicted, observed)
    rho[np.isnan(rho) & (np.ptp(observed, axis=0) > 0)] = 0
    return rho


def _score_genes(
    predicted: Floats, observed: Floats, fold: NDArray[np.int64], design: Array | None
) -> pd.DataFrame:
    """Return the accuracy of the genes in one tissue, without gene ids."""
    n = len(predicted)
    pooled = columnwise_correlation(predicted, observed)
    low, high = correlation_interval(pooled, n)
    p = correlation_p(pooled, n)
    fdr = benjamini_hochberg(p)
    is_predictable = pooled > PREDICTABLE_RHO
    table = pd.DataFrame(
        {
            "n": n,
            "rho_by_fold": _rho_by_fold(predicted, observed, fold),
            "rho_pooled": pooled,
            "r2": 1 - _error_ratio(predicted, observed, 2),
            "rho_low": low,
            "rho_high": high,
            "p": p,
            "fdr": fdr,
            "is_predictable": is_predictable,
            "survives_fdr": is_predictable & (fdr <= FDR),
            "mae_ratio": _error_ratio(predicted, observed, 1),
        }
    )
    if design is not None:
        table["adjusted_rho_by_fold"] = _rho_by_fold(predicted, observed, fold, design)
        table["adjusted_rho_pooled"] = _adjusted_rho(predicted, observed, design)
    return table


def _score_tissue(
    predicted: Floats, observed: Floats, genes: pd.DataFrame, samples: pd.DataFrame
) -> dict[str, float]:
    """Return the accuracy of one tissue from that of its genes and samples."""
    row = {
        "n": len(samples),
        "gene_rho_by_fold": _mean_over_genes(genes["rho_by_fold"]),
        "gene_rho_pooled": genes["rho_pooled"].fillna(0).mean(),
        "sample_rho": samples["rho"].mean(),
        "n_predictable": int(genes["is_predictable"].sum()),
        "mse_ratio": float(_error_ratio(predicted.ravel(), observed.ravel(), 2)),
        "mae_ratio": float(_error_ratio(predicted.ravel(), observed.ravel(), 1)),
        "n_predictable_fdr": int(genes["survives_fdr"].sum()),
    }
    if "adjusted_rho_by_fold" in genes:
        row["gene_adjusted_rho_by_fold"] = _mean_over_genes(genes["adjusted_rho_by_fold"])
        row["gene_adjusted_rho_pooled"] = _mean_over_genes(genes["adjusted_rho_pooled"])
    for figure in ("rho_composition_known", "rho_adjusted_for_composition"):
        if figure in genes:
            row[f"gene_{figure}"] = _mean_over_genes(genes[figure])
    return row


def _rho_by_fold(
    predicted: Floats, observed: Floats, fold: NDArray[np.int64], design: Array | None = None
) -> Array:
    """Return the (adjusted) correlations inside each fold, averaged by Fisher's z."""
    parts = [np.full(predicted.shape[1], np.nan)]
    for k in np.unique(fold):
        in_fold = fold == k
        if design is not None:
            parts.append(_adjusted_rho(predicted[in_fold], observed[in_fold], design[in_fold]))
        elif in_fold.sum() >= MINIMUM_DONORS:
            parts.append(correlation_or_0(predicted[in_fold], observed[in_fold]))
    return fisher_mean(parts)


def _adjusted_for_composition(
    predicted: Floats, observed: Floats, cells: Array
) -> dict[str, Array | int]:
    """Correlate the donors with known composition, without and with adjustment for it."""
    known = np.isfinite(cells).all(axis=1)
    p, o, design = predicted[known], observed[known], cells[known]
    nan = np.full(predicted.shape[1], np.nan)
    return {
        "n_composition": int(known.sum()),
        "rho_composition_known": correlation_or_0(p, o) if len(p) >= MINIMUM_DONORS else nan,
        "rho_adjusted_for_composition": _adjusted_rho(p, o, design) if len(p) else nan,
    }


def _adjusted_rho(predicted: Floats, observed: Floats, design: Array) -> Array:
    """Return partial correlations given ``design``; NaN with too few degrees of freedom."""
    basis = orthonormal_basis(design)
    if len(predicted) - basis.shape[1] < MINIMUM_DONORS - 1:
        return np.full(predicted.shape[1], np.nan)
    return correlation_or_0(residuals(predicted, basis), residuals(observed, basis))


def _error_ratio(predicted: Floats, observed: Floats, power: int) -> Array:
    """Return the error relative to that of predicting 0, the training mean."""
    error = (np.abs(predicted - observed, dtype=np.float64) ** power).sum(axis=0)
    spread = (np.abs(observed, dtype=np.float64) ** power).sum(axis=0)
    ratio = np.full(np.shape(error), np.nan)
    np.divide(error, spread, out=ratio, where=spread > 0)
    return ratio


def _mean_over_genes(rho: pd.Series) -> float:
    return float(rho.fillna(0).mean()) if rho.notna().any() else float("nan")


def _joined(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Join the tables of all tissues, with a first column ``tissue``."""
    return pd.concat(parts, names=["tissue"]).reset_index("tissue").reset_index(drop=True)
