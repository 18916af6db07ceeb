from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE
from tests.pages.conftest import PREDICTED, words


@pytest.mark.usefixtures("not_evaluated")
def test_says_that_nothing_is_known_of_a_model_that_was_not_evaluated(app: AppTest) -> None:
    assert "not evaluated" in app.info[0].value
    assert not app.metric


@pytest.mark.usefixtures("evaluated")
def test_shows_the_accuracy_beside_ridge_and_calls_it_modest(app: AppTest) -> None:
    labels = [metric.label for metric in app.metric]
    assert labels == [
        "Gene-wise rho, by fold",
        "Adjusted rho, by fold",
        "Predictable genes per tissue",
    ]
    assert app.metric[2].value.endswith("of 59")
    assert "Ridge regression" in words(app)
    assert "modest" in words(app)
    assert not app.info


def test_says_what_it_is_for_and_where_data_stay(app: AppTest) -> None:
    assert "For research use, not for diagnosis." in words(app)
    assert "Your data stay on this server." in words(app)


def test_example_leads_to_its_prediction_in_one_click(app: AppTest) -> None:
    app.button(key="example").click().run()
    assert not app.exception
    assert app.title[0].value == "Predicted expression"
    assert "40 samples of Whole Blood" in words(app)
    assert "simulated" in words(app)


def test_example_survives_the_way_back(with_example: AppTest) -> None:
    with_example.switch_page("pages/start/start.py").run()
    assert "blood_tpm.tsv" in words(with_example)
    with_example.switch_page(PREDICTED).run()
    assert "40 samples of Whole Blood" in words(with_example)


def test_a_missing_model_is_named_and_leaves_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MTM_MODEL", "no_such_model")
    app = AppTest.from_file("../../app.py", default_timeout=60).run()
    assert not app.exception
    assert "no model 'no_such_model'" in app.error[0].value


@pytest.mark.parametrize(
    ("step", "title"),
    [
        ("upload", "Upload"),
        ("predict", "Predicted expression"),
        ("compare", "Differential expression"),
        ("report", "Report and downloads"),
    ],
)
def test_each_step_of_the_tour_opens_its_screen_with_the_example(
    app: AppTest, step: str, title: str
) -> None:
    app.button(key=f"tour_{step}").click().run()
    assert not app.exception
    assert not app.error
    assert app.title[0].value == title
    assert "blood_tpm.tsv" in words(app)
    assert "No samples yet" not in words(app)


def test_the_tour_uses_the_users_own_samples_if_there_are_any(app: AppTest) -> None:
    own = EXAMPLE.read_bytes().replace(b"SIM-", b"P-")
    app.switch_page("pages/samples/upload.py").run()
    app.file_uploader[0].upload("mine.tsv", own).run()
    app.switch_page("pages/start/start.py").run()
    assert "your samples, **mine.tsv**" in words(app)
    app.button(key="tour_predict").click().run()
    assert app.title[0].value == "Predicted expression"
    assert "mine.tsv" in words(app)
    assert "blood_tpm.tsv" not in words(app)
    assert "Choose tissues" in app.info[0].value


def test_the_tour_survives_a_table_that_cannot_be_predicted_from(app: AppTest) -> None:
    app.switch_page("pages/samples/upload.py").run()
    app.file_uploader[0].upload("few.tsv", b"sample\tBRCA1\tBRCA2\nA\t1.5\t2.5\n").run()
    for step in ("predict", "compare", "report"):
        app.switch_page("pages/start/start.py").run()
        app.button(key=f"tour_{step}").click().run()
        assert not app.exception
