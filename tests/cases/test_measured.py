"""Measured blood is compared as it was measured: against a calculation of log2 CPM by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, mannwhitneyu, pearsonr

from mtm_core.cli.main import run
from tests.cases import base, people
from tests.cases.base import case_file


def compare(table: Path, metadata: Path, output: Path, *options: str) -> pd.DataFrame:
    """Run ``mtm compare``; give the rows of measured blood by gene, in the order of the table."""
    words = ["mtm", "compare", str(table), "--metadata", str(metadata), "--output", str(output)]
    _run(*words, "--targets", "Lung,Liver", *options)
    whole = pd.read_csv(output / "differential_expression.csv")
    assert set(whole["tissue"]) == {"Whole Blood", "Lung", "Liver"}
    assert set(whole.loc[whole["origin"] == "predicted", "gene_id"]) == set(
        base.predictor().artefact.genes.index
    )
    return whole[whole["origin"] == "measured"].reset_index(drop=True)


def _run(*words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(words))
        with pytest.raises(SystemExit) as ended:
            run()
    assert not ended.value.code


def by_hand(log2: pd.DataFrame, groups: pd.Series, case: str, control: str) -> pd.DataFrame:
    """Compare two groups of people (rows) gene by gene."""
    rows = []
    for gene in log2:
        a, b = log2.loc[groups == case, gene], log2.loc[groups == control, gene]
        p = mannwhitneyu(a, b, method="asymptotic").pvalue if np.ptp(log2[gene]) else np.nan
        rows.append((a.mean(), b.mean(), a.mean() - b.mean(), p))
    table = pd.DataFrame(rows, columns=["mean_case", "mean_control", "log2_fold_change", "p"])
    known = table["p"].notna()
    table.loc[known, "fdr"] = false_discovery_control(table.loc[known, "p"])
    return table


def log2_cpm(counts: pd.DataFrame) -> pd.DataFrame:
    """Return log2(1 + CPM) (people, genes) of counts (genes, people)."""
    return np.log2(1 + counts / counts.sum() * 1e6).T


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    for column in expected:
        np.testing.assert_allclose(found[column], expected[column], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("unit", ["counts", "tpm", "log2"])
@pytest.mark.parametrize("alignment", ["auto", "none"])
def test_measured_blood_is_the_users_own(unit: str, alignment: str, tmp_path: Path) -> None:
    table = {
        "counts": base.counts(),
        "tpm": base.tpm(),
        "log2": np.log2(1 + base.tpm()),
    }[unit]
    people.base().to_csv(tmp_path / "people.csv", index=False)
    found = compare(
        base.write(table, tmp_path / "table.csv"),
        tmp_path / "people.csv",
        tmp_path / "out",
        *("--groups", "group=covid,healthy", "--unit", unit, "--alignment", alignment),
    )
    own = {
        "counts": log2_cpm(base.counts()),
        "tpm": np.log2(1 + base.tpm()).T,
        "log2": np.log2(1 + base.tpm()).T,
    }[unit]
    groups = people.base().set_index("sample")["group"]
    same(found, by_hand(own, groups.reindex(own.index), "covid", "healthy"))
    assert len(found) == len(table) == 200
    assert set(found["predictable"]) == {"measured"}
    assert set(found["scale"]) == {
        {"counts": "log2(1 + CPM)", "tpm": "log2(1 + TPM)", "log2": "log2(1 + x), as given"}[unit]
    }
    panel = base.predictor().artefact.genes
    stems = {gene.split(".")[0]: gene for gene in panel.index}
    assert found["gene_id"].tolist() == [stems.get(gene, gene) for gene in table.index]
    assert found["gene"].tolist() == base.genes()["symbol"].tolist()


def test_people_with_real_groups(tmp_path: Path) -> None:
    table, metadata = case_file("50_numbers/counts.csv"), case_file("50_numbers/meta.csv")
    counts = pd.read_csv(table, index_col=0)
    groups = pd.read_csv(metadata, index_col="sample")["group"].reindex(counts.columns)
    first, second = groups.value_counts().index[:2]
    found = compare(table, metadata, tmp_path / "out", "--groups", f"group={first},{second}")
    same(found, by_hand(log2_cpm(counts), groups, first, second))
    assert len(found) == len(counts)


def test_rows_of_one_gene_are_summed_before_the_logarithm(tmp_path: Path) -> None:
    counts = base.counts()
    twice = pd.concat([counts, counts.iloc[[0, 150]]])
    people.base().to_csv(tmp_path / "people.csv", index=False)
    found = compare(
        base.write(twice, tmp_path / "table.csv"),
        tmp_path / "people.csv",
        tmp_path / "out",
        *("--groups", "group=covid,healthy"),
    )
    summed = counts.copy()
    summed.iloc[[0, 150]] *= 2
    groups = people.base().set_index("sample")["group"]
    same(found, by_hand(log2_cpm(summed), groups, "covid", "healthy"))


def test_traits_of_measured_blood_are_of_the_users_own(tmp_path: Path) -> None:
    people.base().to_csv(tmp_path / "people.csv", index=False)
    words = [
        *("mtm", "compare", str(base.write(base.counts(), tmp_path / "t.csv"))),
        *("--metadata", str(tmp_path / "people.csv"), "--traits", "age", "--targets", "Lung"),
        *("--output", str(tmp_path / "out")),
    ]
    _run(*words)
    rows = pd.read_csv(tmp_path / "out" / "trait_associations.csv")
    blood = rows[rows["origin"] == "measured"]
    own = log2_cpm(base.counts())
    age = people.base().set_index("sample")["age"].astype(float).reindex(own.index)
    expected = [pearsonr(own[g], age)[0] if np.ptp(own[g]) else np.nan for g in own]
    np.testing.assert_allclose(blood["rho"], expected, atol=2e-6)


def test_totals_are_no_gene_and_do_not_count(tmp_path: Path) -> None:
    counts = base.counts()
    with_totals = counts.copy()
    with_totals.loc["total"] = counts.sum()
    with_totals.loc["NOVEL.1"] = 3
    people.base().to_csv(tmp_path / "people.csv", index=False)
    found = compare(
        base.write(with_totals, tmp_path / "table.csv"),
        tmp_path / "people.csv",
        tmp_path / "out",
        *("--groups", "group=covid,healthy"),
    )
    groups = people.base().set_index("sample")["group"]
    same(found, by_hand(log2_cpm(with_totals.drop("total")), groups, "covid", "healthy"))
    assert found["gene_id"].tolist()[-1] == "NOVEL.1"


@pytest.mark.parametrize(("unit", "base_of"), [("ln", np.e), ("log10", 10.0)])
def test_logarithms_stay_as_given_in_base_2(unit: str, base_of: float, tmp_path: Path) -> None:
    log2 = np.log2(1 + base.tpm())
    people.base().to_csv(tmp_path / "people.csv", index=False)
    found = compare(
        base.write(log2 / np.log2(base_of), tmp_path / "table.csv"),
        tmp_path / "people.csv",
        tmp_path / "out",
        *("--groups", "group=covid,healthy", "--unit", unit),
    )
    groups = people.base().set_index("sample")["group"]
    same(found, by_hand(log2.T, groups, "covid", "healthy"))
