"""Latent space on the bundled model and its studies, without these, and with samples."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.artefact import Artefact
from mtm_core.dashboard.screens.latent import (
    code_pairs,
    codes_in_words,
    layer_table,
    predictability_of,
)
from mtm_core.dashboard.state.resources import EXAMPLE, MODEL_VARIABLE, ServedModel
from mtm_core.methods.ridge import RidgeMethod
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.studies.shipped import StudyTables
from tests.pages.conftest import upload, words

PAGE = "pages/model/latent.py"
VIEWS = ["Donors", "Decoding", "Predictable genes", "Your samples"]


@pytest.fixture(scope="module")
def studies() -> StudyTables:
    return StudyTables.load(find_model(DEFAULT_MODEL) / "studies")


def opened(app: AppTest, view: str | None = None) -> AppTest:
    app.switch_page(PAGE).run()
    if view is not None:
        app.segmented_control(key="latent_of").set_value(view).run()
    assert not app.exception
    assert not app.error
    return app


def test_donors_are_shown_as_the_studies_found_them(app: AppTest, studies: StudyTables) -> None:
    opened(app)
    assert studies.latent is not None
    assert studies.latent_held_out is not None
    text = words(app)
    for shipped in (studies.latent, studies.latent_held_out):
        codes = shipped.study.codes
        assert f"mean rho {codes['same_donor']:.2f} between two tissues of the same donor" in text
        assert f"{codes['matched_donor']:.2f} of two donors with the same sex and Hardy" in text
    assert app.download_button(key="download_code_likeness_parquet")


def test_decoding_shows_map_likeness_and_layers(app: AppTest, studies: StudyTables) -> None:
    opened(app, "Decoding")
    layers = app.segmented_control(key="latent_layer").options
    assert studies.latent is not None
    assert layers == studies.latent.study.layers["layer"].tolist()
    before = words(app)
    app.segmented_control(key="latent_layer").set_value("output").run()
    assert "activations of output" in words(app) != before
    app.selectbox(key="tissue").set_value("Lung").run()
    assert not app.exception
    for key in ("tissue_map", "decoding_likeness", "layer_table"):
        assert app.download_button(key=f"download_{key}_csv")
    assert len(app.dataframe[0].value) == 2 * len(layers)


def test_the_tissue_of_another_page_is_carried_along(app: AppTest) -> None:
    app.query_params["tissue"] = "Spleen"
    app.query_params["latent_of"] = "Decoding"
    opened(app)
    assert app.selectbox(key="tissue").value == "Spleen"
    app.segmented_control(key="latent_of").set_value("Predictable genes").run()
    assert app.selectbox(key="tissue").value == "Spleen"


def test_predictable_genes_show_what_sets_them_apart(app: AppTest, studies: StudyTables) -> None:
    opened(app, "Predictable genes")
    assert studies.predictable_genes is not None
    shown = app.dataframe[0].value
    expected = studies.predictable_genes.study.summary()
    assert shown["higher"].tolist() == expected["higher"].tolist()
    assert "Spearman's rho" in words(app)


@pytest.mark.usefixtures("not_evaluated")
def test_without_studies_and_evaluation_the_commands_are_named(
    open_app: Callable[[], AppTest],
) -> None:
    app = opened(open_app())
    assert "`mtm study latent" in app.info[0].value
    opened(app, "Predictable genes")
    assert ["`mtm evaluate`" in app.info[0].value, "`mtm study pgenes" in app.info[1].value] == [
        True,
        True,
    ]
    # What the weights alone tell is there.
    opened(app, "Decoding")
    assert not app.info
    assert app.download_button(key="download_tissue_map_csv")
    assert not app.dataframe


def test_a_model_without_codes_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    small_cohort: ad.AnnData,
    open_app: Callable[[], AppTest],
) -> None:
    donors = sorted(set(small_cohort.obs["donor"]))
    method = RidgeMethod("Whole Blood").fit(small_cohort, donors)
    Artefact.of(method, small_cohort, name="ridge", provenance={}).save(tmp_path)
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path))
    app = opened(open_app())
    for view in ("Donors", "Decoding", "Your samples"):
        opened(app, view)
        assert "ridge has no latent codes" in app.info[0].value
        assert "Choose a model of the method mtm" in app.info[0].value


def test_own_samples_are_mapped_and_coloured(with_example: AppTest) -> None:
    app = opened(with_example, "Your samples")
    n = len(pd.read_csv(EXAMPLE, sep="\t"))
    assert f"The latent codes of your {n} samples" in words(app)
    options = app.selectbox(key="latent_colour").options
    assert {"age", "sex", "group"} <= set(options)
    for name in options:
        app.selectbox(key="latent_colour").set_value(name).run()
        assert not app.exception
    assert app.download_button(key="download_sample_map_csv")


def test_samples_are_asked_for_and_need_no_metadata(app: AppTest) -> None:
    opened(app, "Your samples")
    assert "No samples yet" in app.info[0].value
    upload(app, "mine.tsv", EXAMPLE.read_bytes())
    opened(app, "Your samples")
    assert app.selectbox(key="latent_colour").disabled
    assert "The latent codes of your" in words(app)


def test_too_few_samples_are_said(app: AppTest) -> None:
    few = b"".join(EXAMPLE.read_bytes().splitlines(keepends=True)[:3])
    upload(app, "two.tsv", few)
    app.switch_page(PAGE).run()
    app.segmented_control(key="latent_of").set_value("Your samples").run()
    assert not app.exception
    assert "a map needs 3 samples or more, and there are 2" in app.error[0].value


# What the page is given.


def test_the_live_likeness_is_that_of_the_shipped_study() -> None:
    """The scatter's Spearman is the study's where evaluation and study are of one run."""
    model = ServedModel.load(find_model(DEFAULT_MODEL))
    found = predictability_of(model)
    assert found is not None
    likeness, method = found
    assert method == model.predictor.artefact.method.name
    assert model.evaluation is not None
    genes = model.evaluation.genes
    rho = genes[genes["method"] == method].pivot(
        index="tissue", columns="gene_id", values="rho_pooled"
    )
    first = likeness.pairs.iloc[0]
    a, b = (rho.loc[first[name]].fillna(0) for name in ("tissue", "other_tissue"))
    assert first["likeness"] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert len(likeness.pairs) == len(rho) * (len(rho) - 1) // 2


def test_one_study_alone_is_enough(tmp_path: Path, studies: StudyTables) -> None:
    shutil.copytree(
        find_model(DEFAULT_MODEL) / "studies" / "latent_held_out", tmp_path / "latent_held_out"
    )
    alone = StudyTables.load(tmp_path)
    assert alone.latent_held_out is not None
    assert codes_in_words(alone)[0].endswith("not studied.")
    assert set(code_pairs(alone)["donors"]) == {"donors not seen in training"}
    assert len(layer_table(alone)) == len(alone.latent_held_out.study.layers)
    assert len(code_pairs(studies)) > len(code_pairs(alone))
