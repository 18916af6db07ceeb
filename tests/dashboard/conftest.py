"""The bundled model and the example, without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

from mtm_core.dashboard.state.resources import EXAMPLE, EXAMPLE_METADATA, ServedModel
from mtm_core.dashboard.state.session import Session
from mtm_core.dashboard.state.work import Work
from mtm_core.dashboard.state.workspace import WorkspaceStore
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model
from tests.dashboard.saved_work import Clock
from tests.dashboard_settings import components_scanned_once as components_scanned_once
from tests.dashboard_settings import own_workspaces as own_workspaces
from tests.dashboard_settings import patient as patient
from tests.evaluated_model import write_evaluated_model


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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(own_workspaces: Path, clock: Clock) -> WorkspaceStore:
    return WorkspaceStore(own_workspaces, 24, clock=clock)


@pytest.fixture
def work(session: Session) -> Work:
    """The example with all that can be saved of it."""
    session.open_metadata(EXAMPLE_METADATA.read_bytes(), EXAMPLE_METADATA.name)
    assert session.table is not None
    return Work(
        session.table,
        session.table_sha256,
        "Whole Blood",
        "cpm",
        "none",
        ("Lung", "Liver"),
        session.metadata,
        "abc",
        {"fold_change": 0.25, "covariates": ["age"], "highlighted": None},
    )
