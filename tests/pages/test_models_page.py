"""Models: what is here, one of them chosen for the session, and how to have all genes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import CHOSEN_MODEL
from mtm_core.dashboard.state.session import SESSION_KEY, Session
from mtm_core.model_places import BUNDLED, DEFAULT_MODEL
from tests.pages.conftest import go_to, words
from tests.pages.every_page import PAGES
from tests.pages.other_models import other_genes

MODELS = f"pages/{PAGES['Models']}.py"
OTHER = "gtex_v8_acmg59"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTM_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def choose(app: AppTest, name: str) -> AppTest:
    (choice,) = (box for box in app.selectbox if box.label == "Model of this session")
    choice.set_value(name).run()
    assert not app.exception
    return app


def session_of(app: AppTest) -> Session:
    session: Session = app.session_state[SESSION_KEY]
    return session


def test_models_are_listed_with_their_accuracy(app: AppTest) -> None:
    go_to(app, MODELS)
    table = app.dataframe[0].value.set_index("model")
    assert list(table.index) == [DEFAULT_MODEL, OTHER]
    assert table["in use"].tolist() == [True, False]
    assert table.loc[DEFAULT_MODEL, "genes"] == 59
    assert 0 < table.loc[DEFAULT_MODEL, "adjusted rho"] < table.loc[DEFAULT_MODEL, "rho"] < 1
    assert "No model of all genes is installed" in words(app)
    assert any(code.value.startswith("mtm build --release v8") for code in app.code)


def has_button(app: AppTest) -> bool:
    return any(button.key == "build" for button in app.button)


def test_on_the_users_own_machine_there_is_a_download_button(app: AppTest, models: Path) -> None:
    go_to(app, MODELS)
    assert has_button(app)
    assert any(str(models / "gtex_v8") in code.value for code in app.code)


@pytest.mark.parametrize(
    "setting", [("server.address", "0.0.0.0"), ("server.allowedHosts", ["mtm.example.org"])]
)
def test_on_a_server_for_others_there_is_no_download_button(
    setting: tuple[str, object], app: AppTest, models: Path
) -> None:
    name, value = setting
    before = config.get_option(name)
    config._set_option(name, value, "test")
    try:
        go_to(app, MODELS)
    finally:
        config._set_option(name, before, "test")
    assert "all visitors of this server share" in words(app)
    assert not has_button(app)


def test_behind_a_proxy_there_is_no_download_button(
    app: AppTest, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTM_ALLOWED_HOSTS", "mtm.example.org")
    assert not has_button(go_to(app, MODELS))


def test_without_a_home_the_page_asks_for_a_folder(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MTM_MODELS", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "")
    go_to(app, MODELS)
    assert "MTM_MODELS" in words(app)
    assert not has_button(app)


def test_a_chosen_model_is_that_of_every_page_and_samples_stay(with_example: AppTest) -> None:
    app = with_example
    session = session_of(app)
    table, before = session.table, session.prediction
    assert before is not None
    choose(go_to(app, MODELS), OTHER)
    assert f"**Model** {OTHER}".replace("_", r"\_") in words(app) or OTHER in words(app)
    assert session.prediction is None
    assert session.table is table
    go_to(app, f"pages/{PAGES['Model card and training']}.py")
    assert f"# {OTHER}" in words(app)
    go_to(app, f"pages/{PAGES['Predicted expression']}.py")
    if session.prediction is None:
        app.button(key="predict").click().run()
    assert session.prediction is not None
    assert session.prediction.attrs["model"] == OTHER
    choose(go_to(app, MODELS), DEFAULT_MODEL)
    assert session.prediction is None
    assert session.table is table


def test_an_installed_model_of_other_genes_brings_its_own_example(
    models: Path, with_example: AppTest
) -> None:
    other_genes(models / "other")
    app = with_example
    before = session_of(app).table
    choose(go_to(app, MODELS), "other")
    after = session_of(app).table
    assert after is not None
    assert before is not None
    assert after.report.file != before.report.file
    assert session_of(app).simulated
    go_to(app, f"pages/{PAGES['Predicted expression']}.py")
    assert not app.error


def test_a_damaged_model_is_reported_and_not_offered(models: Path, app: AppTest) -> None:
    shutil.copytree(BUNDLED / OTHER, models / "whole")
    shutil.copytree(BUNDLED / OTHER, models / "cut")
    (models / "cut" / "model.json").write_text("{}")
    go_to(app, MODELS)
    (choice,) = (box for box in app.selectbox if box.label == "Model of this session")
    assert [option.split(":")[0] for option in choice.options] == [DEFAULT_MODEL, OTHER, "whole"]
    assert any("cut" in box.value and "cannot be used" in box.value for box in app.warning)
    # What is damaged in the weights shows when it is chosen: the server's own stays in use.
    (models / "whole" / "model.safetensors").write_bytes(b"x")
    choose(app, "whole")
    assert any("cannot be used" in box.value for box in app.warning)
    assert CHOSEN_MODEL not in app.session_state
    assert app.dataframe[0].value.set_index("model").loc[DEFAULT_MODEL, "in use"]


def test_a_chosen_model_that_was_deleted_is_replaced_by_the_default(
    models: Path, app: AppTest
) -> None:
    shutil.copytree(BUNDLED / OTHER, models / "mine")
    choose(go_to(app, MODELS), "mine")
    shutil.rmtree(models / "mine")
    go_to(app, MODELS)
    assert app.dataframe[0].value.set_index("model").loc[DEFAULT_MODEL, "in use"]
