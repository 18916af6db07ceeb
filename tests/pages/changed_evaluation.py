"""The default model beside an evaluation that a test has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.model_folder import seal_folder
from mtm_core.model_places import DEFAULT_MODEL, find_model


def bundled_tables() -> EvaluationTables:
    return EvaluationTables.load(find_model(DEFAULT_MODEL) / "evaluation")


def serve_with(tables: EvaluationTables, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model.json", "model.safetensors"):
        (folder / name).write_bytes((find_model(DEFAULT_MODEL) / name).read_bytes())
    tables.save(folder / "evaluation")
    seal_folder(folder)
    monkeypatch.setenv(MODEL_VARIABLE, str(folder))
