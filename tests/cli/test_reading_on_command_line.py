"""What a user says about a table on the command line holds, and is written out again."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pandas as pd

from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.inference.options import PredictionOptions
from mtm_core.reporting.command_line import in_shell, predict_arguments
from mtm_core.reporting.command_words import InputFiles
from tests.cases import base
from tests.cli.conftest import Mtm


def predicted(path: Path) -> pd.DataFrame:
    return pd.read_csv(path).pivot_table("z", index="sample", columns="gene")


def test_columns_are_named_put_back_and_left_out(mtm: Mtm, tmp_path: Path) -> None:
    table = base.counts().iloc[:, :10].rename(columns={"PT02": "a, b"})
    table["x, y"] = np.random.default_rng(0).integers(1, 10**8, len(table))
    base.write(table, tmp_path / "x.csv")
    done = mtm("predict", tmp_path / "x.csv", "--targets", "Lung", "--output", tmp_path / "1.csv")
    assert done.code == 0
    said = " ".join(done.err.split())
    assert "1 column is not a sample: 'x, y' (its correlation with the samples is" in said
    assert "To put one back: --take-back NAME" in said
    assert set(predicted(tmp_path / "1.csv").index) == set(table.columns[:-1])

    options = PredictionOptions(
        targets=("Lung",), reading=ReadingOptions(take_back=("x, y",), leave_out=("a, b", "PT03"))
    )
    files = InputFiles((str(tmp_path / "x.csv"),))
    words = predict_arguments(
        options, files, model="gtex_v8_acmg59_stack", output=str(tmp_path / "2.csv")
    )
    done = mtm(*shlex.split(in_shell(words))[1:])
    assert done.code == 0, done.err
    assert set(predicted(tmp_path / "2.csv").index) == set(table.columns) - {"a, b", "PT03"}


def test_numbers_and_quantity_are_asked_for_and_taken(mtm: Mtm, tmp_path: Path) -> None:
    table = (base.counts() % 90).astype(str)
    table.iloc[5, 1] = "7.231"
    base.write(table, tmp_path / "x.csv", ";")
    to = ("--targets", "Lung", "--output", tmp_path / "x.parquet")
    refused = mtm("predict", tmp_path / "x.csv", *to)
    assert refused.code == 1
    assert "--numbers point or --numbers comma" in refused.err
    assert mtm("predict", tmp_path / "x.csv", *to, "--numbers", "comma").code == 0

    tpm = pd.concat([base.counts().add_suffix("_count"), base.tpm().add_suffix("_TPM")], axis=1)
    base.write(tpm, tmp_path / "two.csv")
    done = mtm("predict", tmp_path / "two.csv", *to, "--quantity", "tpm", "--overwrite")
    assert done.code == 0, done.err
    assert "Read as tpm" in done.err
    refused = mtm("predict", tmp_path / "two.csv", *to, "--quantity", "fpkm", "--overwrite")
    assert refused.code == 1
    assert "expected one of 'count', 'TPM'" in " ".join(refused.err.split())
