"""Check against measured, in the dashboard."""

from __future__ import annotations

import io
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.screens.measured_report import Checked
from mtm_core.dashboard.screens.report import bundle_of, record_of, report_of
from mtm_core.dashboard.state.resources import EXAMPLE, served_model
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL
from mtm_core.studies.against_measured import check_against_measured
from tests.cli.conftest import Mtm
from tests.cli.conftest import mtm as mtm
from tests.pages.conftest import go_to, upload, words

PAGE, LUNG = "pages/samples/measured.py", "Lung"


def test_predictions_are_held_to_what_was_measured(
    app: AppTest, mtm: Mtm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_to(app, PAGE)
    assert "No samples yet" in app.info[0].value
    values = pd.read_csv(EXAMPLE, sep="\t", index_col="sample").add_prefix("P-", axis="index")
    blood = values.to_csv(sep="\t").encode()
    upload(app, "blood.tsv", blood)
    (unit,) = (box for box in app.selectbox if box.label == "Unit of the values")
    unit.set_value("tpm").run()
    predictor = Predictor.load(DEFAULT_MODEL)
    prediction = predictor.predict(values, targets=[LUNG], unit="tpm")
    guess = prediction["expression"].sel(tissue=LUNG).to_pandas()
    rng = np.random.default_rng(1)
    lung = guess.iloc[5:33] * np.exp(rng.normal(0, 0.4, (28, guess.shape[1])))
    go_to(app, PAGE)
    (tissue,) = (box for box in app.selectbox if box.label == "Measured tissue")
    tissue.set_value(LUNG).run()
    app.file_uploader[0].upload("lung.csv", lung.to_csv().encode())
    app.run()
    assert not app.exception
    (unit,) = (box for box in app.selectbox if box.label == "Unit of the measured values")
    unit.set_value("cpm").run()
    assert not app.exception
    assert not app.error
    measured = predictor.prepare(lung, source=LUNG, unit="cpm")
    evaluation = served_model().evaluation
    expected = check_against_measured(prediction, measured, predictor.artefact, evaluation)
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["People in both"] == "28"
    assert shown["Gene-wise rho"] == f"{expected.summary.loc['gene_rho', 'value']:.3f}"
    assert shown["Genes that are predicted, of 59"] == f"{expected.genes['holds'].sum():,}"
    (summary,) = (frame.value for frame in app.dataframe if "chance_low" in frame.value)
    np.testing.assert_allclose(summary["value"], expected.summary["value"])
    np.testing.assert_allclose(summary["chance_high"], expected.summary["chance_high"])
    np.testing.assert_allclose(summary["out_of_fold"], expected.summary["out_of_fold"])
    assert "28 people are predicted and measured" in words(app)
    assert len(app.get("plotly_chart")) == 2
    (command,) = (code.value for code in app.code)
    (tmp_path / "blood.tsv").write_bytes(blood)
    (tmp_path / "lung.csv").write_bytes(lung.to_csv().encode())
    monkeypatch.chdir(tmp_path)
    assert shlex.split(command)[:2] == ["mtm", "judge"]
    done = mtm(*shlex.split(command)[1:])
    assert done.code == 0, done.err
    again = pd.read_csv("judged/summary.csv", index_col="figure")
    pd.testing.assert_frame_equal(
        again[["value", "p"]], expected.summary[["value", "p"]], rtol=1e-5
    )
    # Two samples of each person: taken together, and so by the command.
    people = pd.DataFrame({"sample": values.index, "subject": np.arange(len(values)) // 2})
    (tmp_path / "people.csv").write_bytes(people.to_csv(index=False).encode())
    session = app.session_state["mtm"]
    session.metadata = read_metadata(tmp_path / "people.csv", samples=list(values.index))
    app.run()
    app.selectbox(key="measured_person").set_value("subject").run()
    assert not app.exception
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["People in both"] == "15"
    (command,) = (code.value for code in app.code)
    done = mtm(*shlex.split(command)[1:], "--overwrite")
    assert done.code == 0, done.err
    again = pd.read_csv("judged/summary.csv", index_col="figure")
    assert shown["Gene-wise rho"] == f"{again.loc['gene_rho', 'value']:.3f}"
    # Other people's names: said in words, and the page does not fail.
    app.file_uploader[0].upload("other.csv", lung.set_axis(range(100, 128)).to_csv().encode())
    app.run()
    (unit,) = (box for box in app.selectbox if box.label == "Unit of the measured values")
    unit.set_value("cpm").run()
    assert not app.exception
    assert "nobody is both predicted and measured" in app.error[0].value


def test_a_reload_restores_the_measured_table_and_the_bundle_has_the_check(
    with_example: AppTest, open_app: Callable[[], AppTest]
) -> None:
    app = go_to(with_example, PAGE)
    (tissue,) = (box for box in app.selectbox if box.label == "Measured tissue")
    tissue.set_value(LUNG).run()
    session = app.session_state["mtm"]
    lung = session.prediction["expression"].sel(tissue=LUNG).to_pandas()
    app.file_uploader[0].upload("lung.csv", lung.iloc[3:30].to_csv().encode())
    app.run()
    (unit,) = (box for box in app.selectbox if box.label == "Unit of the measured values")
    unit.set_value("cpm").run()
    (toggle,) = (box for box in app.toggle if str(box.key).startswith("save_session"))
    toggle.set_value(True).run()
    shown = {metric.label: metric.value for metric in app.metric}
    again = open_app()
    again.query_params["work"] = app.query_params["work"]
    again.switch_page(PAGE).run()
    assert not again.exception
    assert {metric.label: metric.value for metric in again.metric} == shown
    assert "**lung.csv**: 27 samples of Lung" in words(again)
    checked = Checked.of(again.session_state["mtm"], served_model())
    assert checked is not None
    archive = bundle_of(record_of(session, served_model()), served_model(), checked)
    with zipfile.ZipFile(io.BytesIO(archive)) as bundle:
        genes = pd.read_csv(bundle.open("checked_genes.csv"))
        listed = bundle.read("README.txt").decode()
    assert len(genes) == 59
    assert "checked_people.csv" in listed
    found = {
        part.heading: part
        for part in report_of(
            record_of(session, served_model()), served_model(), checked=checked
        ).sections
    }
    assert f"{genes['rho'].mean():.3f}" in found["Checked against measured Lung"].text[0]
    again.button(key="measured_remove").click().run()
    assert again.session_state["mtm"].measured is None
    assert not again.metric
    last = open_app()
    last.query_params["work"] = app.query_params["work"]
    last.switch_page(PAGE).run()
    assert last.session_state["mtm"].measured is None
