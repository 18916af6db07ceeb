from __future__ import annotations

import logging
import tracemalloc
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.cohort import (
    build_cohort,
    filter_samples,
    is_simulated,
    read_cohort,
    summarise,
    tissue_codes,
    tissue_names,
    write_cohort,
)
from mtm_core.data.cohort.normalise import Normalisation
from mtm_core.data.gtex.annotations import read_sample_attributes
from mtm_core.data.gtex.gct import read_gct
from mtm_core.errors import CohortError, InputFileError

# Lung and Liver have 4 samples, Spleen 2; D5 has none of the large tissues.
TISSUES = {
    "D0": ["Lung", "Liver", "Spleen"],
    "D1": ["Liver", "Lung"],
    "D2": ["Lung", "Liver"],
    "D3": ["Liver", "Lung"],
    "D5": ["Spleen"],
}


@pytest.fixture
def samples() -> pd.DataFrame:
    rows = [
        {"sample": f"{donor}-{tissue}", "donor": donor, "tissue": tissue}
        for donor, tissues in TISSUES.items()
        for tissue in tissues
    ]
    return pd.DataFrame(rows).set_index("sample")


@pytest.fixture
def expression(samples: pd.DataFrame, rng: np.random.Generator) -> ad.AnnData:
    genes = ["ENSG00000000001.5", "ENSG00000000002.1", "ENSG00000000003.2"]
    return ad.AnnData(
        rng.gamma(2, 40, size=(len(samples), 3)).astype(np.float32),
        obs=pd.DataFrame(index=samples.index),
        var=pd.DataFrame({"symbol": ["AAA", "BBB", "CCC"]}, index=genes),
    )


def small(expression: ad.AnnData, samples: pd.DataFrame, *args, **options) -> ad.AnnData:
    return build_cohort(expression, samples, *args, minimum_samples=3, **options)


def test_tissues_go_first_then_donors(expression: ad.AnnData, samples: pd.DataFrame) -> None:
    cohort = small(expression, samples)
    assert tissue_names(cohort) == ("Liver", "Lung")
    assert "D0-Spleen" not in cohort.obs_names
    assert list(cohort.obs["donor"].unique()) == ["D0", "D1", "D2", "D3"]
    assert [tissue_names(cohort)[code] for code in tissue_codes(cohort)] == list(
        cohort.obs["tissue"]
    )
    np.testing.assert_array_equal(cohort.X, expression[cohort.obs_names].X)


def test_a_donor_left_with_one_large_tissue_is_removed(samples: pd.DataFrame) -> None:
    more = pd.DataFrame(
        {"donor": ["D6", "D6"], "tissue": ["Lung", "Spleen"]}, index=["D6-Lung", "D6-Spleen"]
    )
    obs = pd.concat([samples, more])
    selected = filter_samples(obs, minimum_samples=4, minimum_tissues=2)
    assert list(obs.index[~selected]) == ["D0-Spleen", "D5-Spleen", "D6-Lung", "D6-Spleen"]


def test_filters_that_remove_everything_say_what_there_was(
    expression: ad.AnnData, samples: pd.DataFrame
) -> None:
    with pytest.raises(
        CohortError, match=r"fewer than two tissues have 51 .* tissue has 4 samples"
    ):
        build_cohort(expression, samples)


def test_sample_order_of_the_annotations_does_not_matter(
    expression: ad.AnnData, samples: pd.DataFrame
) -> None:
    cohort, other = small(expression, samples), small(expression, samples.iloc[::-1])
    pd.testing.assert_frame_equal(cohort.to_df(), other.to_df())
    pd.testing.assert_frame_equal(cohort.obs, other.obs)


