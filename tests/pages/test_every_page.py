"""No page ends in a fault, whatever model is served and whatever was uploaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from tests.pages.every_page import PAGES, check, messages, visit
from tests.pages.hostile import check_names, hostile_model, hostile_names, hostile_tables
from tests.pages.other_models import OTHERS


@pytest.mark.parametrize("model", OTHERS)
def test_the_example_fits_the_model_that_is_served(
    model: str,
    open_app: Callable[[], AppTest],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(MODEL_VARIABLE, str(OTHERS[model](tmp_path / "model")))
    app = open_app()
    for title, _ in visit(app):  # with nothing uploaded
        assert title
    app.switch_page(f"pages/{PAGES['Start']}.py").run()
    app.button(key="example").click().run()
    check(app)
    assert not app.error, app.error[0].value
    assert app.title[0].value == "Predicted expression"
    assert any("Simulated samples" in str(m.value) for m in app.markdown)
    for title, page in visit(app):
        assert not page.error, (title, page.error[0].value)
        assert not [box for box in page.info if "No samples yet" in box.value]


def test_names_are_names_on_every_page(
    open_app: Callable[[], AppTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files, samples, columns, groups, genes, tissues and models may be called anything."""
    model = hostile_model(tmp_path / "model")
    monkeypatch.setenv(MODEL_VARIABLE, str(model))
    names = hostile_names()
    name, table, metadata_name, metadata = hostile_tables(model)
    app = open_app()
    app.switch_page(f"pages/{PAGES['Upload']}.py").run()
    app.file_uploader[0].upload(name, table)
    check(app.run())
    assert not app.error, app.error[0].value
    check_names(app, names)
    app.switch_page(f"pages/{PAGES['Metadata']}.py").run()
    app.file_uploader[0].upload(metadata_name, metadata)
    check(app.run())
    assert not app.error, app.error[0].value
    app.switch_page(f"pages/{PAGES['Predicted expression']}.py").run()
    app.button(key="predict").click().run()
    n_figures = 0
    for title, page in visit(app):
        assert not page.error, (title, page.error[0].value)
        check_names(page, names)
        n_figures += sum(hasattr(message, "spec") for message in messages(page))
    assert n_figures > 5
