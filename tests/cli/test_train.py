"""``mtm train`` and ``mtm evaluate``: from a cohort to a model that can be used."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.model_description import read_description
from tests.cli.conftest import ONE_EPOCH, Mtm, error_of


@pytest.fixture
def trained(mtm: Mtm, cohort_file: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "mine"
    done = mtm("train", cohort_file, *ONE_EPOCH, "--output", folder)
    assert done.code == 0
    assert done.out == ""
    lines = done.err.splitlines()
    assert lines[0].startswith("Epoch 1/1, ")
    assert "total" in lines[0]
    assert lines[-1].startswith(f"Wrote {folder}. Try it: mtm predict INPUT --model {folder}")
    return folder


def test_trained_model_is_described_and_predicts(
    mtm: Mtm, trained: Path, small_cohort: ad.AnnData, tmp_path: Path
) -> None:
    described = mtm("model", "describe", trained)
    assert "model\tmine" in described.out.splitlines()
    assert f"trained on\t60 donors, {small_cohort.n_obs} samples" in described.out.splitlines()
    blood = small_cohort[small_cohort.obs["tissue"] == "Whole Blood"][:5].to_df()
    blood.to_csv(tmp_path / "blood.csv")
    options = ["--unit=tpm", "--output", tmp_path / "p.csv"]
    assert mtm("predict", tmp_path / "blood.csv", "--model", trained, *options).code == 0
    assert len(pd.read_csv(tmp_path / "p.csv")) == 5 * 4 * 40
    card = (trained / "README.md").read_text()
    assert "# mine" in card
    assert "Not evaluated" in card
    description = read_description(trained)
    assert description["provenance"]["command"].startswith("mtm train ")
    assert description["provenance"]["epochs"] == 1


def test_a_run_or_a_model_is_not_overwritten(mtm: Mtm, trained: Path, cohort_file: Path) -> None:
    before = (trained / "model.json").read_bytes()
    refused = mtm("train", cohort_file, *ONE_EPOCH, "--output", trained)
    assert "already holds a run. Continue it with --resume" in error_of(refused)
    (trained / "checkpoint.safetensors").unlink()
    for resume in ([], ["--resume"]):
        refused = mtm("train", cohort_file, *ONE_EPOCH, *resume, "--output", trained)
        assert "holds a finished model. Name another folder" in error_of(refused)
    assert (trained / "model.json").read_bytes() == before


def test_finished_run_can_be_resumed_to_the_same_model(
    mtm: Mtm, trained: Path, cohort_file: Path
) -> None:
    before = read_description(trained)["sha256"]
    assert mtm("train", cohort_file, *ONE_EPOCH, "--resume", "--output", trained).code == 0
    assert read_description(trained)["sha256"] == before
    other = ["--accelerator=cpu", "--set", "training.epochs=2"]
    error = error_of(mtm("train", cohort_file, *other, "--resume", "--output", trained))
    assert "the checkpoint belongs to another run: its config differ" in error


def test_resuming_nothing_says_so(mtm: Mtm, cohort_file: Path, tmp_path: Path) -> None:
    done = mtm("train", cohort_file, *ONE_EPOCH, "--resume", "--output", tmp_path / "new")
    assert done.code == 0
    assert "has no checkpoint: training starts from the beginning" in done.err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epochs", "--set expects section.name=value, got 'training.epochs'"),
        ("training.epoch=3", "got 'training.epoch'"),
        ("epochs=3", "got 'epochs'"),
        ("training.epochs=many", "expected int @ $.training.epochs"),
        ("training.epochs=0", "expected epochs >= 1"),
        ("loss.distance=l3", "$.loss.distance"),
    ],
)
def test_setting_that_cannot_be_is_named(
    mtm: Mtm, cohort_file: Path, tmp_path: Path, setting: str, message: str
) -> None:
    done = mtm("train", cohort_file, "--set", setting, "--output", tmp_path / "x")
    assert message in error_of(done)
    assert not (tmp_path / "x").exists()


def test_settings_reach_the_model(mtm: Mtm, cohort_file: Path, tmp_path: Path) -> None:
    changes = ["--set", "model.n_latent=7", "--set", "model.encoder_widths=[20, 10]"]
    done = mtm("train", cohort_file, *ONE_EPOCH, *changes, "--output", tmp_path / "m")
    assert done.code == 0
    settings = Artefact.load(tmp_path / "m").method.settings()["config"]
    assert settings["model"]["n_latent"] == 7
    assert list(settings["model"]["encoder_widths"]) == [20, 10]


@pytest.mark.skipif(os.name != "posix", reason="no SIGINT to send elsewhere")
def test_ctrl_c_ends_with_130_and_the_run_can_be_resumed(
    mtm: Mtm, cohort_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    command = [
        "train", str(cohort_file), "--accelerator=cpu", "--set", "training.epochs=15",
        "--output", str(folder),
    ]  # fmt: skip
    program = Path(sys.executable).with_name("mtm")
    with subprocess.Popen([program, *command], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("Epoch 2/15"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    n_done = len(pd.read_csv(folder / "history.csv"))
    assert 2 <= n_done < 15
    assert rest.splitlines()[-1] == (
        f"Stopped after epoch {n_done}. Continue with the same command and --resume."
    )
    assert "Traceback" not in rest
    assert not (folder / "model.json").exists()

    assert "Continue it with --resume" in error_of(mtm(*command))
    done = mtm(*command, "--resume")
    assert done.code == 0
    assert done.err.splitlines()[0].startswith(f"Epoch {n_done + 1}/15")
    assert pd.read_csv(folder / "history.csv")["epoch"].tolist() == list(range(1, 16))
    assert read_description(folder)["provenance"]["epochs"] == 15


@pytest.fixture(scope="module")
def few_settings() -> list[str]:
    return [*ONE_EPOCH, "--set", "model.n_latent=6"]


def test_evaluation_is_added_only_to_its_own_model(
    mtm: Mtm, cohort_file: Path, few_settings: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "evaluation"
    evaluate = [
        "evaluate", cohort_file, *few_settings, "--folds=2", "--methods=mtm,training-mean",
        "--output", folder,
    ]  # fmt: skip
    done = mtm(*evaluate)
    assert done.code == 0
    printed = {line.split("\t")[0]: line.split("\t") for line in done.out.splitlines()}
    assert {"mtm", "training-mean"} <= set(printed)
    assert "mtm: 2 folds in " in done.err
    tables = EvaluationTables.load(folder)
    rho = tables.tissues.query("method == 'mtm'")["gene_rho_by_fold"].mean()
    assert f"{rho:.3f}" in printed["mtm"]
    again = mtm(*evaluate)  # from the folds that are there
    assert again.out == done.out
    assert "Epoch" not in again.err

    model = tmp_path / "model"
    train = ["train", cohort_file, "--evaluation", folder, "--output", model]
    assert mtm(*train, *few_settings).code == 0
    accuracy = read_description(model)["accuracy"]
    assert {row["tissue"] for row in accuracy["tissues"]} == set(tables.tissues["tissue"])
    assert np.mean([row["gene_rho_by_fold"] for row in accuracy["tissues"]]) == pytest.approx(rho)
    assert f"{rho:.3f}" in (model / "README.md").read_text()
    described = mtm("model", "describe", model)
    assert f"gene-wise rho, by fold\t{rho:.3f}" in described.out.splitlines()

    other = ["train", cohort_file, "--evaluation", folder, "--output", tmp_path / "other"]
    error = error_of(mtm(*other, *ONE_EPOCH))
    assert "its settings differ. Run 'mtm evaluate' on this cohort with these settings" in error
    settings = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps(settings | {"cohort_sha256": "0" * 64}))
    assert "its cohort differ" in error_of(mtm(*other, *few_settings))
    assert not (tmp_path / "other").exists()


def test_evaluation_without_the_method_is_refused_before_training(
    mtm: Mtm, cohort_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "evaluation"
    done = mtm("evaluate", cohort_file, "--folds=2", "--methods=training-mean", "--output", folder)
    assert done.code == 0
    train = ["train", cohort_file, *ONE_EPOCH, "--output", tmp_path / "m", "--evaluation"]
    assert "holds no evaluation of mtm" in error_of(mtm(*train, folder))
    assert "holds no evaluation" in error_of(mtm(*train, tmp_path))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--methods=ridgee"], "unknown method: 'ridgee' (did you mean 'ridge'?)"),
        (["--folds=2", "--only=2"], "unknown fold: '2'"),
        (["--source=Blood"], "unknown tissue: 'Blood'"),
    ],
)
def test_wrong_choice_of_an_evaluation_is_one_line(
    mtm: Mtm, cohort_file: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    done = mtm("evaluate", cohort_file, *ONE_EPOCH, *options, "--output", tmp_path / "e")
    assert done.code == 1
    assert message in done.err.splitlines()[-1]