@pytest.mark.parametrize("normalisation", ["none", "panel-cpm"])
def test_a_wide_cohort_is_built_with_one_more_matrix_at_a_time(
    rng: np.random.Generator, normalisation: Normalisation
) -> None:
    n_donors, n_genes = 400, 2_000
    names = [f"D{d}-{t}" for d in range(n_donors) for t in ("Lung", "Liver")]
    samples = pd.DataFrame([name.split("-") for name in names], names, ["donor", "tissue"])
    genes = pd.DataFrame({"symbol": ""}, [f"G{g}" for g in range(n_genes)])
    by_gene = rng.gamma(1, 9, size=(n_genes, len(names))).astype(np.float32)
    expression = ad.AnnData(by_gene.T, pd.DataFrame(index=names), genes)
    tracemalloc.start()
    cohort = build_cohort(expression, samples, normalisation=normalisation)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert cohort.shape == expression.shape
    matrices = 1 if normalisation == "none" else 2  # of the cohort, and before it was normalised
    assert peak < (matrices + 0.6) * by_gene.nbytes, f"{peak / by_gene.nbytes:.2f} matrices"


def test_samples_without_tissue_are_left_out_and_reported(
    expression: ad.AnnData, samples: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    cohort = small(expression, samples.drop(index="D3-Lung"))
    assert "1 of 10 samples have no tissue" in caplog.text
    assert "D3" not in set(cohort.obs["donor"])


def test_annotations_of_another_release_are_named(
    expression: ad.AnnData, samples: pd.DataFrame
) -> None:
    samples.index = "X-" + samples.index
    with pytest.raises(CohortError, match=r"none of the 10 samples .* 'D0-Lung' against 'X-D0-L"):
        small(expression, samples)


def test_donor_with_a_tissue_twice_is_named(expression: ad.AnnData, samples: pd.DataFrame) -> None:
    samples.loc["D1-Lung", "tissue"] = "Liver"
    with pytest.raises(CohortError, match="donor 'D1' has two samples of 'Liver'"):
        small(expression, samples)


def test_tables_follow_the_order_of_donors_and_tissues(
    expression: ad.AnnData, samples: pd.DataFrame
) -> None:
    donors = pd.DataFrame(
        {"sex": ["male", "female", None], "age": [64.5, 24.5, 44.5]}, index=["D3", "D0", "D9"]
    )
    genes = pd.DataFrame(
        {"symbol": ["x", "y"], "entrez": ["11", "33"], "gene_type": ["protein_coding", "lncRNA"]},
        index=["ENSG00000000001", "ENSG00000000003"],
    )
    cohort = small(expression, samples, donors, gene_table=genes)
    table = cohort.uns["donors"]
    assert list(table.index) == ["D0", "D1", "D2", "D3"]
    assert list(table["sex"]) == ["female", "", "", "male"]
    np.testing.assert_array_equal(table["age"], [24.5, np.nan, np.nan, 64.5])
    assert list(cohort.uns["tissues"].index) == ["Liver", "Lung"]
    assert list(cohort.uns["tissues"]["n_samples"]) == [4, 4]
    assert list(cohort.uns["tissues"]["abbreviation"]) == ["LIVER", "LUNG"]
    assert list(cohort.var["symbol"]) == ["AAA", "BBB", "CCC"]  # the file's own
    assert list(cohort.var["entrez"]) == ["11", "", "33"]
    assert list(cohort.var["gene_type"]) == ["protein_coding", "", "lncRNA"]
    assert "chromosome" not in cohort.var
    located = small(expression, samples, donors, gene_table=genes.assign(chromosome=["X", "2"]))
    assert list(located.var["chromosome"]) == ["X", "", "2"]


def test_normalisation_and_unit_are_recorded(expression: ad.AnnData, samples: pd.DataFrame) -> None:
    plain, scaled = (small(expression, samples, normalisation=how) for how in ("none", "panel-cpm"))
    assert (plain.uns["mtm"]["unit"], plain.uns["mtm"]["normalise"]) == ("TPM", "none")
    assert (scaled.uns["mtm"]["unit"], scaled.uns["mtm"]["normalise"]) == (
        "panel CPM",
        "panel-cpm",
    )
    np.testing.assert_allclose(scaled.X.sum(axis=1), 1e6, rtol=1e-5)


def test_digest_differs_for_other_values_and_other_names(
    expression: ad.AnnData, samples: pd.DataFrame
) -> None:
    digest = small(expression, samples).uns["mtm"]["sha256"]
    assert small(expression, samples).uns["mtm"]["sha256"] == digest
    changed = expression.copy()
    changed.X[0, 0] += 1
    assert small(changed, samples).uns["mtm"]["sha256"] != digest
    renamed = expression.copy()
    renamed.var_names = ["ENSG00000000009.5", *expression.var_names[1:]]
    assert small(renamed, samples).uns["mtm"]["sha256"] != digest


def test_cohort_survives_the_disk(small_cohort: ad.AnnData, tmp_path: Path) -> None:
    before = small_cohort.obs.copy()
    write_cohort(small_cohort, tmp_path / "new" / "cohort.h5ad")
    pd.testing.assert_frame_equal(small_cohort.obs, before)  # writing changes nothing
    read = read_cohort(tmp_path / "new" / "cohort.h5ad")
    np.testing.assert_array_equal(read.X, small_cohort.X)
    pd.testing.assert_frame_equal(read.obs, small_cohort.obs)
    pd.testing.assert_frame_equal(read.var, small_cohort.var)
    pd.testing.assert_frame_equal(read.uns["donors"], small_cohort.uns["donors"])
    pd.testing.assert_frame_equal(read.uns["tissues"], small_cohort.uns["tissues"])
    assert read.uns["mtm"] == small_cohort.uns["mtm"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["cohort.h5ad"]


def test_cohort_without_phenotypes_survives_the_disk(
    expression: ad.AnnData, samples: pd.DataFrame, tmp_path: Path
) -> None:
    write_cohort(small(expression, samples), tmp_path / "cohort.h5ad")
    read = read_cohort(tmp_path / "cohort.h5ad")
    assert list(read.uns["donors"].index) == ["D0", "D1", "D2", "D3"]
    assert not is_simulated(read)


def test_file_that_is_no_cohort_is_named(expression: ad.AnnData, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"absent.h5ad: no such file"):
        read_cohort(tmp_path / "absent.h5ad")
    (tmp_path / "text.h5ad").write_text("no HDF5")
    with pytest.raises(InputFileError, match=r"text.h5ad: expected a cohort"):
        read_cohort(tmp_path / "text.h5ad")
    expression.write_h5ad(tmp_path / "other.h5ad")
    with pytest.raises(InputFileError, match=r"other.h5ad: an .h5ad .*, but not a cohort"):
        read_cohort(tmp_path / "other.h5ad")


def test_summary_counts_as_the_table_does(small_cohort: ad.AnnData) -> None:
    summary = summarise(small_cohort)
    obs = small_cohort.obs
    with_blood = {d for d, t in zip(obs["donor"], obs["tissue"], strict=True) if t == "Whole Blood"}
    assert summary.n_donors_with_blood == len(with_blood)
    assert summary.n_pairs == sum(n * (n - 1) for n in obs["donor"].value_counts())
    assert (summary.n_tissues, summary.n_samples, summary.n_donors, summary.n_genes) == (
        5,
        len(obs),
        60,
        40,
    )
    assert summary.unit == "TPM"


@pytest.mark.reference
def test_real_cohort_has_the_papers_counts(reference_cohort: ad.AnnData) -> None:
    summary = summarise(reference_cohort)
    assert (summary.n_tissues, summary.n_samples, summary.n_donors) == (49, 17_325, 944)
    assert summary.n_donors_with_blood == 753
    assert summary.n_pairs == 340_588
    assert (summary.n_genes, summary.unit) == (59, "panel CPM")
    assert set(reference_cohort.uns["donors"]["sex"]) == {"male", "female"}
    assert (reference_cohort.var["gene_type"] == "protein_coding").all()


@pytest.mark.reference
def test_real_cohort_before_the_donor_filter(
    reference_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = reference_data / "gtex_v8_acmg59"
    samples = read_sample_attributes(folder / "SampleAttributes_minimal.txt")
    (gct,) = folder.glob("*.gct.gz")
    obs = samples.loc[read_gct(gct).obs_names]
    with caplog.at_level(logging.INFO):
        selected = filter_samples(obs, minimum_samples=51, minimum_tissues=1)
    assert selected.sum() == 17_329
    assert obs.loc[selected, "donor"].nunique() == 948
    assert "49 tissues have at least 51 samples: 17329 samples of 948 donors" in caplog.text
