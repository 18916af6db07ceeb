"""Comparison of methods on the same held-out donors (He et al. 2023, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu, spearmanr

from mtm_core.evaluation.accuracy import FDR, Accuracy
from mtm_core.evaluation.bootstrap import ResampledRho
from mtm_core.statistics.multiple_testing import benjamini_hochberg

MINIMUM_TISSUES = 4
"""Fewest tissues for a rank correlation over tissues."""


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho over ``n`` tissues and its two-sided p; NaN if undefined."""

    rho: float
    p: float
    n: int


def compare_tissues(first: Accuracy, other: Accuracy) -> pd.DataFrame:
    """Compare two methods in each tissue by Wilcoxon's rank-sum test, as in the paper.

    Returns
    -------
    pandas.DataFrame
        Indexed by tissue: ``n``; for gene-wise rho by fold (prefix ``gene_``) and sample-wise rho
        (prefix ``sample_``) the ``difference`` of the means, ``superiority`` (probability that a
        value of the first method is above one of the other), two-sided ``p`` and its ``fdr`` over
        tissues; ``n_predictable``, ``n_predictable_other`` and their ``fold_change``, NaN if the
        other method has no predictable gene.
    """
    table = pd.DataFrame({"n": first.tissues["n"]})
    for kind, (a, b) in {
        "gene": (first.genes, other.genes),
        "sample": (first.samples, other.samples),
    }.items():
        column = "rho_by_fold" if kind == "gene" else "rho"
        ours, theirs = (dict(iter(part.groupby("tissue")[column])) for part in (a, b))
        tests = {name: _rank_sum(ours[name], theirs[name]) for name in table.index}
        result = pd.DataFrame.from_dict(
            tests, orient="index", columns=["difference", "superiority", "p"]
        )
        result["fdr"] = benjamini_hochberg(result["p"])
        table = table.join(result.add_prefix(f"{kind}_"))
    return table.join(fold_changes(first.tissues, other.tissues))


def fold_changes(first: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Compare ``n_predictable`` of two tables indexed by tissue.

    Returns
    -------
    pandas.DataFrame
        Indexed by tissue: ``n_predictable``, ``n_predictable_other`` and ``fold_change``, first
        over other, NaN if the other has no predictable gene.
    """
    ours, theirs = first["n_predictable"], other["n_predictable"]
    table = pd.DataFrame({"n_predictable": ours, "n_predictable_other": theirs})
    return table.assign(fold_change=ours / theirs.where(theirs > 0))


def size_correlation(values: pd.Series, n: pd.Series) -> RankCorrelation:
    """Correlate a figure by tissue with the tissues' sample sizes, by Spearman's rho.

    Tissues in which the figure is NaN are ignored. The result is NaN for fewer than
    ``MINIMUM_TISSUES`` tissues, or if either side is constant.
    """
    known = pd.DataFrame({"value": values, "n": n}).dropna().to_numpy(np.float64)
    if len(known) < MINIMUM_TISSUES or not np.all(np.ptp(known, axis=0) > 0):
        return RankCorrelation(np.nan, np.nan, len(known))
    rho, p = spearmanr(known[:, 0], known[:, 1])
    return RankCorrelation(float(rho), float(p), len(known))


def compare_methods(
    accuracies: Mapping[str, Accuracy], resampled: Mapping[str, ResampledRho] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare all pairs of methods.

    Returns
    -------
    tuple
        First, one row for each pair ``method`` and ``other``: ``difference`` of mean gene-wise rho
        by fold, with ``difference_low``, ``difference_high`` and ``p_bootstrap`` if there are
        resamples; numbers of tissues in which the first method is better and worse (``gene_wins``,
        ``gene_losses``), also at an FDR of at most 5 % (``gene_wins_fdr``, ``gene_losses_fdr``),
        and the same for samples; ``share_found_by_other`` of the first method's predictable genes,
        and ``share_of_other_found`` by the first; ``fold_change_vs_n``, Spearman's rho of the fold
        change of predictable genes with sample size over ``n_fold_change`` tissues, and its
        ``fold_change_p``. Second, the joined tables of :func:`compare_tissues`.
    """
    pairs, tissues = [], []
    for first, other in combinations(accuracies, 2):
        by_tissue = compare_tissues(accuracies[first], accuracies[other])
        names = {"method": first, "other": other}
        row: dict[str, object] = dict(names)
        means = [accuracies[name].summary()["gene_rho_by_fold_mean"] for name in (first, other)]
        row["difference"] = means[0] - means[1]
        if resampled is not None:
            paired = resampled[first].difference_from(resampled[other])
            row |= {"difference_low": paired.low, "difference_high": paired.high}
            row["p_bootstrap"] = paired.p
        for kind in ("gene", "sample"):
            row |= _wins(by_tissue, kind)
        row |= _shared_genes(accuracies[first], accuracies[other])
        size = size_correlation(by_tissue["fold_change"], by_tissue["n"])
        row |= {"fold_change_vs_n": size.rho, "fold_change_p": size.p, "n_fold_change": size.n}
        pairs.append(row)
        tissues.append(by_tissue.reset_index().assign(**names))
    if not pairs:
        return pd.DataFrame(), pd.DataFrame()
    return pd.DataFrame(pairs), pd.concat(tissues, ignore_index=True)


def predictable_sets(genes: pd.DataFrame) -> pd.DataFrame:
    """Count the genes, over tissues, that exactly each combination of methods predicts.

    Parameters
    ----------
    genes
        Genes of several methods: ``method``, ``tissue``, ``gene_id``, ``is_predictable``.

    Returns
    -------
    pandas.DataFrame
        One row for each combination that occurs: a bool column for each method, and ``n``,
        descending.
    """
    found = genes[genes["is_predictable"]].set_index(["tissue", "gene_id", "method"])
    wide = found["is_predictable"].unstack("method", fill_value=False)
    wide = wide.reindex(columns=sorted(genes["method"].unique()), fill_value=False)
    return wide.value_counts().reset_index(name="n")


def _rank_sum(first: pd.Series, other: pd.Series) -> tuple[float, float, float]:
    """Return the difference of means, and superiority and two-sided p of the rank-sum test."""
    a, b = (values.dropna().to_numpy(np.float64) for values in (first, other))
    if not len(a) or not len(b):
        return np.nan, np.nan, np.nan
    difference = float(a.mean() - b.mean())
    test = mannwhitneyu(a, b, method="asymptotic")
    return difference, float(test.statistic) / (len(a) * len(b)), float(test.pvalue)


def _wins(by_tissue: pd.DataFrame, kind: str) -> dict[str, int]:
    lead = by_tissue[f"{kind}_superiority"] - 0.5
    significant = by_tissue[f"{kind}_fdr"] <= FDR
    return {
        f"{kind}_wins": int((lead > 0).sum()),
        f"{kind}_losses": int((lead < 0).sum()),
        f"{kind}_wins_fdr": int((significant & (lead > 0)).sum()),
        f"{kind}_losses_fdr": int((significant & (lead < 0)).sum()),
    }


def _shared_genes(first: Accuracy, other: Accuracy) -> dict[str, float]:
    ours, theirs = (
        method.genes.set_index(["tissue", "gene_id"])["is_predictable"] for method in (first, other)
    )
    both = int((ours & theirs.reindex(ours.index)).sum())
    return {
        "share_found_by_other": both / ours.sum() if ours.any() else np.nan,
        "share_of_other_found": both / theirs.sum() if theirs.any() else np.nan,
    }
