"""The door to a model's folder: nothing that was changed, added or linked comes in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtm_core.artefact import Artefact, seal_model
from mtm_core.errors import ArtefactError, InputFileError, MTMError
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.model_description import read_description
from mtm_core.model_folder import MANIFEST, ModelFolder, seal_around, seal_folder
from mtm_core.model_places import BUNDLED, DEFAULT_MODEL
from mtm_core.studies.beside_model import (
    associations_of,
    card_of,
    evaluation_of,
    history_of,
    studies_of,
)
from mtm_core.studies.reference import ReferenceAssociations
from tests.evaluated_model import write_evaluated_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluated model with associations. Copy it before changing it."""
    folder = write_evaluated_model(tmp_path_factory.mktemp("sealed") / "model")
    shutil.copytree(BUNDLED / DEFAULT_MODEL / "associations", folder / "associations")
    shutil.copytree(BUNDLED / DEFAULT_MODEL / "studies", folder / "studies")
    seal_folder(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def read_all(folder: Path) -> Artefact:
    """Read a model as the dashboard does."""
    files = ModelFolder.open(folder)
    artefact = Artefact.load(files)
    assert evaluation_of(files, artefact) is not None
    assert associations_of(files, artefact) is not None
    assert studies_of(files, artefact).traits is not None
    assert history_of(files) is not None
    assert card_of(files).startswith("# ")
    return artefact


def change(path: Path, how: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads(path.read_text())
    how(values)
    path.write_text(json.dumps(values, indent=1) + "\n")


def swap_genes(description: dict[str, Any]) -> None:
    genes = description["genes"]
    genes[0], genes[1] = genes[1], genes[0]


def test_the_bundled_models_are_sealed_as_they_are() -> None:
    for model in sorted(BUNDLED.glob("*/model.json")):
        files = ModelFolder.open(model.parent)
        named = {path.relative_to(model.parent).as_posix() for path in model.parent.rglob("*.*")}
        assert set(files.seals) == named - {MANIFEST}
        for name in files.seals:
            assert files.file(name) is not None


@pytest.mark.parametrize(
    "how",
    [
        swap_genes,
        lambda d: d["tissues"].reverse(),
        lambda d: d["settings"]["config"]["model"].update(dropout=0.31),
        lambda d: d["accuracy"]["summary"].update(gene_rho_by_fold_mean=0.9),
        lambda d: d.update(name="gtex_v8"),
    ],
)
def test_a_changed_description_is_refused(
    folder: Path, how: Callable[[dict[str, Any]], object]
) -> None:
    change(folder / "model.json", how)
    for read in (Artefact.load, read_description):
        with pytest.raises(ArtefactError, match=r"model\.json is not the file that manifest"):
            read(folder)


@pytest.mark.parametrize("name", ["README.md", "history.csv", "evaluation/tissues.csv"])
@pytest.mark.parametrize("damage", ["changed", "deleted", "linked", "folder", "pipe"])
def test_every_file_is_checked_against_its_sha256(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    content = path.read_bytes()
    if damage == "changed":
        path.write_bytes(content[:-2] + b"9\n")
    else:
        path.unlink()
    if damage == "linked":  # to a file that is the same
        outside = folder.with_name("outside")
        outside.write_bytes(content)
        path.symlink_to(outside)
    elif damage == "folder":
        path.mkdir()
    elif damage == "pipe":
        os.mkfifo(path)
    with pytest.raises(ArtefactError, match=rf"{name} is not the file that manifest"):
        read_all(folder)


def test_a_folder_that_leads_outside_is_not_followed(folder: Path) -> None:
    shutil.move(folder / "evaluation", folder.with_name("outside"))
    (folder / "evaluation").symlink_to(folder.with_name("outside"))
    with pytest.raises(ArtefactError, match="it is a link, which is never followed"):
        read_all(folder)
    with pytest.raises(ArtefactError, match="never followed"):
        seal_folder(folder)


@pytest.mark.parametrize("name", ["studies/more/a.csv", "evaluation/comparisons.csv"])
def test_a_table_that_was_added_is_not_read(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("method\n")
    with pytest.raises(ArtefactError, match=rf"{name} is not in manifest\.json.*mtm model seal"):
        read_all(folder)


def test_files_that_are_not_read_are_allowed(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / ".DS_Store").write_bytes(b"\0")
    (folder / "evaluation" / ".DS_Store").write_bytes(b"\0")
    read_all(folder)


@pytest.mark.parametrize(
    "name",
    ["../outside", "/etc/passwd", "evaluation/../../outside", "evaluation/./a", "C:a", "a.csv",
     "evaluation//a", "evaluation/a\0b", "evaluation/.hidden", "evaluation\\a", "evaluation"],
)  # fmt: skip
def test_a_manifest_names_nothing_outside(folder: Path, name: str) -> None:
    change(folder / MANIFEST, lambda m: m["files"].update({name: {"bytes": 0, "sha256": ""}}))
    with pytest.raises(ArtefactError, match=r"manifest\.json is damaged.*no file of a model"):
        read_all(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "evaluation/tissues.csv"])
def test_files_of_holes_are_not_read(folder: Path, name: str) -> None:
    n_bytes = 40 * 2**30
    with (folder / name).open("r+b") as file:
        file.truncate(n_bytes)  # takes no room
    change(folder / MANIFEST, lambda m: m["files"][name].update(bytes=n_bytes))
    with pytest.raises(ArtefactError, match="more than any of ours"):
        read_all(folder)


def test_an_older_folder_is_refused_with_the_command_that_seals_it(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    change(folder / "model.json", lambda d: d.update(format_version=1))
    with pytest.raises(ArtefactError, match=r"earlier version .*: mtm model seal .*model"):
        Artefact.load(folder)
    seal_model(folder)
    read_all(folder)


def test_a_command_that_adds_a_part_seals_it_and_no_other_change(folder: Path) -> None:
    output = folder / "associations"
    shutil.rmtree(output)
    shutil.copytree(BUNDLED / DEFAULT_MODEL / "associations", output)
    (output / "associations.json").write_text((output / "associations.json").read_text() + " ")
    seal_around(output)
    read_all(folder)
    change(folder / "model.json", swap_genes)
    with pytest.raises(ArtefactError, match=r"model\.json is not the file"):
        seal_around(output)


# Sealed by whoever changed it: what is left is what tables must mean.


def write_evaluation(folder: Path, how: Callable[[EvaluationTables], object]) -> None:
    tables = EvaluationTables.load(folder / "evaluation")
    how(tables)
    tables.genes.to_parquet(folder / "evaluation" / "genes.parquet", index=False)
    tables.tissues.to_csv(folder / "evaluation" / "tissues.csv", index=False)
    seal_folder(folder)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (lambda e: e.genes.pop("rho_by_fold"), "genes has no rho_by_fold"),
        (lambda e: e.genes.insert(0, "spare", "=1+1"), "'spare' of the table of genes holds no"),
        (lambda e: e.genes.isetitem(0, "Atlantis"), "'Atlantis' is not a tissue of the model"),
        (lambda e: e.genes.isetitem(1, 7), "'gene_id' of the table of genes holds no names"),
        (lambda e: e.tissues.isetitem(2, "high"), "'gene_rho_by_fold' of the table of tissues"),
        (lambda e: e.genes.insert(0, "z", [[1.0]] * len(e.genes)), "'z' of the table of genes"),
    ],
)  # fmt: skip
def test_tables_that_are_not_of_the_model_are_refused(
    folder: Path, how: Callable[[EvaluationTables], object], message: str
) -> None:
    write_evaluation(folder, how)
    with pytest.raises(InputFileError, match=message):
        read_all(folder)


READERS: dict[str, Callable[[ModelFolder, Artefact], object]] = {
    "evaluation": evaluation_of,
    "associations": associations_of,
    "studies": studies_of,
    "history.csv": lambda files, artefact: history_of(files),
}


@pytest.mark.parametrize("part", list(READERS))
def test_tables_cut_or_filled_with_nonsense_end_in_words(folder: Path, part: str) -> None:
    artefact, read, top = Artefact.load(folder), READERS[part], folder / part
    tables = [top] if top.is_file() else sorted(p for p in top.rglob("*.*") if p.is_file())
    rng = np.random.default_rng(0)
    ends = []
    for path in tables:
        content = path.read_bytes()
        cut = content[: rng.integers(len(content))]
        nonsense = bytes(rng.integers(0, 256, 200, dtype=np.uint8))
        for damaged in (cut, nonsense, b"[]", b"a,b\n1,2\n", b'{"traits": {"x": 1}}'):
            path.write_bytes(damaged)
            seal_folder(folder)
            try:
                ends.append(read(ModelFolder.open(folder), artefact) is not None)
            except MTMError:
                ends.append(False)
        path.write_bytes(content)
    assert not all(ends)
    seal_folder(folder)
    assert read(ModelFolder.open(folder), artefact) is not None


def test_rows_that_take_no_room_are_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtm_core.studies.beside_model._MOST_ROWS", 1000)
    with pytest.raises(InputFileError, match=r"genes\.parquet has [\d,]+ rows"):
        read_all(folder)


def test_associations_without_categories_are_read_as_with_them(folder: Path) -> None:
    path = folder / "associations" / "associations.parquet"
    table = pd.read_parquet(path)
    before = ReferenceAssociations.load(path.parent).select("sex", "Lung")
    table.astype({"trait": str, "tissue": str, "gene_id": str}).to_parquet(path, index=False)
    seal_folder(folder)
    read_all(folder)
    after = ReferenceAssociations.load(path.parent).select("sex", "Lung")
    pd.testing.assert_series_equal(before["effect"], after["effect"])
