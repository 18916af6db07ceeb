from __future__ import annotations

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from mtm_core.model_description import read_description
from mtm_core.model_places import DEFAULT_MODEL, find_model
from tests.evaluated_model import NAME
from tests.pages.conftest import MODEL_CARD, words

HEADERS = ["Accuracy", "Training", "Training data", "Limits", "Card"]


def opened(app: AppTest) -> AppTest:
    app.switch_page(MODEL_CARD).run()
    assert not app.exception
    assert [header.value for header in app.header] == HEADERS
    assert "do not replace a biopsy" in words(app)
    return app


def test_bundled_model_shows_intervals_tissues_and_genes(app: AppTest) -> None:
    opened(app)
    assert not app.info
    assert "Are the intervals calibrated?" in [header.value for header in app.subheader]
    assert {"49 tissues", "59 genes"} <= {header.value for header in app.subheader}
    for key in ("coverage", "training_samples", "genes"):
        assert app.download_button(key=f"download_{key}_csv")
    provenance = read_description(find_model(DEFAULT_MODEL))["provenance"]
    n_samples, n_donors = provenance["n_samples"], provenance["n_donors"]
    assert f"{n_samples:,} samples of {n_donors} donors" in words(app)
    genes = app.dataframe[0].value
    assert isinstance(genes, pd.DataFrame)
    assert len(genes) == 59


@pytest.mark.usefixtures("evaluated")
def test_parts_missing_from_an_evaluation_are_named(app: AppTest) -> None:
    opened(app)
    assert f"# {NAME}" in words(app)
    assert "gave no intervals" in words(app)
    assert app.download_button(key="download_training_csv")
    assert not app.info


@pytest.mark.usefixtures("not_evaluated")
def test_missing_files_of_a_model_are_named(app: AppTest) -> None:
    opened(app)
    assert "not evaluated" in app.info[0].value
    assert "no README.md" in app.info[1].value
    assert "no history.csv" in words(app)


def test_mtm_alone_shows_how_it_was_trained(monkeypatch: pytest.MonkeyPatch, app: AppTest) -> None:
    monkeypatch.setenv(MODEL_VARIABLE, "gtex_v8_acmg59")
    opened(app)
    assert app.download_button(key="download_training_csv")
    assert "gtex_v8_acmg59, method mtm" in words(app).replace("*", "")
