"""Several tissues of the same people, on the Upload page and after it."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pandas as pd
import xarray as xr
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.screens.differential import LINEAR
from mtm_core.dashboard.screens.report import bundle_of, methods_of, record_of
from mtm_core.dashboard.state.resources import EXAMPLE, served_model
from mtm_core.dashboard.state.session import Session
from mtm_core.evaluation.results import EvaluationTables
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model
from tests.pages.conftest import PREDICTED, UPLOAD, go_to, rows, upload, words
from tests.pages.test_metadata_page import DIFFERENTIAL

MUSCLE = "Muscle - Skeletal"


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The example's first 30 as P-...; its last 30, turned about, as if they were muscle."""
    values = pd.read_csv(EXAMPLE, sep="\t", index_col="sample").add_prefix("P-", axis="index")
    return values.iloc[:30], values.iloc[10:].iloc[::-1]


def as_file(values: pd.DataFrame) -> bytes:
    return values.to_csv(sep="\t").encode()


def with_muscle(app: AppTest, muscle: pd.DataFrame) -> AppTest:
    upload(app, "blood.tsv", as_file(tables()[0]))
    (choice,) = (box for box in app.selectbox if box.label == "Add a table of")
    choice.set_value(MUSCLE).run()
    (place,) = (one for one in app.file_uploader if one.label == "Expression table of that tissue")
    place.upload("muscle.tsv", as_file(muscle))
    app.run()
    assert not app.exception
    (unit,) = (box for box in app.selectbox if box.label == f"Unit of {MUSCLE}")
    unit.set_value("tpm").run()
    (unit,) = (box for box in app.selectbox if box.label == "Unit of the values")
    unit.set_value("tpm").run()
    assert not app.exception
    assert not app.error
    return app


def test_a_further_tissue_is_matched_predicted_from_and_carried(app: AppTest) -> None:
    blood, muscle = tables()
    with_muscle(app, muscle)
    found = {metric.label: metric.value for metric in app.metric}
    assert (found["In both"], found["First only"], found["This only"]) == ("20", "10", "10")
    (diff,) = (frame.value for frame in app.dataframe if "where" in frame.value)
    assert diff["where"].value_counts().to_dict() == {
        "in both": 20,
        "Whole Blood only": 10,
        f"{MUSCLE} only": 10,
    }
    assert "Out-of-fold rho from these tissues" in words(app)
    app.button(key="predict").click().run()
    go_to(app, PREDICTED)
    assert f"40 samples of Whole Blood and {MUSCLE}" in words(app)
    assert "**not evaluated**" not in words(app)
    session: Session = app.session_state["mtm"]
    assert session.prediction is not None
    predictor = Predictor.load(DEFAULT_MODEL)
    targets = session.chosen_targets(predictor)
    assert MUSCLE not in targets
    expected = predictor.predict(
        tables={"Whole Blood": blood, MUSCLE: muscle}, targets=targets, unit="tpm"
    )
    xr.testing.assert_allclose(session.prediction, expected)
    # What goes home says so, and its command has every table.
    model = served_model()
    record = record_of(session, model)
    with zipfile.ZipFile(io.BytesIO(bundle_of(record, model))) as bundle:
        settings = json.loads(bundle.read("settings.json"))
        samples = pd.read_csv(io.BytesIO(bundle.read("samples.csv")))
        accuracy = pd.read_csv(io.BytesIO(bundle.read("held_out_accuracy.csv")))
    together = EvaluationTables.load(find_model(DEFAULT_MODEL) / "evaluation").from_sources(
        (MUSCLE, "Whole Blood"), "stack"
    )
    assert together is not None
    rho = together.genes_of("stack", targets).set_index(["tissue", "gene_id"])["rho_by_fold"]
    shown = accuracy.set_index(["tissue", "gene_id"])["rho_by_fold"]
    np.testing.assert_allclose(shown.loc[rho.index], rho, atol=1e-4)
    assert settings["further"][0]["tissue"] == MUSCLE
    assert samples["tissues_given"].value_counts().to_dict() == {
        f"Whole Blood; {MUSCLE}": 20,
        "Whole Blood": 10,
        MUSCLE: 10,
    }
    assert f"{MUSCLE}=muscle.tsv" in settings["command"]
    text = methods_of(record, model)
    assert "10 from Whole Blood; 20 from Whole Blood and Muscle - Skeletal; 10 from Muscle" in text
    assert "These figures are of donors with all of these tissues." in text
    # Without it, the prediction is of blood alone again.
    go_to(app, UPLOAD)
    app.button(key=f"and_remove_{MUSCLE}").click().run()
    assert not session.further
    assert not session.is_current(predictor)


