from __future__ import annotations

from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE
from tests.pages.conftest import UPLOAD, upload, words

REPORT = "pages/samples/report.py"


def test_without_samples_the_next_step_is_named(app: AppTest) -> None:
    app.switch_page(REPORT).run()
    assert not app.exception
    assert app.title[0].value == "Report and downloads"
    assert "No samples yet" in app.info[0].value
    app.button(key="to_upload").click().run()
    assert app.title[0].value == "Upload"


def test_samples_alone_are_predicted_here(app: AppTest) -> None:
    upload(app, "mine.tsv", EXAMPLE.read_bytes().replace(b"SIM-", b"P-"))
    app.switch_page(REPORT).run()
    assert "Nothing has been predicted" in app.info[0].value
    app.button(key="predict").click().run()
    assert not app.exception
    assert not app.info
    assert "mine.tsv · 40 samples of Whole Blood · 6 tissues · 59 genes" in words(app)


def test_example_gives_methods_command_and_findings(with_example: AppTest) -> None:
    app = with_example.switch_page(REPORT).run()
    assert not app.exception
    methods, script, found = (block.value for block in app.code)
    assert methods.startswith("THE SAMPLES ARE SIMULATED")
    assert "in Adipose - Subcutaneous, Brain - Cortex, Heart - Left Ventricle" in methods
    assert script.splitlines()[-1].startswith("mtm predict blood_tpm.tsv --model ")
    assert "40 samples, 59 genes" in found


def test_changed_options_have_no_report_before_they_are_predicted(with_example: AppTest) -> None:
    app = with_example.switch_page(UPLOAD).run()
    app.radio(key="alignment").set_value("none").run()
    app.switch_page(REPORT).run()
    assert "have changed since" in app.info[0].value
    assert not app.code
    app.button(key="predict").click().run()
    assert not app.exception
    assert "--alignment none" in app.code[1].value


def test_no_tissue_chosen_is_an_error_in_words(with_example: AppTest) -> None:
    with_example.multiselect(key="targets").set_value([]).run()
    app = with_example.switch_page(REPORT).run()
    assert "no tissue is chosen" in words(app)
    app.button(key="predict").click().run()
    assert not app.exception
    assert "no target tissue is chosen" in app.error[0].value
