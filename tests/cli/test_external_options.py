"""``mtm study external`` takes the options of every command that predicts from a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.places import SAMPLES
from tests.cli.conftest import Mtm, error_of

MUSCLE = "Muscle - Skeletal"
STUDY = ["study", "external", "blood.tsv", "--metadata", SAMPLES / "metadata.tsv", "--trait=sex"]
GROUPS = ["--group=group", "--case=case", "--control=control", "--output=studied"]


def test_targets_alignment_and_further_tables_are_those_of_predict(
    mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blood = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")
    others = (blood.iloc[:2] * 2).set_axis(["X-1", "X-2"]).rename_axis("sample")
    muscle = pd.concat([blood.iloc[15:] + 1, others])
    blood.to_csv("blood.tsv", sep="\t")
    muscle.to_csv("muscle.tsv", sep="\t")
    done = mtm(
        *STUDY, *GROUPS, "--targets=Lung", "--alignment=robust", "--unit=tpm",
        "--and", f"{MUSCLE}=muscle.tsv", "--and-unit", f"{MUSCLE}=tpm",
    )  # fmt: skip
    assert done.code == 0
    assert "Alignment: robust" in done.err
    assert "2 people are only in further tables: studies are of the people of the first" in done.err
    assert "samples of 'case' with" in done.err
    predicted = Predictor.load(DEFAULT_MODEL).predict(
        tables={"Whole Blood": blood, MUSCLE: muscle}, targets=["Lung"], unit="tpm",
        alignment="robust",
    )  # fmt: skip
    lung = predicted["expression"].sel(tissue="Lung").to_pandas().loc[blood.index] + 1
    known = pd.read_csv(SAMPLES / "metadata.tsv", sep="\t", index_col=0)
    group = known["group"].reindex(lung.index)
    expected = np.log2(lung[group == "case"].mean() / lung[group == "control"].mean())
    genes = pd.read_parquet("studied/genes.parquet").set_index("gene_id")
    assert set(genes["tissue"]) == {"Lung"}
    np.testing.assert_allclose(genes["log2_ratio"], expected[genes.index], atol=1e-4)


def test_a_column_of_batches_that_is_not_there_is_refused(
    mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blood.tsv").write_bytes((SAMPLES / "blood_tpm.tsv").read_bytes())
    assert "unknown metadata column: 'plat'" in error_of(mtm(*STUDY, *GROUPS, "--batch=plat"))
