"""Sessions that are saved across a reload where the user asks for it, and nothing if not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE, MODEL_VARIABLE, served_model
from mtm_core.dashboard.state.session import Session
from mtm_core.data.files.reading_options import ReadingOptions
from tests.pages.conftest import MODEL_CARD, PREDICTED, UPLOAD, unit_choice, upload, words
from tests.pages.test_metadata_page import DIFFERENTIAL

OPENED = Callable[[], AppTest]
SAVED = "Anybody who has the address"


def session_of(app: AppTest) -> Session:
    session: Session = app.session_state["mtm"]
    return session


def switch(app: AppTest, on: bool) -> AppTest:
    (toggle,) = [box for box in app.toggle if str(box.key).startswith("save_session")]
    toggle.set_value(on).run()
    assert not app.exception
    return app


def address(app: AppTest) -> str:
    """Return the id in the page's address; empty if there is none."""
    return "".join(app.query_params.get("work", []))


@pytest.fixture
def saved(with_example: AppTest) -> AppTest:
    """The example, predicted, with the switch on."""
    return switch(with_example, on=True)


def reloaded(open_app: OPENED, identifier: str, page: str = PREDICTED) -> AppTest:
    """Open a page by its address in a session of its own, as a reload does."""
    app = open_app()
    app.query_params["work"] = identifier
    app.switch_page(page).run()
    assert not app.exception
    return app


def test_nothing_is_saved_without_a_request(with_example: AppTest, own_workspaces: Path) -> None:
    with_example.switch_page(UPLOAD).run()
    assert address(with_example) == ""
    assert SAVED not in words(with_example)
    assert not own_workspaces.exists()


def test_without_samples_there_is_nothing_to_save(app: AppTest) -> None:
    assert not app.toggle


def test_a_reload_restores_table_metadata_and_prediction(saved: AppTest, open_app: OPENED) -> None:
    identifier = address(saved)
    assert len(identifier) == 43
    assert SAVED in words(saved)
    app = reloaded(open_app, identifier)
    assert "40 samples of Whole Blood" in words(app)
    assert address(app) == identifier
    before, after = session_of(saved), session_of(app)
    assert before.prediction is not None
    assert after.prediction is not None
    assert after.prediction.identical(before.prediction)
    assert after.metadata is not None
    assert after.metadata.file == "metadata.tsv"
    assert app.toast[0].value == "Your session is back."
    app.run()
    assert not app.toast


def test_every_page_keeps_the_address(saved: AppTest) -> None:
    identifier = address(saved)
    for page in (UPLOAD, MODEL_CARD, DIFFERENTIAL):
        saved.switch_page(page).run()
        assert address(saved) == identifier


def test_choices_are_restored(saved: AppTest, open_app: OPENED) -> None:
    saved.multiselect(key="targets").set_value(["Spleen", "Lung"]).run()
    saved.switch_page(DIFFERENTIAL).run()
    saved.selectbox(key="tissue").set_value("Spleen").run()
    saved.slider(key="fold_change").set_value(0.7).run()
    saved.selectbox(key="group_column").set_value("sex").run()
    saved.switch_page(UPLOAD).run()
    saved.radio(key="alignment").set_value("none").run()
    app = reloaded(open_app, address(saved), UPLOAD)
    assert app.radio(key="alignment").value == "none"
    app.switch_page(PREDICTED).run()
    assert app.multiselect(key="targets").value == ["Spleen", "Lung"]
    app.switch_page(DIFFERENTIAL).run()
    assert app.slider(key="fold_change").value == 0.7
    assert app.selectbox(key="group_column").value == "sex"
    assert set(app.dataframe[0].value["tissue"]) == {"Spleen", "Whole Blood"}


def test_a_confirmed_unit_is_restored(app: AppTest, open_app: OPENED) -> None:
    upload(app, "mine.tsv", EXAMPLE.read_bytes().replace(b"SIM-", b"P-"))
    switch(app, on=True)
    unit_choice(app).set_value("cpm").run()
    again = reloaded(open_app, address(app), UPLOAD)
    assert unit_choice(again).value == "cpm"
    again.switch_page(PREDICTED).run()
    assert "Choose tissues, then press" in words(again)  # nothing was predicted before either


def test_turning_saving_off_deletes_the_session(
    saved: AppTest, open_app: OPENED, own_workspaces: Path
) -> None:
    identifier = address(saved)
    assert len(list(own_workspaces.iterdir())) == 1
    switch(saved, on=False)
    assert address(saved) == ""
    assert not list(own_workspaces.iterdir())
    app = reloaded(open_app, identifier)
    assert "No session is saved under this address" in app.warning[0].value
    assert "No samples yet" in words(app)


