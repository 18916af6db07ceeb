"""Comparisons of methods against scipy, tissue by tissue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import false_discovery_control, mannwhitneyu, spearmanr

from mtm_core.evaluation.accuracy import Accuracy, accuracy
from mtm_core.evaluation.bootstrap import resample_donors
from mtm_core.evaluation.comparison import compare_methods, compare_tissues, predictable_sets

TISSUES = ["Liver", "Lung", "Spleen"]


@pytest.fixture
def methods(predict: Callable[[float], xr.Dataset]) -> dict[str, xr.Dataset]:
    return {"good": predict(0.7), "fair": predict(0.45), "nothing": 0 * predict(0.0)}


@pytest.fixture
def accuracies(methods: dict[str, xr.Dataset]) -> dict[str, Accuracy]:
    observed = methods["good"]["observed"]
    return {name: accuracy(part.assign(observed=observed)) for name, part in methods.items()}


def of_tissue(table: pd.DataFrame, tissue: str) -> pd.DataFrame:
    return table[table["tissue"] == tissue]


@pytest.mark.parametrize("kind", ["gene", "sample"])
def test_tissues_are_compared_by_the_rank_sum_test(
    accuracies: dict[str, Accuracy], kind: str
) -> None:
    good, fair = accuracies["good"], accuracies["fair"]
    table = compare_tissues(good, fair)
    assert table.index.tolist() == TISSUES
    p = []
    for tissue in TISSUES:
        a, b = (
            of_tissue(part.genes, tissue)["rho_by_fold"]
            if kind == "gene"
            else of_tissue(part.samples, tissue)["rho"]
            for part in (good, fair)
        )
        test = mannwhitneyu(a, b, method="asymptotic")
        p.append(test.pvalue)
        row = table.loc[tissue]
        assert row[f"{kind}_p"] == pytest.approx(test.pvalue)
        assert row[f"{kind}_superiority"] == pytest.approx(
            np.mean([float(x > y) for x in a for y in b])
        )
        assert row[f"{kind}_difference"] == pytest.approx(a.mean() - b.mean())
    np.testing.assert_allclose(table[f"{kind}_fdr"], false_discovery_control(p))


def test_a_method_turned_round_loses_where_it_won(accuracies: dict[str, Accuracy]) -> None:
    there = compare_tissues(accuracies["good"], accuracies["fair"])
    back = compare_tissues(accuracies["fair"], accuracies["good"])
    for kind in ("gene", "sample"):
        np.testing.assert_allclose(back[f"{kind}_p"], there[f"{kind}_p"])
        np.testing.assert_allclose(back[f"{kind}_superiority"], 1 - there[f"{kind}_superiority"])


def test_a_method_against_itself_neither_wins_nor_loses(accuracies: dict[str, Accuracy]) -> None:
    for name in ("good", "nothing"):
        pairs, tissues = compare_methods({"a": accuracies[name], "b": accuracies[name]})
        row = pairs.iloc[0]
        assert row["difference"] == 0
        assert (row.filter(regex="wins|losses") == 0).all()
        assert (tissues["gene_superiority"] == 0.5).all()
        assert (tissues["gene_p"] == 1).all()


def test_pairs_of_methods(accuracies: dict[str, Accuracy], methods: dict[str, xr.Dataset]) -> None:
    observed = methods["good"]["observed"]
    resampled = {
        name: resample_donors(part.assign(observed=observed), n_resamples=100)
        for name, part in methods.items()
    }
    pairs, tissues = compare_methods(accuracies, resampled)
    assert pairs[["method", "other"]].to_numpy().tolist() == [
        ["good", "fair"],
        ["good", "nothing"],
        ["fair", "nothing"],
    ]
    assert tissues[["method", "tissue"]].duplicated().sum() == 3
    assert len(tissues) == 9
    pair = pairs.iloc[1]
    means = [accuracies[name].tissues["gene_rho_by_fold"].mean() for name in ("good", "nothing")]
    assert pair["difference"] == pytest.approx(means[0] - means[1])
    assert 0.3 < pair["difference_low"] < pair["difference"] < pair["difference_high"]
    assert pair["p_bootstrap"] == pytest.approx(2 / 101)
    assert (pair["gene_wins"], pair["gene_wins_fdr"], pair["gene_losses"]) == (3, 3, 0)
    back, _ = compare_methods({name: accuracies[name] for name in ("nothing", "good")})
    assert (back["gene_losses"][0], back["sample_losses_fdr"][0], back["gene_wins"][0]) == (3, 3, 0)
    assert "difference_low" not in back
    assert all(len(table) == 0 for table in compare_methods({"good": accuracies["good"]}))


def test_shared_predictable_genes(accuracies: dict[str, Accuracy]) -> None:
    predictable = (accuracies[name].genes.query("is_predictable") for name in ("good", "fair"))
    good, fair = (set(part.set_index(["tissue", "gene_id"]).index) for part in predictable)
    assert len(fair) < len(good)
    row = compare_methods(accuracies)[0].iloc[0]
    assert row["share_found_by_other"] == pytest.approx(len(good & fair) / len(good))
    assert row["share_of_other_found"] == pytest.approx(len(good & fair) / len(fair))
    nothing = compare_methods(accuracies)[0].iloc[1]
    assert nothing["share_found_by_other"] == 0
    assert np.isnan(nothing["share_of_other_found"])

    genes = pd.concat([part.genes.assign(method=name) for name, part in accuracies.items()])
    sets = predictable_sets(genes).set_index(["good", "fair", "nothing"])["n"]
    assert sets.get((True, True, False), 0) == len(good & fair)
    assert sets.get((True, False, False), 0) == len(good - fair)
    assert sets.get((False, True, False), 0) == len(fair - good)
    assert sets.sum() == len(good | fair)


def test_fold_change_of_predictable_genes_against_sample_size(
    accuracies: dict[str, Accuracy],
) -> None:
    # Six tissues; the last has no predictable gene of the other method.
    n, ours, theirs = [50, 90, 100, 300, 400, 10], [9, 6, 7, 5, 3, 4], [3, 3, 5, 4, 3, 0]
    names = [f"T{i}" for i in range(6)]

    def made_up(counts: list[int]) -> Accuracy:
        tissues = pd.DataFrame(
            {"n": n, "gene_rho_by_fold": 0.1, "n_predictable": counts},
            index=pd.Index(names, name="tissue"),
        )
        tables = [
            pd.concat([part[part["tissue"] == "Liver"].assign(tissue=name) for name in names])
            for part in (accuracies["good"].genes, accuracies["good"].samples)
        ]
        return replace(accuracies["good"], genes=tables[0], samples=tables[1], tissues=tissues)

    pairs, tissues = compare_methods({"ours": made_up(ours), "theirs": made_up(theirs)})
    np.testing.assert_allclose(tissues["fold_change"], [3, 2, 1.4, 1.25, 1, np.nan])
    expected = spearmanr(n[:5], [3, 2, 1.4, 1.25, 1])
    assert pairs["fold_change_vs_n"][0] == pytest.approx(expected.statistic)
    assert pairs["fold_change_p"][0] == pytest.approx(expected.pvalue)
    assert pairs["n_fold_change"][0] == 5

    # Too few tissues, or a fold change that is the same in all: no figure, no warning.
    for counts in ([1, 1, 1, 0, 0, 0], ours):
        pairs, _ = compare_methods({"ours": made_up(ours), "theirs": made_up(counts)})
        assert np.isnan(pairs["fold_change_vs_n"][0])
