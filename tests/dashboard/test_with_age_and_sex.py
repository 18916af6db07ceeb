"""Models that read age and sex get them for predictions, and not for comparisons."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.artefact import Artefact
from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from mtm_core.dashboard.state.session import Session
from mtm_core.inference.predictor import Predictor
from mtm_core.methods.joint_gaussian import JointGaussianMethod

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture(scope="module")
def with_age_sex_artefact(small_cohort: ad.AnnData) -> Artefact:
    """A joint Gaussian of 5 tissues and 40 genes that reads age and sex."""
    donors = sorted(set(small_cohort.obs["donor"]))
    method = JointGaussianMethod(covariates=("age", "sex"))
    fitted = method.fit(small_cohort, donors)
    return Artefact.of(
        fitted, small_cohort, name="with_age_sex", provenance={"command": "mtm train"}
    )


@pytest.fixture(scope="module")
def blood(small_cohort: ad.AnnData) -> bytes:
    rows = small_cohort[small_cohort.obs["tissue"] == "Whole Blood"][:30]
    return rows.to_df().set_axis([f"P{i}" for i in range(30)]).to_csv().encode()


@pytest.fixture(scope="module")
def people() -> bytes:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "sample": [f"P{i}" for i in range(30)],
            "age": rng.integers(20, 80, 30),
            "sex": np.where(rng.random(30) < 0.5, "female", "male"),
            "group": np.where(np.arange(30) < 15, "case", "control"),
        }
    )
    return table.to_csv(index=False).encode()


def test_a_prediction_is_made_with_age_and_sex_and_out_of_date_without(
    with_age_sex_artefact: Artefact, blood: bytes, people: bytes
) -> None:
    predictor = Predictor(with_age_sex_artefact)
    assert predictor.covariates == ("age", "sex")
    session = Session(targets=("Lung", "Liver"))
    session.open(blood, "blood.csv", predictor)
    alone = session.predict(predictor)
    assert not alone["used_age_sex"].any()
    session.open_metadata(people, "people.csv")
    assert not session.is_current(predictor)
    with_age_sex = session.predict(predictor)
    assert with_age_sex["used_age_sex"].all()
    assert np.abs(with_age_sex["z"] - alone["z"]).max() > 1e-3
    assert session.metadata is not None
    expected = predictor.predict_prepared(
        session.prepare(predictor), ("Lung", "Liver"), phenotypes=session.metadata.phenotypes()
    )
    np.testing.assert_array_equal(with_age_sex["z"], expected["z"])
    session.metadata = session.metadata.with_roles(age_column=None, sex_column=None)
    assert not session.is_current(predictor)


@pytest.fixture
def app(
    with_age_sex_artefact: Artefact,
    blood: bytes,
    people: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AppTest:
    with_age_sex_artefact.save(tmp_path / "with_age_sex")
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "with_age_sex"))
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    app.switch_page("pages/samples/upload.py").run()
    app.file_uploader[0].upload("blood.csv", blood)
    app.run()
    app.switch_page("pages/samples/metadata.py").run()
    app.file_uploader[0].upload("people.csv", people)
    app.run()
    assert not app.exception
    return app


def test_comparisons_are_of_predictions_without_age_and_sex(
    app: AppTest, with_age_sex_artefact: Artefact, blood: bytes
) -> None:
    predictor = Predictor(with_age_sex_artefact)
    alone = Session(targets=("Lung", "Liver"))
    alone.open(blood, "blood.csv", predictor)
    expected = alone.predict(predictor)["expression"].sel(tissue="Lung")
    app.switch_page("pages/associations/differential.py").run()
    assert not app.exception
    assert "from expression alone, although the model can also use age and sex" in app.info[0].value
    app.selectbox(key="tissue").set_value("Lung").run()
    table = app.dataframe[0].value
    lung = table[table["tissue"] == "Lung"].set_index("gene_id")["mean_case"]
    case = np.log2(1 + expected.to_numpy()[:15]).mean(axis=0)
    np.testing.assert_allclose(lung[expected["gene"].to_numpy()], case, rtol=1e-4)
