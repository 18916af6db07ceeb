"""The bundled model and the example, without a server."""

from __future__ import annotations

import pytest
import xarray as xr

from mtm_core.dashboard.resources import EXAMPLE, ServedModel
from mtm_core.dashboard.session import Session
from mtm_core.inference.models import DEFAULT_MODEL, find_model
from mtm_core.inference.predictor import Predictor
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
