"""``mtm activity``: scores of pathways and transcription factors as tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL
from tests.cli.conftest import Mtm, error_of

SAMPLES = Path(__file__).parents[2] / "data_samples"
TPM, METADATA = SAMPLES / "blood_tpm.tsv", SAMPLES / "metadata.tsv"
MUSCLE = "Muscle - Skeletal"
UP = ["SDHD", "VHL", "SDHB", "MSH6"]
DOWN = ["SMAD4", "TSC1", "SDHAF2", "SDHC"]


def network(folder: Path) -> Path:
    """What differs between cases and controls of the example, and five other genes."""
    rows = [f"changed,{gene},1" for gene in UP] + [f"changed,{gene},-1" for gene in DOWN]
    rows += [f"=others,{gene},1" for gene in ("BRCA1", "BRCA2", "MLH1", "TP53", "MYH7")]
    path = folder / "own.csv"
    path.write_text("tf,target,mor\n" + "\n".join(rows) + "\n")
    return path


def test_a_planted_source_is_higher_in_cases(mtm: Mtm, tmp_path: Path) -> None:
    out = tmp_path / "activity"
    done = mtm(
        "activity", TPM, "--metadata", METADATA, "--groups", "group=case,control",
        "--network", network(tmp_path), "--targets", "Lung,Liver", "--min-targets", "3",
        "--output", out,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "13 of their 13 target genes are in the model" in done.err
    scores = pd.read_csv(out / "scores.csv")
    assert list(scores) == ["tissue", "origin", "sample", "changed", "'=others"]
    assert scores.groupby("tissue").size().to_dict() == dict.fromkeys(
        ("Whole Blood", "Lung", "Liver"), 40
    )
    differences = pd.read_csv(out / "differences.csv").set_index(["tissue", "source"])
    blood = differences.loc[("Whole Blood", "changed")]
    groups = pd.read_csv(METADATA, sep="\t").set_index("sample")["group"]
    own = scores[scores["tissue"] == "Whole Blood"].set_index("sample")["changed"]
    mean = own.groupby(groups).mean()
    assert np.isclose(blood["difference"], mean["case"] - mean["control"], rtol=1e-4)
    assert blood["fdr"] < 0.001
    assert blood["difference"] > 1
    assert differences.loc[("Whole Blood", "'=others"), "p"] > 0.01
    sources = pd.read_csv(out / "sources.csv").set_index(["tissue", "source"])
    assert sources.loc[("Whole Blood", "changed"), ["n_targets", "n_in_model"]].tolist() == [8, 8]
    settings = json.loads((out / "settings.json").read_text())
    assert settings["method"] == "ulm"
    assert "functions of the measured samples" in settings["note"]
    chance = mtm(
        "activity", TPM, "--metadata", METADATA, "--groups", "group=case,control", "--shuffle", 1,
        "--network", network(tmp_path), "--targets", "Lung", "--format", "parquet",
        "--min-targets", "3", "--output", tmp_path / "chance",
    )  # fmt: skip
    assert chance.code == 0
    assert "all differences are due to chance" in chance.err
    assert pq.read_table(tmp_path / "chance" / "differences.parquet")["p"].to_pylist()[0] > 0.01


def test_people_with_two_tissues_are_scored_on_what_both_predict(mtm: Mtm, tmp_path: Path) -> None:
    blood = pd.read_csv(TPM, sep="\t", index_col="sample")
    muscle = blood.iloc[15:] + 1
    muscle.to_csv(tmp_path / "muscle.tsv", sep="\t")
    done = mtm(
        "activity", TPM, "--network", network(tmp_path), "--targets", "Lung", "--min-targets", "3",
        "--background", "all", "--and", f"{MUSCLE}={tmp_path / 'muscle.tsv'}", "--unit", "tpm",
        "--and-unit", f"{MUSCLE}=tpm", "--output", tmp_path / "both",
    )  # fmt: skip
    assert done.code == 0, done.err
    predicted = Predictor.load(DEFAULT_MODEL).predict(
        tables={"Whole Blood": blood, MUSCLE: muscle}, targets=["Lung"], unit="tpm"
    )
    z = predicted["z"].sel(tissue="Lung").to_pandas().loc[blood.index]
    symbols = predicted["symbol"].to_pandas()[z.columns]
    weights = symbols.isin(UP).astype(int) - symbols.isin(DOWN)
    r = z.corrwith(weights, axis=1)
    expected = r * np.sqrt((z.shape[1] - 2) / (1 - r**2))
    scores = pd.read_csv(tmp_path / "both" / "scores.csv").set_index(["tissue", "sample"])
    np.testing.assert_allclose(scores.loc["Lung"]["changed"], expected, atol=1e-3)


def test_impossible_options_are_refused_before_samples_are_read(mtm: Mtm, tmp_path: Path) -> None:
    words = {
        ("--network", "collectri"): "unknown network: 'collectri'",
        ("--groups", "group=case,control"): "give --metadata too",
        ("--shuffle", "1"): "give --groups too",
        ("--metadata", METADATA, "--groups", "group=case,healthy"): "healthy",
        ("--targets", "Spleeen"): "Spleeen",
        ("--network", network(tmp_path), "--min-targets", "30"): "no source has 30 targets",
    }
    for given, expected in words.items():
        done = mtm("activity", TPM, *given, "--output", tmp_path / "none")
        if "30" in given:
            assert done.code == 1
            assert expected in done.err
        else:
            assert expected in error_of(done), given
    assert not (tmp_path / "none").exists()