def test_deleting_my_data_deletes_the_saved_session(saved: AppTest, own_workspaces: Path) -> None:
    saved.switch_page(UPLOAD).run()
    saved.button(key="delete").click().run()
    assert not saved.exception
    assert not list(own_workspaces.iterdir())
    assert address(saved) == ""
    upload(saved, "mine.tsv", EXAMPLE.read_bytes())
    assert not next(box for box in saved.toggle if str(box.key).startswith("save_session")).value
    assert not list(own_workspaces.iterdir())


def test_a_session_deleted_in_another_tab_is_not_saved_again(
    saved: AppTest, open_app: OPENED, own_workspaces: Path
) -> None:
    other = reloaded(open_app, address(saved))
    switch(other, on=False)
    saved.multiselect(key="targets").set_value(["Spleen"]).run()
    assert not saved.exception
    assert "no longer saved" in saved.warning[0].value
    saved.run()
    assert "no longer saved" not in words(saved)
    assert not list(own_workspaces.iterdir())
    assert address(saved) == ""


@pytest.mark.parametrize("identifier", ["x", "../../etc/passwd", "a" * 43])
def test_an_unknown_address_is_a_warning_and_the_page_works(
    open_app: OPENED, identifier: str
) -> None:
    app = reloaded(open_app, identifier)
    assert "No session is saved under this address" in app.warning[0].value
    assert "No samples yet" in words(app)
    assert address(app) == ""
    app.button(key="example").click().run()
    assert not app.exception
    assert not app.warning


def test_a_damaged_session_is_a_warning(
    saved: AppTest, open_app: OPENED, own_workspaces: Path
) -> None:
    (table,) = own_workspaces.glob("*/table_*")
    table.write_bytes(table.read_bytes()[:-10])
    app = reloaded(open_app, address(saved))
    assert "cannot be read" in app.warning[0].value
    assert "No samples yet" in words(app)


def test_a_server_can_be_without_it(
    with_example: AppTest, open_app: OPENED, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTM_WORKSPACE", "off")
    with_example.run()
    assert not [box for box in with_example.toggle if str(box.key).startswith("save_session")]
    app = reloaded(open_app, "a" * 43)
    assert "saves no sessions" in app.warning[0].value


def test_a_folder_that_others_can_read_is_reported_and_nothing_is_saved(
    open_app: OPENED, own_workspaces: Path
) -> None:
    own_workspaces.mkdir()
    own_workspaces.chmod(0o755)
    app = open_app()
    assert not app.warning
    app.button(key="example").click().run()
    assert not app.exception
    assert "other users can read it" in app.sidebar.warning[0].value
    assert not app.sidebar.toggle


def test_with_another_model_the_session_is_predicted_again_and_says_so(
    saved: AppTest, open_app: OPENED, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODEL_VARIABLE, "gtex_v8_acmg59")
    app = reloaded(open_app, address(saved))
    assert any("The model has changed" in box.value for box in app.info)
    after = session_of(app).prediction
    assert after is not None
    assert after.attrs["model"] == "gtex_v8_acmg59"


def test_a_new_table_takes_the_place_of_the_old(saved: AppTest, open_app: OPENED) -> None:
    table = pd.read_csv(EXAMPLE, sep="\t").head(30)
    upload(saved, "second.tsv", table.to_csv(sep="\t", index=False).encode())
    saved.run()
    app = reloaded(open_app, address(saved), UPLOAD)
    assert "What was found in second.tsv" in words(app)
    assert session_of(app).metadata is None


def test_an_own_table_does_not_go_into_work_that_was_opened_by_its_address(
    saved: AppTest, open_app: OPENED
) -> None:
    identifier = address(saved)
    guest = reloaded(open_app, identifier, UPLOAD)
    upload(guest, "secret.tsv", EXAMPLE.read_bytes().replace(b"SIM-", b"P-"))
    guest.run()
    assert address(guest) == ""
    assert re.search(r"What was found in secret\.tsv", words(guest))
    again = reloaded(open_app, identifier, UPLOAD)
    assert "blood_tpm.tsv" in words(again)
    assert "secret.tsv" not in words(again)


def test_a_change_of_how_the_table_is_read_is_saved(app: AppTest, open_app: OPENED) -> None:
    upload(app, "mine.tsv", EXAMPLE.read_bytes().replace(b"SIM-", b"P-"))
    switch(app, on=True)
    unit_choice(app).set_value("tpm").run()
    session = session_of(app)
    options = ReadingOptions(leave_out=("P-003",))
    task = session.reading(
        EXAMPLE.read_bytes().replace(b"SIM-", b"P-"), "mine.tsv", served_model().predictor, options
    )
    assert task is not None
    task.now()
    session.unit = "tpm"
    app.run()
    again = session_of(reloaded(open_app, address(app), UPLOAD))
    assert again.table is not None
    assert again.table.options == options
    assert list(again.table.values.index) == [f"P-{i:03}" for i in range(1, 41) if i != 3]
