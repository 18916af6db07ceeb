"""Screens of a user's groups and traits without what they need: the next step, in words."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE
from tests.pages.conftest import upload


@pytest.mark.parametrize(
    ("page", "needed"),
    [
        ("differential", "No metadata yet: this screen needs two groups or more"),
        ("traits", "No metadata yet: this screen needs numbers, or two groups,"),
        ("external", "No metadata yet: this screen needs "),
    ],
)
def test_without_samples_or_metadata_the_next_step_is_named(
    app: AppTest, page: str, needed: str
) -> None:
    app.switch_page(f"pages/associations/{page}.py").run()
    assert "No samples yet" in app.info[0].value
    upload(app, "mine.tsv", EXAMPLE.read_bytes())
    app.switch_page(f"pages/associations/{page}.py").run()
    assert not app.exception
    assert needed in app.info[0].value
    app.button(key="to_metadata").click().run()
    assert app.title[0].value == "Metadata"
