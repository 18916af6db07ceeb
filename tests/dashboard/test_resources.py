from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import pytest

from mtm_core.dashboard.state import resources
from mtm_core.dashboard.state.resources import (
    EXAMPLE,
    MODEL_VARIABLE,
    ServedModel,
    _bundled_files,
    _shelf,
    load_ahead,
)
from mtm_core.errors import ArtefactError
from mtm_core.model_folder import seal_folder
from tests.evaluated_model import NAME, write_evaluated_model


def test_everything_about_a_model_is_loaded(evaluated_model: ServedModel) -> None:
    assert evaluated_model.evaluation is not None
    assert evaluated_model.card.startswith(f"# {NAME}")
    assert evaluated_model.history is not None
    assert len(evaluated_model.history) == 3


def test_missing_parts_of_a_model_folder_are_absent(tmp_path: Path) -> None:
    folder = write_evaluated_model(tmp_path / "model")
    (folder / "README.md").unlink()
    (folder / "history.csv").unlink()
    for file in (folder / "evaluation").iterdir():
        file.unlink()
    (folder / "evaluation").rmdir()
    seal_folder(folder)
    model = ServedModel.load(folder)
    assert (model.evaluation, model.card, model.history) == (None, "", None)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no model in"):
        ServedModel.load(tmp_path)


def test_tables_that_come_with_the_program_are_known_to_be_simulated() -> None:
    files = [EXAMPLE, EXAMPLE.with_name("blood_counts.csv"), EXAMPLE.with_name("blood_tpm.gct")]
    assert _bundled_files() == {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_server_loads_its_own_model_before_a_visitor_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_evaluated_model(tmp_path / "model")
    monkeypatch.setenv(MODEL_VARIABLE, str(folder))
    monkeypatch.setattr(resources, "_shelf", cache(resources._shelf.__wrapped__))
    assert not resources._shelf().has(folder)
    load_ahead()
    assert resources._shelf().has(folder)
    assert resources._shelf().get(folder).predictor.artefact.name == NAME


def test_a_server_whose_model_cannot_be_loaded_leaves_that_to_its_first_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path))
    load_ahead()
    assert not _shelf().has(tmp_path)
