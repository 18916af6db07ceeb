"""Check against measured, in the dashboard."""

from __future__ import annotations

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE, served_model
from mtm_core.inference.models import DEFAULT_MODEL
from mtm_core.inference.predictor import Predictor
from mtm_core.studies.against_measured import check_against_measured
from tests.pages.conftest import go_to, upload, words

PAGE, LUNG = "pages/samples/measured.py", "Lung"


def test_predictions_are_held_to_what_was_measured(app: AppTest) -> None:
    go_to(app, PAGE)
    assert "No samples yet" in app.info[0].value
    values = pd.read_csv(EXAMPLE, sep="\t", index_col="sample").add_prefix("P-", axis="index")
    upload(app, "blood.tsv", values.to_csv(sep="\t").encode())
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
    # Other people's names: said in words, and the page stands.
    app.file_uploader[0].upload("other.csv", lung.set_axis(range(100, 128)).to_csv().encode())
    app.run()
    (unit,) = (box for box in app.selectbox if box.label == "Unit of the measured values")
    unit.set_value("cpm").run()
    assert not app.exception
    assert "nobody is both predicted and measured" in app.error[0].value
