from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.evaluated_model import NAME
from tests.pages.conftest import MODEL_CARD, words


@pytest.mark.usefixtures("evaluated")
def test_card_accuracy_and_training_are_shown(app: AppTest) -> None:
    app.switch_page(MODEL_CARD).run()
    assert not app.exception
    assert [header.value for header in app.header] == [
        "Accuracy in each tissue",
        "Training",
        "Card",
    ]
    assert f"# {NAME}" in words(app)
    assert app.download_button(key="download_accuracy_by_tissue_csv")
    assert not app.info
    assert app.multiselect(key="compared").value == ["ridge"]
    app.multiselect(key="compared").set_value([]).run()
    assert not app.exception


@pytest.mark.usefixtures("not_evaluated")
def test_what_is_absent_is_said(app: AppTest) -> None:
    app.switch_page(MODEL_CARD).run()
    assert not app.exception
    assert [header.value for header in app.header] == ["Accuracy in each tissue", "Card"]
    assert "not evaluated" in app.info[0].value
    assert "no README.md" in app.info[1].value
