"""The dashboard in a test harness, on the bundled model or on an evaluated one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.model_description import read_description
from mtm_core.model_folder import seal_folder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from tests.dashboard_settings import components_scanned_once as components_scanned_once
from tests.dashboard_settings import own_workspaces as own_workspaces
from tests.dashboard_settings import patient as patient
from tests.evaluated_model import write_evaluated_model
from tests.pages.changed_evaluation import bundled_tables

REPOSITORY = Path(__file__).resolve().parents[2]
UPLOAD, PREDICTED, MODEL_CARD = (
    f"pages/{page}.py" for page in ("samples/upload", "samples/predicted", "model/model_card")
)


@pytest.fixture(scope="session")
def evaluated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_evaluated_model(tmp_path_factory.mktemp("evaluated") / "model")


@pytest.fixture
def evaluated(evaluated_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve a model with a made-up accuracy."""
    monkeypatch.setenv(MODEL_VARIABLE, str(evaluated_folder))


@pytest.fixture
def not_evaluated(evaluated_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve a model of which no accuracy is known."""
    for name in ("model.json", "model.safetensors"):
        text = (evaluated_folder / name).read_bytes()
        (tmp_path / name).write_bytes(text)
    description = pd.read_json(tmp_path / "model.json", typ="series")
    description["accuracy"] = {}
    description.to_json(tmp_path / "model.json")
    seal_folder(tmp_path)
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path))


@pytest.fixture(scope="session")
def tables() -> EvaluationTables:
    """The evaluation of the default model."""
    return bundled_tables()


@pytest.fixture(scope="session")
def own() -> str:
    """The default model's method."""
    return str(read_description(find_model(DEFAULT_MODEL))["method"])


@pytest.fixture
def open_app() -> Callable[[], AppTest]:
    """Start a session at the first page."""

    def start() -> AppTest:
        app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60).run()
        assert not app.exception
        return app

    return start


@pytest.fixture
def app(open_app: Callable[[], AppTest]) -> AppTest:
    return open_app()


@pytest.fixture
def with_example(app: AppTest) -> AppTest:
    app.button(key="example").click().run()
    assert not app.exception
    return app


def upload(app: AppTest, name: str, data: bytes) -> AppTest:
    """Go to the upload page and give it a file."""
    app.switch_page(UPLOAD).run()
    app.file_uploader[0].upload(name, data)
    app.run()
    assert not app.exception
    return app


def go_to(app: AppTest, page: str) -> AppTest:
    app.switch_page(page).run()
    assert not app.exception
    return app


def rows(app: AppTest) -> pd.DataFrame:
    """Return the first table of the page."""
    assert not app.exception
    return app.dataframe[0].value


def words(app: AppTest) -> str:
    """Return all that the page says outside of its widgets."""
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption)
    boxes = (app.info, app.warning, app.error)
    return "\n".join(element.value for kind in (*kinds, *boxes) for element in kind)


def unit_choice(app: AppTest) -> Selectbox:
    """Return the Upload page's choice of a unit."""
    (choice,) = (box for box in app.selectbox if box.label == "Unit of the values")
    return choice