def test_near_names_are_shown_and_taken_when_the_user_says_so(app: AppTest) -> None:
    muscle = tables()[1].rename(index="{}_muscle".format)
    upload(app, "blood.tsv", as_file(tables()[0].rename(index="{}_blood".format)))
    (choice,) = (box for box in app.selectbox if box.label == "Add a table of")
    choice.set_value(MUSCLE).run()
    (place,) = (one for one in app.file_uploader if one.label == "Expression table of that tissue")
    place.upload("muscle.tsv", as_file(muscle))
    app.run()
    assert any("no sample name in common" in box.value for box in app.error)
    (near,) = (box for box in app.toggle if box.label.endswith("are the same person's"))
    near.set_value(True).run()
    assert not app.error
    found = {metric.label: metric.value for metric in app.metric}
    assert (found["In both"], found["First only"], found["This only"]) == ("20", "10", "10")
    session: Session = app.session_state["mtm"]
    assert np.sum(np.array(session.sample_names) == "P-SIM-020_blood") == 1
    assert len(session.sample_names) == 40


def test_people_of_a_further_table_alone_are_in_no_study(app: AppTest) -> None:
    """Groups, shuffles and linear models are of the first table's 30, as in ``mtm compare``."""
    blood, muscle = tables()
    with_muscle(app, muscle)
    everyone = [*blood.index, *muscle.index.difference(blood.index)]
    assert len(everyone) == 40
    group = ["case"] * 12 + ["control"] * 18 + ["case"] * 10  # the last ten have no blood
    people = pd.DataFrame({"sample": everyone, "group": group})
    go_to(app, "pages/samples/metadata.py")
    app.file_uploader[0].upload("people.csv", people.to_csv(index=False).encode())
    app.run()
    assert {m.label: m.value for m in app.metric}["Samples with metadata"] == "40 of 40"
    go_to(app, DIFFERENTIAL)
    cases, _ = (box for box in app.selectbox if box.label in ("Cases", "Controls"))
    assert (cases.options, cases.value) == (["control (n = 18)", "case (n = 12)"], "case")
    assert "case (n = 12) against control (n = 18)" in words(app)
    app.toggle(key="shuffle").set_value(True).run()
    shown = rows(app)
    known = pd.Series(group[:30], index=blood.index)
    dealt = np.random.default_rng(1).permutation(known.to_numpy())
    log2 = np.log2(1 + blood)
    for symbol in ("LMNA", "SDHB"):
        row = shown[(shown["gene"] == symbol) & (shown["origin"] == "measured")].iloc[0]
        assert (row["n_case"], row["n_control"]) == (12, 18)
        means = log2[symbol].groupby(dealt).mean()
        np.testing.assert_allclose(row["mean_case"], means["case"], rtol=1e-6)
        np.testing.assert_allclose(row["mean_control"], means["control"], rtol=1e-6)
    app.toggle(key="shuffle").set_value(False).run()
    app.segmented_control(key="differential_test").set_value(LINEAR).run()
    assert not app.exception
    assert not app.error
    assert "30 samples are used, 0 left out" in words(app)
