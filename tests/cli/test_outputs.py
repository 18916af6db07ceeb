"""Every command that writes: onto a full disk, over others' things, over its own input."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest

from mtm_core.artefact import Artefact
from mtm_core.data.cohort.splits import donor_folds
from mtm_core.evaluation.accuracy import accuracy
from mtm_core.evaluation.cross_validation import cross_validate, write_netcdf
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.methods.ridge import RidgeMethod
from tests.cli.conftest import ONE_EPOCH, Done, Mtm, error_of
from tests.gtex_files import GtexFiles, write_gtex_files

SAMPLES = Path(__file__).parents[2] / "data_samples"
TPM, METADATA = SAMPLES / "blood_tpm.tsv", SAMPLES / "metadata.tsv"
FEW = ["--minimum-samples=20", "--minimum-tissues=2"]


@pytest.fixture(scope="module")
def files(small_cohort: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> GtexFiles:
    return write_gtex_files(tmp_path_factory.mktemp("gtex"), small_cohort, pseudogenes=[])


@pytest.fixture(scope="module")
def evaluated(small_cohort: ad.AnnData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    folds = donor_folds(small_cohort.obs, n_folds=2)
    folds.save(folder / "folds.json")
    predictions = cross_validate(RidgeMethod("Whole Blood"), small_cohort, folds)
    write_netcdf(predictions, folder / "ridge.nc")
    settings = {"cohort_sha256": str(small_cohort.uns["mtm"]["sha256"]), "source": "Whole Blood"}
    EvaluationTables.of({"ridge": accuracy(predictions)}, settings).save(folder)
    return folder


Command = Callable[[str, Path], list[object]]
"""The words of a command by its name, for an output."""


@pytest.fixture
def command(
    files: GtexFiles, cohort_file: Path, evaluated: Path, small_artefact: Artefact, tmp_path: Path
) -> Command:
    def words(name: str, output: Path) -> list[object]:
        kind, _, detail = name.partition(" ")
        if name == "model pack" and not (tmp_path / "model").exists():
            small_artefact.save(tmp_path / "model")
        given: dict[str, list[object]] = {
            "predict": ["predict", TPM, "--targets=Lung,Liver"],
            "compare": ["compare", TPM, f"--metadata={METADATA}", "--groups=group=case,control",
                        "--targets=Lung"],
            "evaluate": ["evaluate", cohort_file, "--methods=ridge", "--folds=2",
                         "--resamples=100", "--save-predictions"],
            "study reference": ["study", "reference", cohort_file],
            "study traits": ["study", "traits", cohort_file, evaluated / "ridge.nc",
                             "--shuffles=19"],
            "study pgenes": ["study", "pgenes", cohort_file, f"--evaluation={evaluated}",
                             "--method=ridge"],
            "train mtm": ["train", cohort_file, *ONE_EPOCH],
            "train ridge": ["train", cohort_file, "--method=ridge"],
            "data prepare": ["data", "prepare", *files.options(), *FEW],
            "data store": ["data", "store", files.expression],
            "model pack": ["model", "pack", tmp_path / "model"],
        }  # fmt: skip
        return [*given[name if detail and kind != "predict" else kind], "--output", output]

    return words


FILES = {"predict csv": "p.csv", "predict parquet": "p.parquet", "predict h5ad": "p.h5ad",
         "data prepare": "c.h5ad"}  # fmt: skip
FOLDERS = {"predict zarr": "p.zarr", "compare": "c", "evaluate": "e", "study reference": "r",
           "study traits": "t", "study pgenes": "g", "train mtm": "m", "train ridge": "m",
           "data store": "s.zarr", "model pack": "p"}  # fmt: skip


def left_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def last_line(done: Done) -> str:
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    return done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "output", "room"),
    [
        *((*pair, 0) for pair in (*FILES.items(), *FOLDERS.items())),
        # Where something fits: HDF5 fails where it closes, zarr after its first files.
        *((name, FILES[name], 12_000) for name in ("predict h5ad", "data prepare")),
        *((name, FOLDERS[name], 12_000) for name in ("predict zarr", "compare", "evaluate")),
    ],
)
def test_a_full_disk_is_a_one_line_error_and_leaves_nothing(
    mtm: Mtm, command: Command, full_disk: Path, name: str, output: str, room: int
) -> None:
    filler = full_disk / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(full_disk).free - room))
    done = mtm(*command(name, full_disk / output))
    line = last_line(done)
    assert line.startswith(f"mtm: error: cannot write {full_disk}"), done.err
    assert "the disk is full" in line
    left = {path.name for path in full_disk.iterdir()} - {"filler"}
    if name in ("evaluate", "train mtm"):  # go on from what is there, which is no result
        assert left <= {output}
        there = {path.name for path in (full_disk / output).rglob("*")} if left else set()
        assert not there & {"summary.csv", "genes.parquet", "settings.json", "model.json"}
    else:
        assert left == set() or {path.name for path in (full_disk / output).iterdir()} <= {
            ".mtm-output.json"
        }


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize(("name", "output"), [*FILES.items(), *FOLDERS.items()])
def test_files_of_others_are_not_replaced(
    mtm: Mtm, command: Command, tmp_path: Path, name: str, output: str, overwrite: list[str]
) -> None:
    """A folder under the name of the output, with files that the command would write too."""
    folder = tmp_path / "mine" / output
    (folder / "evaluation").mkdir(parents=True)
    names = ["README.md", "model.safetensors", "summary.csv", "settings.json", "genes.parquet",
             "strata.csv", "history.csv", "folds.json", "zarr.json", "thesis.txt"]  # fmt: skip
    for one in names:
        (folder / one).write_text("mine")
    for part in (f"{output}.part", f"{output}.progress", f"{output}.finished"):
        (tmp_path / "mine" / part).mkdir()
        (tmp_path / "mine" / part / "thesis.txt").write_text("mine")
    before = left_in(tmp_path / "mine")
    line = error_of(mtm(*command(name, folder), *overwrite))
    assert output in line
    assert left_in(tmp_path / "mine") == before


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
def test_an_input_is_never_the_output(
    mtm: Mtm, cohort_file: Path, tmp_path: Path, overwrite: list[str]
) -> None:
    table, metadata = tmp_path / "in.csv", tmp_path / "who.csv"
    pd.read_csv(TPM, sep="\t").to_csv(table, index=False)
    shutil.copy(METADATA, metadata)
    (tmp_path / "link.csv").symlink_to(table)
    (tmp_path / "hard.csv").hardlink_to(table)
    shutil.copy(cohort_file, tmp_path / "cohort.h5ad")
    before = left_in(tmp_path)
    options = ["--targets=Lung", *overwrite]
    for output in ("in.csv", "link.csv", "hard.csv", "./in.csv"):
        error_of(mtm("predict", table, *options, "--output", tmp_path / output))
    reads = f"--metadata={metadata}"
    error_of(mtm("predict", table, reads, *options, "--output", metadata))
    compare = ["compare", table, reads, "--groups=group=case,control", *overwrite]
    error_of(mtm(*compare, "--output", tmp_path))
    for words in (["evaluate"], ["train"], ["study", "reference"]):
        error_of(mtm(*words, tmp_path / "cohort.h5ad", *overwrite, "--output", tmp_path))
    assert left_in(tmp_path) == before


def test_own_outputs_are_replaced_on_request(mtm: Mtm, command: Command, tmp_path: Path) -> None:
    for name, output in (("predict zarr", "p.zarr"), ("compare", "c"), ("model pack", "p")):
        words = command(name, tmp_path / output)
        assert mtm(*words).code == 0
        before = left_in(tmp_path / output)
        assert "--overwrite" in error_of(mtm(*words))
        assert mtm(*words, "--overwrite").code == 0
        assert left_in(tmp_path / output) == before
        (tmp_path / output / "notes.txt").write_text("mine")
        assert "notes.txt" in error_of(mtm(*words, "--overwrite"))
        assert (tmp_path / output / "notes.txt").read_text() == "mine"


def test_an_evaluation_is_resumed_and_replaced_only_on_request(
    mtm: Mtm, command: Command, tmp_path: Path
) -> None:
    words = command("evaluate", tmp_path / "e")
    assert mtm(*words).code == 0
    before = {path: path.stat().st_ino for path in (tmp_path / "e" / "folds").iterdir()}
    assert mtm(*words).code == 0
    assert {path: path.stat().st_ino for path in (tmp_path / "e" / "folds").iterdir()} == before
    error = error_of(mtm(*words, "--seed=1"))
    assert "holds an evaluation of other settings (seed)" in error
    assert mtm(*words, "--seed=1", "--overwrite").code == 0
    assert '"seed": 1' in (tmp_path / "e" / "settings.json").read_text()


@pytest.mark.skipif(os.name != "posix", reason="no such signals elsewhere")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_command_leaves_no_output_that_looks_complete(
    mtm: Mtm, tmp_path: Path, number: signal.Signals
) -> None:
    script = (
        "import sys, time; from mtm_core.inference import write_blocks as w;"
        "slow = w.write_csv\n"
        "def write(blocks, samples, path):\n"
        "    slow(blocks, samples, path); print('half', flush=True); time.sleep(60)\n"
        "w.WRITERS['.csv'] = write\n"
        "from mtm_core.cli.main import run; run()"
    )
    options = [str(TPM), "--targets", "Lung", "--output", str(tmp_path / "p.csv")]
    with subprocess.Popen(
        [sys.executable, "-c", script, "predict", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout.readline() == "half\n"
        run.send_signal(number)
        errors = run.communicate(timeout=60)[1]
    left = [path.name for path in tmp_path.iterdir()]
    if number == signal.SIGTERM:
        assert run.returncode == 143
        assert errors.splitlines()[-1] == "mtm: stopped by SIGTERM."
        assert left == []
    else:
        [name] = left
        assert name.startswith(".p.csv.mtm-partial-")
    began = time.monotonic()
    assert mtm("predict", *options).code == 0
    assert time.monotonic() - began < 60
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]
