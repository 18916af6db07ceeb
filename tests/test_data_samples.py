"""The committed samples: one set of simulated people in three formats, and no donor among them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.cohort import write_cohort
from mtm_core.data.genes.ids import strip_version
from mtm_core.data.gtex.annotations import read_gene_table
from mtm_core.data.gtex.gct import read_gct

REPOSITORY = Path(__file__).resolve().parent.parent
SAMPLES = REPOSITORY / "data_samples"
UP, DOWN = ["SDHD", "VHL", "SDHB", "MSH6"], ["SMAD4", "TSC1", "SDHAF2", "SDHC"]


@pytest.fixture
def tpm() -> pd.DataFrame:
    return pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")


@pytest.fixture
def counts() -> pd.DataFrame:
    return pd.read_csv(SAMPLES / "blood_counts.csv", index_col="gene_id")


@pytest.fixture
def metadata() -> pd.DataFrame:
    return pd.read_csv(SAMPLES / "metadata.tsv", sep="\t", index_col="sample")


def test_the_files_are_of_the_same_people_and_genes(
    tpm: pd.DataFrame, counts: pd.DataFrame, metadata: pd.DataFrame
) -> None:
    gct = read_gct(SAMPLES / "blood_tpm.gct")
    assert tpm.shape == (40, 59)
    assert list(tpm.index) == list(metadata.index) == list(counts.columns) == list(gct.obs_names)
    assert list(counts.index) == list(gct.var_names)
    assert list(tpm.columns) == list(gct.var["symbol"])
    np.testing.assert_allclose(gct.X, tpm, rtol=1e-5, atol=1e-4)
    shares = counts.T.div(counts.sum(), axis=0)
    expected = tpm.div(tpm.sum(axis=1), axis=0)
    standard_error = np.sqrt(expected.to_numpy() / counts.sum().to_numpy()[:, None])
    assert (np.abs(shares.to_numpy() - expected) < 6 * standard_error + 1e-6).all(axis=None)


def test_gene_table_places_every_gene(tpm: pd.DataFrame, counts: pd.DataFrame) -> None:
    genes = read_gene_table(SAMPLES / "acmg59_genes.tsv")
    assert list(genes.index) == [strip_version(gene) for gene in counts.index]
    assert list(genes["symbol"]) == list(tpm.columns)
    assert (genes[["entrez", "gene_type", "chromosome"]] != "").all(axis=None)
    assert set(genes.index[genes["chromosome"] == "X"]) == {"ENSG00000036473", "ENSG00000102393"}
    # GENCODE, and so GTEx and the samples, list genes in the order of the genome.
    order = [*map(str, range(1, 23)), "X", "Y"]
    assert genes["chromosome"].map(order.index).is_monotonic_increasing


def test_metadata_is_complete(metadata: pd.DataFrame) -> None:
    assert metadata["group"].value_counts().to_dict() == {"case": 20, "control": 20}
    assert set(metadata["sex"]) == {"male", "female"}
    assert metadata["age"].between(25, 75).all()


def test_planted_genes_change_in_cases_as_the_readme_says(
    tpm: pd.DataFrame, metadata: pd.DataFrame
) -> None:
    y = np.log2(1 + 1e6 * tpm.div(tpm.sum(axis=1), axis=0))
    is_case = metadata["group"] == "case"
    change = y[is_case].mean() - y[~is_case].mean()
    assert change[UP].mean() == pytest.approx(0.8, abs=0.25)
    assert change[DOWN].mean() == pytest.approx(-0.8, abs=0.25)
    assert (np.sign(change[UP + DOWN]) == [1] * 4 + [-1] * 4).all()
    readme = (SAMPLES / "README.md").read_text()
    assert all(gene in readme for gene in UP + DOWN)


@pytest.mark.reference
def test_samples_are_what_the_script_writes(
    reference_cohort: ad.AnnData, tmp_path: Path, tpm: pd.DataFrame, counts: pd.DataFrame
) -> None:
    write_cohort(reference_cohort.copy(), tmp_path / "cohort.h5ad")
    script = REPOSITORY / "scripts" / "make_samples.py"
    options = ["--cohort", tmp_path / "cohort.h5ad", "--folder", tmp_path / "samples"]
    done = subprocess.run(
        [sys.executable, script, *options], capture_output=True, text=True, check=True
    )
    assert all(gene in done.stdout for gene in UP + DOWN)
    again = pd.read_csv(tmp_path / "samples" / "blood_tpm.tsv", sep="\t", index_col="sample")
    pd.testing.assert_frame_equal(again, tpm, atol=1e-3)
    again = pd.read_csv(tmp_path / "samples" / "blood_counts.csv", index_col="gene_id")
    pd.testing.assert_frame_equal(again, counts)
    metadata = tmp_path / "samples" / "metadata.tsv"
    assert metadata.read_text() == (SAMPLES / "metadata.tsv").read_text()


@pytest.mark.reference
def test_no_sample_is_a_donor(reference_cohort: ad.AnnData, tpm: pd.DataFrame) -> None:
    def log2_cpm(values: np.ndarray) -> np.ndarray:
        return np.log2(1 + 1e6 * values / values.sum(axis=1, keepdims=True))

    blood = reference_cohort[reference_cohort.obs["tissue"] == "Whole Blood"].X
    donors, people = log2_cpm(np.asarray(blood, dtype=float)), log2_cpm(tpm.to_numpy())
    distance = np.sqrt(((people[:, None] - donors[None]) ** 2).mean(axis=2)).min(axis=1)
    between = np.sqrt(((donors[:40, None] - donors[None]) ** 2).mean(axis=2))
    np.fill_diagonal(between, np.inf)
    # As far from the nearest donor as donors are from each other.
    assert distance.min() > 0.8 * between.min()
