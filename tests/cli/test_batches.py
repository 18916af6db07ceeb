"""``mtm predict --batch``, ``--save-alignment`` and ``--alignment-from``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import Mtm, error_of

SAMPLES = Path(__file__).parents[2] / "data_samples"
LUNG = ["--targets", "Lung"]


@pytest.fixture
def people() -> pd.DataFrame:
    return pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col="sample")


def predicted(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path).set_index(["sample", "gene_id"])["z"].unstack()


def test_a_later_sample_alone_is_read_as_among_the_first(
    mtm: Mtm, people: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    people.iloc[:20].to_csv("first.csv")
    people.iloc[20:21].to_csv("later.csv")
    people.iloc[:21].to_csv("all.csv")
    done = mtm(
        "predict", "first.csv", *LUNG, "--alignment=robust", "--save-alignment=alignment.json",
        "--format=wide", "--output=first",
    )  # fmt: skip
    assert done.code == 0, done.err
    saved = Path("alignment.json").read_bytes()
    assert Path("first/alignment.json").read_bytes() == saved
    for number, name in enumerate(("alignment.json", "first")):
        done = mtm(
            "predict", "later.csv", *LUNG, "--alignment-from", name, f"--output={number}.parquet"
        )
        assert done.code == 0, done.err
    assert "1 sample was aligned by the saved alignment of 20 earlier samples." in done.err
    assert Path("0.parquet").read_bytes() == Path("1.parquet").read_bytes()
    assert (
        mtm("predict", "all.csv", *LUNG, "--alignment-from=first", "--output=all.parquet").code == 0
    )
    alone, among = predicted(Path("1.parquet")), predicted(Path("all.parquet"))
    np.testing.assert_allclose(alone, among.iloc[20:21], atol=1e-5)
    for options, message in (
        (["--alignment=cohort", "--alignment-from=first"], "leave out --alignment cohort"),
        (["--alignment-from=none.json"], "--alignment-from: cannot open none.json"),
        (["--alignment-from=all.csv"], "all.csv is not a saved alignment"),
        (
            ["--alignment-from=first", "--model=gtex_v8_acmg59"],
            "is of the model 'gtex_v8_acmg59_st",
        ),
        (["--as-batch=a"], "add --alignment-from FILE"),
        (["--batch=plate"], "add --metadata FILE"),
        (["--save-alignment=alignment.json"], "alignment.json exists already"),
        (["--alignment=robust", "--chunk=5"], "all values of a gene at once"),
    ):
        output = "x.zarr" if "--chunk=5" in options else "x.csv"
        failed = mtm("predict", "all.csv", *LUNG, *options, f"--output={output}")
        assert message in error_of(failed), options
    assert not Path("x.csv").exists()


def test_batches_are_aligned_and_groups_that_coincide_with_them_are_named(
    mtm: Mtm, people: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    linear = people.copy()
    linear.iloc[20:] *= np.random.default_rng(0).uniform(0.3, 3, people.shape[1])
    linear.to_csv("blood.csv")
    known = pd.DataFrame({"sample": people.index, "plate": np.repeat([1, 2], 20)})
    known["group"] = np.repeat(["case", "control"], 20)
    known["sex"] = np.where(np.arange(40) % 10 < 7, "f", "m")
    known["site"] = np.where(np.arange(40) % 20 < 15, known["group"], "other")
    known.to_csv("people.csv", index=False)
    options = ["--metadata=people.csv", "--batch=plate", "--unit=tpm"]
    done = mtm("predict", "blood.csv", *LUNG, *options, "--output=batches.parquet")
    assert done.code == 0, done.err
    assert "Batch 1: 20 samples, cohort, by the batch's own samples. Distance" in done.err
    assert "The batches of 'plate' and the groups of 'group' coincide" in done.err
    warned = [line for line in done.err.splitlines() if "in different shares" in line]
    # Of "case" against all others: 15 of 20 in the first batch, none in the second, by hand.
    is_case = np.r_[np.ones(15), np.zeros(25)]
    share = 1 - 20 * 0.75 * 0.25 / ((is_case - is_case.mean()) ** 2).sum()
    assert len(warned) == 1
    assert f"removes {share:.0%} of the difference between 'case' and the others" in warned[0]

    compared = mtm(
        "compare", "blood.csv", *LUNG, *options, "--groups=group=case,control", "--output=compared"
    )
    assert compared.code == 0, compared.err
    assert "Alignment by batch removes the whole difference" in compared.err
    assert json.loads(Path("compared/settings.json").read_text())["options"]["batch"] == "plate"
    table = pd.read_csv("compared/differential_expression.csv")
    lung = table[table["tissue"] == "Lung"]
    assert np.abs(lung.filter(like="fold_change").iloc[:, 0]).max() < 0.1
