"""The bundled model and the example, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

from mtm_core.dashboard.resources import EXAMPLE, ServedModel
from mtm_core.dashboard.session import Session
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.predictor import Predictor
from tests.evaluated_model import write_evaluated_model


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages wait for their jobs: no browser is there to ask again."""
    monkeypatch.setattr("mtm_core.dashboard.background.PATIENCE_SECONDS", 60.0)


@pytest.fixture(autouse=True)
def own_workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is kept in a folder of the test's own."""
    monkeypatch.setenv("MTM_WORKSPACE", str(tmp_path / "workspaces"))
    monkeypatch.delenv("MTM_WORKSPACE_HOURS", raising=False)
    return tmp_path / "workspaces"


@pytest.fixture(scope="session")
def predictor() -> Predictor:
    return Predictor.load(find_model(DEFAULT_MODEL))


@pytest.fixture(scope="session")
def evaluated_model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return ServedModel.load(write_evaluated_model(tmp_path_factory.mktemp("evaluated") / "model"))


@pytest.fixture
def session(predictor: Predictor) -> Session:
    """A session that has opened the example."""
    session = Session(targets=("Lung", "Liver"))
    session.open(EXAMPLE.read_bytes(), EXAMPLE.name, predictor)
    return session


@pytest.fixture
def prediction(session: Session, predictor: Predictor) -> xr.Dataset:
    session.predict(predictor)
    assert session.prediction is not None
    return session.prediction
