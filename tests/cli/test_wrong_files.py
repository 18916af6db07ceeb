"""A file that is not what it is given for is said in words, before any work, by every command."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.splits import DonorFolds
from tests.cli.conftest import Mtm, error_of

FILES = {
    "empty": "got an empty file",
    "picture.png": "got a PNG image",
    "random.bin": "got a binary file of another kind",
    "prose.txt": "got text that begins 'A letter, and no table.'",
    "other.h5ad": "but not a cohort. Make one with 'mtm data prepare'.",
    "half.h5ad": "but not a cohort. Make one with 'mtm data prepare'.",
    "scalar.h5ad": "but not a cohort. Make one with 'mtm data prepare'.",
    "nothing.h5ad": "but not a cohort. Make one with 'mtm data prepare'.",
    "folder": "folder is a folder; expected a file",
    "missing": "cannot open missing: there is no such file",
}
"""What is given for a cohort, and what is said of it."""

OF_A_COHORT = [
    "data describe {}",
    "evaluate {} --methods ridge --output out",
    "train {} --method ridge --output out",
    "build --cohort {} --method ridge --output out",
    "study reference {} --output out",
    "study traits {} prose.txt --output out",
    "study disease {} prose.txt --output out",
    "study pgenes {} --evaluation folder --output out",
    "study latent {} --folds folds.json --output out",
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, cohort_file: Path) -> Path:
    folder = tmp_path_factory.mktemp("wrong")
    shutil.copy(cohort_file, folder / "cohort.h5ad")
    (folder / "folder").mkdir()
    (folder / "results").mkdir()
    (folder / "results" / "changes.csv").touch()
    (folder / "empty").touch()
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (folder / "random.bin").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "prose.txt").write_text("A letter, and no table.\nYours\n")
    table = np.ones((4, 3), dtype=np.float32)
    ad.AnnData(table).write_h5ad(folder / "other.h5ad")
    people = pd.DataFrame({"donor": list("abcd"), "tissue": list("wxyz")}, index=list("1234"))
    half = ad.AnnData(table, obs=people, uns={"mtm": {"unit": "TPM"}})
    half.write_h5ad(folder / "half.h5ad")
    with h5py.File(folder / "scalar.h5ad", "w") as file:
        file["X"] = 1.0
        file.create_group("uns/donors")
    with h5py.File(folder / "nothing.h5ad", "w") as file:
        file["a"] = 1
    DonorFolds((("D1",), ("D2",)), 0).save(folder / "folds.json")
    return folder


@pytest.mark.parametrize("command", OF_A_COHORT)
def test_commands_refuse_files_that_are_not_a_cohort(
    mtm: Mtm, files: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(files)
    for name, said in FILES.items():
        assert said in error_of(mtm(*command.format(name).split(" "))), name
    assert not list(files.glob("out*"))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("data store random.bin --output o.zarr", "random.bin: expected text, got a binary file"),
        ("data store folder --output o.zarr", "INPUT: folder is a folder; expected a file"),
        (
            "data prepare --expression empty --sample-attributes other.h5ad --output c.h5ad",
            "other.h5ad: expected text, got an HDF5 file",
        ),
        (
            "data prepare --expression prose.txt --sample-attributes empty --output c.h5ad",
            "empty: the file is empty; expected a table with SAMPID, SMTSD",
        ),
        ("study reference cohort.h5ad --dbgap picture.png --output out", "got a PNG image"),
        ("study traits cohort.h5ad prose.txt --output out", "got text that begins 'A letter"),
        ("study traits cohort.h5ad folder --output out", "PREDICTIONS: folder is a folder"),
        ("study latent cohort.h5ad --folds empty --output out", "expected folds as JSON"),
        ("study pgenes cohort.h5ad --evaluation empty --output out", "empty is a file; expected a"),
        ("train cohort.h5ad --method ridge --evaluation folder --output out", "no summary.csv"),
        ("evaluate cohort.h5ad --methods ridge --technical picture.png --output out", "a PNG"),
        ("enrich folder --output out", "folder is a folder; expected a file. Name the file in it."),
        ("enrich results --output out", "expected a file. Name the file in it: 'changes.csv'."),
        (
            "compare cohort.h5ad --metadata prose.txt --groups a=b,c --gene-sets folder"
            " --output out",
            "folder is a folder; expected a file",
        ),
        ("activity cohort.h5ad --network folder --output out", "folder is a folder; expected a"),
        ("quality cohort.h5ad --metadata folder --output out", "--metadata: folder is a folder"),
        ("composition cohort.h5ad --metadata folder --output o.csv", "--metadata: folder is a"),
        ("model seal folder", "no model in folder: it has no model.json"),
        ("model push gtex_v8_acmg59 --licence X --output out", "'X' is not an SPDX id"),
        (
            "model push gtex_v8_acmg59 --licence CC0-1.0 --licence-file empty --output out",
            "expected the text of CC0-1.0, got an empty file",
        ),
        (
            "build --cohort cohort.h5ad --licence CC0-1.0 --licence-file folder --output out",
            "expected the text of CC0-1.0, got a folder",
        ),
        ("build --cohort cohort.h5ad --licence-file empty --output out", "needs --licence"),
    ],
)
def test_commands_refuse_other_wrong_files(
    mtm: Mtm, files: Path, monkeypatch: pytest.MonkeyPatch, command: str, said: str
) -> None:
    monkeypatch.chdir(files)
    done = mtm(*command.split(" "))
    assert done.code == 1
    assert said in done.err.splitlines()[-1]
    assert "Errno" not in done.err
    assert not list(files.glob("out*"))


def test_creators_need_names(mtm: Mtm, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    for given in (["--creator", ""], ["--creator", "A", "--creator", " "]):
        done = mtm("model", "push", "gtex_v8_acmg59", *given, "--output", "out")
        assert "--creator names nobody" in error_of(done)
    assert not list(files.glob("out*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--source Blod", "unknown tissue: 'Blod'"),
        ("--folds 200", "--folds: expected 2 to"),
    ],
)
def test_a_build_that_cannot_be_evaluated_is_refused_at_the_start(
    mtm: Mtm, files: Path, monkeypatch: pytest.MonkeyPatch, options: str, said: str
) -> None:
    monkeypatch.chdir(files)
    command = "build --cohort cohort.h5ad --method ridge --output out"
    assert said in error_of(mtm(*command.split(" "), *options.split(" ")))
    assert not list(files.glob("out*"))
