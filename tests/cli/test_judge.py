"""``mtm judge``: predictions held to measured samples, from files to tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.places import SAMPLES
from tests.cli.conftest import Mtm, error_of

LUNG = "Lung"


@pytest.fixture
def measured(tmp_path: Path) -> pd.DataFrame:
    """What is predicted of the example's lungs with noise, turned about, of 30; as log2."""
    blood = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")
    expression = Predictor.load(DEFAULT_MODEL).predict(blood, targets=[LUNG], unit="tpm")
    log2 = np.log2(1 + expression["expression"].sel(tissue=LUNG).to_pandas())
    rng = np.random.default_rng(0)
    noisy = log2 + rng.normal(0, 2 * log2.std().to_numpy(), log2.shape)
    own = noisy.clip(lower=0).iloc[::-1].iloc[:30]
    own = own.drop(columns=own.columns[3])
    own.rename(index=str.lower).to_csv(tmp_path / "lung.csv")
    return own


def test_tables_say_what_was_printed(
    mtm: Mtm, tmp_path: Path, measured: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["judge", SAMPLES / "blood_tpm.tsv", "--measured", "lung.csv", "--tissue", LUNG]
    words += ["--unit", "tpm", "--measured-unit", "log2", "--output", "judged", "--shuffles", "50"]
    refused = mtm(*words)
    assert refused.code == 1
    assert "nobody is both predicted and measured" in refused.err
    assert "upper and lower case" in refused.err
    done = mtm(*words, "--near-people")
    assert done.code == 0
    assert "Lung: 58 of the model's 59 genes are in the table. Missing: " in done.err
    assert "Lung: The 30 samples were aligned to the reference." in done.err
    genes = pd.read_csv("judged/genes.csv", index_col="gene_id")
    summary = pd.read_csv("judged/summary.csv", index_col="figure")
    assert len(pd.read_csv("judged/people.csv")) == 30
    assert pd.read_csv("judged/names.csv")["where"].value_counts()["both"] == 30
    settings = json.loads(Path("judged/settings.json").read_text())
    assert settings["measured_unit"] == "log2"
    blood = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")
    prediction = Predictor.load(DEFAULT_MODEL).predict(blood, targets=[LUNG], unit="tpm")
    z = prediction["z"].sel(tissue=LUNG).to_pandas().loc[measured.index]
    for gene in genes.index[:10]:
        linear = np.maximum(2**measured - 1, 0)
        panel = np.log2(1 + 1e6 * linear.div(linear.sum(axis=1), axis=0)[gene])
        assert genes.loc[gene, "rho"] == pytest.approx(pearsonr(z[gene], panel)[0], abs=0.01)
    assert summary.loc["gene_rho", "value"] == pytest.approx(genes["rho"].mean(), abs=1e-5)
    assert np.isfinite(summary.loc["agreement", "value"])
    line = next(line for line in done.out.splitlines() if line.startswith("gene-wise rho"))
    assert f"gene-wise rho, mean over genes: {summary.loc['gene_rho', 'value']:.3f}" in line
    assert "model card" in line
    assert "chance" in line
    again = mtm(*words, "--near-people")
    assert "exists already" in error_of(again)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--measured", "none.csv", "--tissue", LUNG], "cannot open none.csv"),
        (["--measured", "lung.csv", "--tissue", "Lungs"], "unknown tissue: 'Lungs'"),
        (["--measured", "lung.csv", "--tissue", "Whole Blood"], "is the source"),
    ],
)
def test_impossible_options_are_refused_before_anything_is_read(
    mtm: Mtm, tmp_path: Path, options: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lung.csv").write_text("a")
    done = mtm("judge", SAMPLES / "blood_tpm.tsv", *options, "--output", "judged")
    assert message in error_of(done)


def test_samples_of_one_person_are_taken_together(
    mtm: Mtm, tmp_path: Path, measured: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    people = pd.read_csv(SAMPLES / "metadata.tsv", sep="\t")
    people.assign(subject=np.arange(len(people)) // 2).to_csv("people.csv", index=False)
    words = ["judge", SAMPLES / "blood_tpm.tsv", "--measured", "lung.csv", "--tissue", LUNG]
    words += ["--measured-unit", "log2", "--unit", "tpm", "--near-people", "--shuffles", "9"]
    words += ["--output", "judged", "--person", "subject"]
    assert "give --metadata too" in error_of(mtm(*words))
    done = mtm(*words, "--metadata", "people.csv")
    assert done.code == 0, done.err
    assert "30 samples of 15 people are predicted and measured" in done.err
    table = pd.read_csv("judged/people.csv")
    assert list(table["n_samples"]) == [2] * 15
    assert json.loads(Path("judged/settings.json").read_text())["person"] == "subject"
    unknown = mtm(*words[:-1], "patient", "--metadata", "people.csv", "--overwrite")
    assert "unknown metadata column: 'patient'" in unknown.err


def test_batches_and_a_saved_alignment_are_taken_as_for_predict(
    mtm: Mtm, tmp_path: Path, measured: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table, metadata = SAMPLES / "blood_tpm.tsv", SAMPLES / "metadata.tsv"
    words = ["judge", table, "--measured", "lung.csv", "--tissue", LUNG, "--measured-unit", "log2"]
    words += ["--unit", "tpm", "--near-people", "--shuffles", "0"]
    batches = ["--batch", "group", "--metadata", metadata]
    assert mtm(*words, *batches, "--output", "by_batch").code == 0
    saved = ["--targets", LUNG, "--save-alignment", "a.json", "--output", "p.csv"]
    assert mtm("predict", table, "--unit", "tpm", *batches, *saved).code == 0
    again = ["--alignment-from", "a.json", *batches]
    assert mtm(*words, *again, "--output", "from_saved").code == 0
    first, second = (
        pd.read_csv(f"{name}/genes.csv", index_col="gene_id") for name in ("by_batch", "from_saved")
    )
    np.testing.assert_allclose(first["rho"], second["rho"], atol=1e-4)
    assert mtm(*words, "--metadata", metadata, "--output", "whole").code == 0
    whole = pd.read_csv("whole/genes.csv", index_col="gene_id")
    assert not np.allclose(first["rho"], whole["rho"], atol=1e-3)
    assert "add --metadata FILE" in error_of(mtm(*words, *batches[:2], "--output", "none"))
