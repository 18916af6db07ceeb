"""Predictable genes against expression and annotations, against scipy a tissue at a time."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, spearmanr

from mtm_core.errors import InputFileError
from mtm_core.studies.predictable_genes import (
    compare_quartiles,
    mean_log2,
    read_annotation,
    study_predictable_genes,
    tissue_similarity,
)


@pytest.fixture
def rho(rng: np.random.Generator, small_cohort: ad.AnnData) -> pd.DataFrame:
    """Higher where expression is, and with it alike in like tissues."""
    means = mean_log2(small_cohort)
    scaled = (means - means.mean(axis=None)) / means.to_numpy().std()
    return (0.3 + 0.1 * scaled + rng.normal(0, 0.02, means.shape)).drop(index="Whole Blood")


def test_means_and_similarity_are_those_of_each_tissue(small_cohort: ad.AnnData) -> None:
    means = mean_log2(small_cohort)
    for tissue in ("Liver", "Lung"):
        own = small_cohort[small_cohort.obs["tissue"] == tissue].to_df()
        np.testing.assert_allclose(means.loc[tissue], np.log2(1 + own).mean(), rtol=1e-5)
    similarity = tissue_similarity(small_cohort)
    i, j = (list(means.index).index(name) for name in ("Liver", "Lung"))
    expected = np.corrcoef(means.loc["Liver"], means.loc["Lung"])[0, 1]
    assert similarity[i, j] == pytest.approx(expected)


def test_quartiles_equal_scipy(rng: np.random.Generator) -> None:
    genes = [f"G{g}" for g in range(43)]
    rho = pd.Series(rng.normal(size=43), genes)
    values = pd.Series(rng.integers(0, 6, size=43).astype(float), genes) + rho
    rho["G3"] = np.nan
    values = values.drop(["G5", "G6"])
    known = rho.drop(["G3", "G5", "G6"]).sort_values().index  # 40 genes: quartiles of 10
    top, bottom = values[known[-10:]], values[known[:10]]
    row = compare_quartiles(rho, values)
    test = mannwhitneyu(top, bottom, method="asymptotic")
    assert (row["n_top"], row["n_bottom"]) == (10, 10)
    assert row["auc"] == pytest.approx(test.statistic / 100)
    assert row["p"] == pytest.approx(test.pvalue)
    assert (row["median_top"], row["median_bottom"]) == (top.median(), bottom.median())


def test_only_related_annotations_are_associated_with_predictability(
    rng: np.random.Generator, small_cohort: ad.AnnData, rho: pd.DataFrame
) -> None:
    genes = small_cohort.var_names
    annotations = {
        "against": -mean_log2(small_cohort).mean(),
        "noise": pd.Series(rng.normal(size=len(genes)), genes),
    }
    study = study_predictable_genes(rho, small_cohort, annotations)
    summary = study.summary()
    assert summary.loc["expression", "significantly_higher"] == 4
    assert summary.loc["against", "significantly_lower"] >= 2
    assert summary.loc["noise", ["significantly_higher", "significantly_lower"]].sum() <= 1
    assert study.quartiles["fdr"].between(study.quartiles["p"], 1).all()
    means = mean_log2(small_cohort).loc[rho.index]
    upper = np.triu_indices(4, 1)
    expected = spearmanr(np.corrcoef(means)[upper], np.corrcoef(rho)[upper]).statistic
    assert study.tissues.spearman == pytest.approx(expected)
    assert study.tissues.spearman > 0.5


def test_too_few_and_constant_annotations_are_named(
    small_cohort: ad.AnnData, rho: pd.DataFrame
) -> None:
    genes = small_cohort.var_names
    annotations = {"few": pd.Series(1.0, genes[:15]), "flat": pd.Series(1.0, genes)}
    table = study_predictable_genes(rho, small_cohort, annotations).quartiles
    outcome = table.groupby("annotation")["outcome"].unique().str[0]
    assert outcome["few"] == "too few samples"
    assert outcome["flat"] == "constant"
    untested = table[table["outcome"] != "tested"]
    assert untested[["auc", "p", "fdr"]].isna().all(axis=None)


def test_annotation_is_read_by_any_gene_id(small_cohort: ad.AnnData, tmp_path: Path) -> None:
    genes = small_cohort.var
    file = tmp_path / "degree.tsv"
    lines = [
        "gene\tdegree\tnote",
        f"{genes['symbol'].iloc[2]}\t4\tx",
        f"{genes.index[0].split('.')[0]}\t7\tx",
        f"{genes['symbol'].iloc[2].lower()}\t6\tx",
        f"{genes['entrez'].iloc[5]}\t\tx",
        "NOGENE\t9\tx",
    ]
    file.write_text("\n".join(lines) + "\n")
    found = read_annotation(file, genes)
    assert found.to_dict() == {genes.index[0]: 7.0, genes.index[2]: 5.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "gene\tdegree\nTP53\t3\n",
            r"none of its 1 genes \(the first is 'TP53'\) is in the cohort",
        ),
        ("gene\tdegree\nSIM1\thigh\n", "no numbers in its second column, 'degree'"),
    ],
)
def test_a_table_that_is_no_annotation_is_refused(
    small_cohort: ad.AnnData, tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "table.tsv"
    file.write_text(text)
    with pytest.raises(InputFileError, match=rf"table.tsv: .*{message}"):
        read_annotation(file, small_cohort.var)
    with pytest.raises(InputFileError, match=r"nothing\.tsv"):
        read_annotation(tmp_path / "nothing.tsv", small_cohort.var)


def test_a_table_of_one_column_is_refused(small_cohort: ad.AnnData, tmp_path: Path) -> None:
    small_cohort.var[["symbol"]].to_parquet(tmp_path / "one.parquet", index=False)
    with pytest.raises(InputFileError, match=r"one.parquet: expected two columns, a gene and a"):
        read_annotation(tmp_path / "one.parquet", small_cohort.var)
