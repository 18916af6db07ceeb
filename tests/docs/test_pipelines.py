"""The Snakemake rules and the Nextflow module run as they are written, and what they write is read.

Without a workflow manager: their blocks for the shell are filled in and run in bash, with an
``mtm`` that writes down its arguments; the command then runs in this process, as to start Python
four times takes longest. Where Snakemake is installed (weekly) it runs them itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core import SAMPLES, __version__
from mtm_core.cli.main import run
from tests.docs.pipeline_files import (
    PIPELINES,
    Step,
    configuration,
    nextflow_step,
    snakemake_step,
)

TISSUES = ["Liver", "Lung"]
COMPARED = [*TISSUES, "Whole Blood"]
N_SAMPLES, N_GENES = 40, 59
_BIN = Path(sys.executable).parent
_RECORDER = f"""#!/bin/bash
if [ "$1" = --version ]; then exec '{_BIN}/mtm' --version; fi
printf '%s\\0' "$@" > arguments
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Step], None]:
    """Run a step in a folder, and check that all its outputs are there."""
    monkeypatch.chdir(tmp_path)
    recorder = tmp_path / "bin" / "mtm"
    recorder.parent.mkdir()
    recorder.write_text(_RECORDER)
    recorder.chmod(0o755)
    environment = {**os.environ, "PATH": f"{recorder.parent}:{os.environ['PATH']}"}

    def call(step: Step) -> None:
        for path in step.outputs:
            path.parent.mkdir(exist_ok=True)  # as a workflow manager does
        command = ["bash", "-euo", "pipefail", "-c", step.shell]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        asked = Path("arguments").read_text().split("\0")[:-1]
        monkeypatch.setattr(sys, "argv", ["mtm", *asked])
        with contextlib.suppress(SystemExit):  # its status: what lacks is found below
            run()
        assert all(path.is_file() for path in step.outputs), step

    return call


def check_prediction(path: Path) -> None:
    """Check a prediction of lung and liver of the simulated samples."""
    predicted = ad.read_h5ad(path)
    assert predicted.shape == (N_SAMPLES * len(TISSUES), N_GENES)
    assert sorted(predicted.obs["tissue"].unique()) == TISSUES
    samples = pd.read_csv(SAMPLES / "blood_tpm.tsv", sep="\t", index_col=0).index
    assert set(predicted.obs["sample"]) == set(samples)
    assert np.isfinite(predicted.X).all()
    assert (predicted.layers["lower"] < predicted.layers["upper"]).all()


def check_enriched(path: Path) -> None:
    """Check a summary of gene sets of what was compared."""
    assert sorted(pd.read_csv(path)["tissue"]) == COMPARED
    assert len(pd.read_csv(path.with_name("over_representation.csv")))


def test_the_rules_of_snakemake_make_what_they_name(make: Callable[[Step], None]) -> None:
    config = configuration(SAMPLES)
    predict = snakemake_step("mtm_predict", config, cohort="example", format="h5ad")
    compare, enrich = (
        snakemake_step(rule, config, cohort="example") for rule in ("mtm_compare", "mtm_enrich")
    )
    for step in (predict, compare, enrich):
        make(step)
    assert set(config["wanted"]) <= {str(step.outputs[0]) for step in (predict, enrich)}
    check_prediction(Path("example/predicted.h5ad"))
    table = pd.read_parquet("example/compared/differential_expression.parquet")
    assert dict(table["tissue"].value_counts()) == dict.fromkeys(COMPARED, N_GENES)
    check_enriched(Path("example/enriched/summary.csv"))


def test_the_process_of_nextflow_makes_what_it_emits(make: Callable[[Step], None]) -> None:
    table = Path("blood of the first cohort.tsv")  # a blank in a name is no end of it
    shutil.copy(SAMPLES / "blood_tpm.tsv", table)
    step = nextflow_step(
        table=table.name,
        model="gtex_v8_acmg59_stack",
        targets=",".join(TISSUES),
        arguments="--alignment none",
        prefix="example",
        **{"task.cpus": "1", "task.process": "MTM_PREDICT"},
    )
    make(step)
    prediction, _, versions = step.outputs
    check_prediction(prediction)
    assert json.loads(ad.read_h5ad(prediction).uns["mtm"]["options"])["alignment"] == "none"
    assert versions.read_text() == f'"MTM_PREDICT": {{mtm: {__version__}}}\n'


@pytest.mark.skipif(shutil.which("snakemake") is None, reason="snakemake is not installed")
def test_snakemake_itself_runs_the_rules(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{_BIN}:{os.environ['PATH']}"}
    command = ["snakemake", "--cores", "2", "--snakefile", PIPELINES / "Snakefile"]
    command += ["--directory", tmp_path, "--config", f"samples={SAMPLES}"]
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for wanted in configuration(SAMPLES)["wanted"]:
        assert (tmp_path / wanted).is_file()
    check_prediction(tmp_path / "example/predicted.h5ad")
    check_enriched(tmp_path / "example/enriched/summary.csv")
