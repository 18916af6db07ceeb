"""Method against method, on the same held-out donors (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, spearmanr

from mtm_core.evaluation.accuracy import FDR, Accuracy
from mtm_core.evaluation.bootstrap import ResampledRho
from mtm_core.statistics.multiple_testing import benjamini_hochberg

MINIMUM_TISSUES = 4
"""Tissues that a rank correlation over tissues is given for."""


def compare_tissues(first: Accuracy, other: Accuracy) -> pd.DataFrame:
    """Compare two methods in each tissue, as the paper does: Wilcoxon's rank-sum test.

    Returns
    -------
    pandas.DataFrame
        Indexed by tissue: ``n``; for gene-wise rho by fold (``gene_``) and sample-wise rho
        (``sample_``) the ``difference`` of the means, ``superiority`` (chance that one of the first
        is above one of the other, 0.5 for alike), two-sided ``p`` and its ``fdr`` over tissues;
        ``n_predictable`` and ``n_predictable_other``; ``fold_change`` of the two, NaN where the
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
    table["n_predictable"] = first.tissues["n_predictable"]
    table["n_predictable_other"] = other.tissues["n_predictable"]
    table["fold_change"] = table["n_predictable"] / table["n_predictable_other"].where(
        table["n_predictable_other"] > 0
    )
    return table


def compare_methods(
    accuracies: Mapping[str, Accuracy], resampled: Mapping[str, ResampledRho] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare every two of the methods.

    Returns
    -------
    tuple
        One row a pair of methods, ``method`` and ``other``: ``difference`` of mean gene-wise rho by
        fold with the bootstrap's ``difference_low``, ``difference_high`` and ``p_bootstrap`` (where
        ``resampled``); tissues that the first wins and loses, at all (``gene_wins``) and with an
        FDR of at most 5 % (``gene_wins_fdr``), the same for samples; ``share_found_by_other`` of
        the first's predictable genes and ``share_of_other_found`` by the first;
        ``fold_change_vs_n``, Spearman's rho of the fold change of predictable genes and sample
        size, over ``n_fold_change`` tissues, and its ``fold_change_p``. And the tables of
        :func:`compare_tissues`, joined.
    """
    pairs, tissues = [], []
    for first, other in combinations(accuracies, 2):
        by_tissue = compare_tissues(accuracies[first], accuracies[other])
        names = {"method": first, "other": other}
        row: dict[str, object] = dict(names)
        means = [accuracies[name].summary()["gene_rho_by_fold_mean"] for name in (first, other)]
        row["difference"] = means[0] - means[1]
        if resampled is not None:
            paired = resampled[first].less(resampled[other])
            row |= {"difference_low": paired.low, "difference_high": paired.high}
            row["p_bootstrap"] = paired.p
        for kind in ("gene", "sample"):
            row |= _wins(by_tissue, kind)
        row |= _shared_genes(accuracies[first], accuracies[other])
        row |= _fold_change_against_size(by_tissue)
        pairs.append(row)
        tissues.append(by_tissue.reset_index().assign(**names))
    if not pairs:
        return pd.DataFrame(), pd.DataFrame()
    return pd.DataFrame(pairs), pd.concat(tissues, ignore_index=True)


def predictable_sets(genes: pd.DataFrame) -> pd.DataFrame:
    """Count the (tissue, gene) that are predictable by each combination of methods and no other.

    Parameters
    ----------
    genes
        Rows of several methods: ``method``, ``tissue``, ``gene_id``, ``is_predictable``.

    Returns
    -------
    pandas.DataFrame
        One row a combination that occurs: a bool column a method, and ``n``; the most first.
    """
    wide = genes.pivot_table(
        index=["tissue", "gene_id"], columns="method", values="is_predictable", aggfunc="any"
    )
    return wide[wide.any(axis=1)].astype(bool).value_counts().reset_index(name="n")


def _rank_sum(first: pd.Series, other: pd.Series) -> tuple[float, float, float]:
    """Give the difference of means, the superiority and the two-sided p of the rank-sum test."""
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


def _fold_change_against_size(by_tissue: pd.DataFrame) -> dict[str, float]:
    known = by_tissue.dropna(subset="fold_change")
    values: list[NDArray[np.float64]] = [
        known[name].to_numpy(np.float64) for name in ("fold_change", "n")
    ]
    enough = len(known) >= MINIMUM_TISSUES and all(np.ptp(part) > 0 for part in values)
    rho, p = spearmanr(*values) if enough else (np.nan, np.nan)
    return {"fold_change_vs_n": float(rho), "fold_change_p": float(p), "n_fold_change": len(known)}
