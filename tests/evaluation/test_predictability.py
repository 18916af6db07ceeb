"""Ranking, listing and searching, against a walk through the rows one by one."""

from __future__ import annotations

import statistics

import numpy as np
import pandas as pd
import pytest

from mtm_core.evaluation.predictability import (
    QUANTILES,
    GeneChoice,
    coverage_of_method,
    distribution_of_rho,
    genes_of_tissue,
    matrix_of,
    rank_tissues,
    select_genes,
    tissues_of_gene,
)
from mtm_core.evaluation.results import EvaluationTables

SYMBOLS = {"ENSG01.5": "BRCA1", "ENSG02.1": "BRCA2", "ENSG03.2": "TP53", "ENSG04.7": "RP11-34P13.7"}
TISSUES = ["Liver", "Lung", "Spleen"]


@pytest.fixture
def genes(rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        {"method": method, "tissue": tissue, "gene_id": gene, "n": 80 + i}
        for method in ("a", "b")
        for i, tissue in enumerate(TISSUES)
        for gene in SYMBOLS
    ]
    table = pd.DataFrame(rows).sample(frac=1, random_state=0)
    rho = rng.uniform(-0.2, 0.8, len(table))
    table["rho_by_fold"], table["rho_pooled"] = rho + 0.02, rho
    table.iloc[5, table.columns.get_loc("rho_by_fold")] = np.nan
    table["is_predictable"] = rho > 0.3
    table["survives_fdr"] = table["is_predictable"] & (rng.random(len(table)) > 0.4)
    return table


@pytest.fixture
def tissues() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": ["a", "a", "b", "a", "b"],
            "tissue": ["Lung", "Liver", "Lung", "Spleen", "Liver"],
            "n": [90, 300, 90, 120, 300],
            "gene_rho_by_fold": [0.1, 0.4, 0.9, np.nan, 0.2],
            "n_predictable": [3, 9, 20, 0, 5],
            "coverage_50": [0.52, 0.49, np.nan, 0.5, np.nan],
            "coverage_90": [0.91, 0.9, np.nan, np.nan, np.nan],
            "coverage_95": np.nan,
        }
    )


def test_tissues_are_ranked_by_the_method_s_own_rho(tissues: pd.DataFrame) -> None:
    ranked = rank_tissues(tissues, "a")
    assert ranked.index.tolist() == ["Liver", "Lung", "Spleen"]
    assert ranked.columns.tolist() == ["n", "gene_rho_by_fold", "n_predictable"]
    assert ranked.loc["Lung"].tolist() == [90, 0.1, 3]
    assert rank_tissues(tissues, "absent").empty


def test_genes_of_a_tissue_and_tissues_of_a_gene_are_the_same_rows(genes: pd.DataFrame) -> None:
    by_tissue = {tissue: genes_of_tissue(genes, "b", tissue) for tissue in TISSUES}
    by_gene = {gene: tissues_of_gene(genes, "b", gene) for gene in SYMBOLS}
    for row in genes.to_dict("records"):
        if row["method"] == "b":
            for listed in (
                by_tissue[row["tissue"]].loc[row["gene_id"]],
                by_gene[row["gene_id"]].loc[row["tissue"]],
            ):
                np.testing.assert_equal(listed.to_dict(), {k: row[k] for k in listed.index})
    assert sum(map(len, by_tissue.values())) == sum(map(len, by_gene.values())) == 12
    for table in (*by_tissue.values(), *by_gene.values()):
        known = table["rho_by_fold"].dropna().tolist()
        assert known == sorted(known, reverse=True)
        assert table["rho_by_fold"].isna().tolist()[: len(known)] == [False] * len(known)


def test_an_evaluation_of_before_is_listed_by_the_paper_s_rule(genes: pd.DataFrame) -> None:
    old = genes.drop(columns=["is_predictable", "survives_fdr"])
    table = genes_of_tissue(old, "a", "Lung")
    assert table["is_predictable"].tolist() == (table["rho_pooled"] > 0.3).tolist()
    assert "survives_fdr" not in table


@pytest.mark.parametrize("choice", ["all", "predictable", "survives FDR"])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", list(SYMBOLS)),
        ("brca", ["ENSG01.5", "ENSG02.1"]),
        (" TP53,brca2 ", ["ENSG02.1", "ENSG03.2"]),
        ("ensg03.99", ["ENSG03.2"]),
        ("ensg03", ["ENSG03.2"]),
        ("RP11-34P13.7", ["ENSG04.7"]),
        ("RP11-34P13.8", []),
        ("BRCA(", []),
        ("a.", []),
    ],
)
def test_search_finds_symbols_and_ids(
    genes: pd.DataFrame, choice: GeneChoice, text: str, found: list[str]
) -> None:
    for tissue in TISSUES:
        table = genes_of_tissue(genes, "a", tissue)
        table.insert(0, "gene", table.index.map(SYMBOLS))
        chosen = {
            "all": table.index,
            "predictable": table.index[table["is_predictable"]],
            "survives FDR": table.index[table["survives_fdr"]],
        }[choice]
        selected = select_genes(table, choice, text)
        assert selected.index.tolist() == [gene for gene in chosen if gene in found]


def test_distribution_of_rho_is_over_the_genes_that_have_one(genes: pd.DataFrame) -> None:
    for method in ("a", "b"):
        evaluation = EvaluationTables(genes, pd.DataFrame(), {})
        rho = matrix_of(evaluation, method, "rho_by_fold", ["Spleen", "Liver"])
        assert rho.index.tolist() == ["Liver", "Spleen"]
        table = distribution_of_rho(rho)
        for tissue in ("Spleen", "Liver"):
            own = genes[(genes["method"] == method) & (genes["tissue"] == tissue)]
            known = own["rho_by_fold"].dropna().tolist()
            assert table.loc[tissue, "n_genes"] == len(known)
            assert table.loc[tissue, 0.5] == pytest.approx(statistics.median(known))
            assert table.loc[tissue, list(QUANTILES)].is_monotonic_increasing
            assert table.loc[tissue, 0.25] == pytest.approx(np.quantile(known, 0.25))


def test_coverage_is_that_of_the_levels_that_the_method_gives(tissues: pd.DataFrame) -> None:
    table = coverage_of_method(tissues, "a")
    assert table.index.tolist() == ["Liver", "Spleen", "Lung"]
    assert table.columns.tolist() == ["n", 50, 90]
    np.testing.assert_allclose(table.to_numpy(), [[300, 49, 90], [120, 50, np.nan], [90, 52, 91]])
    assert coverage_of_method(tissues, "b").empty
    assert coverage_of_method(tissues.drop(columns=["coverage_50", "coverage_90"]), "a").empty
    assert coverage_of_method(tissues.filter(regex="^(?!coverage)"), "a").empty
