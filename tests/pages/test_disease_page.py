"""Disease concordance on the bundled studies, on changed ones, and without any."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.screens.disease_tables import (
    adjusted_words,
    areas_in_words,
    areas_of,
    curves_of,
    diseases_among,
    genes_of_tissue,
    overlap_cells,
    tissue_rows,
)
from mtm_core.dashboard.state.resources import MODEL_VARIABLE
from mtm_core.figures.associations.preserved_changes import BOTH, MEASURED, NEITHER
from mtm_core.model_folder import seal_folder
from mtm_core.model_places import DEFAULT_MODEL, find_model
from mtm_core.statistics.outcome import TESTED
from mtm_core.studies.disease import DiseaseStudy
from mtm_core.studies.shipped import Shipped, StudyTables
from tests.pages.conftest import words

PAGE = "pages/associations/disease.py"
VIEWS = ["Preserved changes", "Genes found again", "Classification", "Preserved associations"]


@pytest.fixture(scope="module")
def disease() -> Shipped[DiseaseStudy]:
    shipped = StudyTables.load(find_model(DEFAULT_MODEL) / "studies").disease
    assert shipped is not None
    return shipped


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Serve a copy of the default model, whose studies a test can change."""
    for name in ("model.json", "model.safetensors"):
        shutil.copy(find_model(DEFAULT_MODEL) / name, tmp_path / name)
    shutil.copytree(find_model(DEFAULT_MODEL) / "studies", tmp_path / "studies")
    seal_folder(tmp_path)
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path))
    return tmp_path


def opened(app: AppTest, view: str | None = None) -> AppTest:
    app.switch_page(PAGE).run()
    if view is not None:
        app.segmented_control(key="concordance_of").set_value(view).run()
    assert not app.exception
    assert not app.error
    return app


@pytest.mark.usefixtures("not_evaluated")
def test_a_model_without_studies_names_the_commands(app: AppTest) -> None:
    opened(app)
    assert "`mtm study disease` and `mtm study traits`" in app.info[0].value
    assert not app.segmented_control(key="image_format").disabled
    assert not app.dataframe


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_and_gives_its_data(app: AppTest, view: str) -> None:
    opened(app, view)
    figures = {
        "Preserved changes": "preserved_tissues_contrast",
        "Genes found again": "overlap_grid",
        "Classification": "areas",
        "Preserved associations": "preserved_tissues_trait",
    }
    assert app.download_button(key=f"download_{figures[view]}_csv")
    is_warned = "None of these contrasts is a disease" in words(app)
    assert is_warned == (view != "Preserved associations")


def test_a_tissue_s_roc_curves_stand_below_the_areas(
    app: AppTest, disease: Shipped[DiseaseStudy]
) -> None:
    opened(app, "Classification")
    tissue = app.selectbox(key="tissue").value
    assert f"ROC curves of {tissue}" in [part.value for part in app.subheader]
    trait = app.selectbox(key="areas_of").value
    assert app.download_button(key="download_curves_csv")
    own = curves_of(disease.study.curves, trait, tissue)
    assert set(own["profile"]) == {"observed", "predicted", "source", "covariates"}
    assert curves_of(pd.DataFrame(), trait, tissue).empty


def test_genes_are_those_of_contrast_tissue_and_what_is_left_out(
    app: AppTest, disease: Shipped[DiseaseStudy]
) -> None:
    pairs = disease.study.pairs
    best = pairs[pairs["outcome"] == TESTED].sort_values("rho").iloc[-1]
    for name, value in (("tissue", best["tissue"]), ("concordance_of", VIEWS[0])):
        app.query_params[name] = str(value)
    opened(app)
    app.selectbox(key="preserved_contrast").set_value(best["trait"]).run()
    chosen = app.segmented_control(key=f"preserved_adjusted_contrast_{best['trait']}")
    assert "" in chosen.value
    chosen.set_value([best["adjusted_for"]]).run()
    assert app.selectbox(key="tissue").value == best["tissue"]
    shown = app.dataframe[0].value
    genes = disease.study.genes
    expected = genes[
        (genes["trait"] == best["trait"])
        & (genes["tissue"] == best["tissue"])
        & (genes["adjusted_for"] == best["adjusted_for"])
    ].set_index("gene_id")
    assert len(shown) == len(expected) == best["n_genes"]
    rows = shown.set_index("gene_id")
    assert rows["observed"].to_dict() == expected["effect_observed"].to_dict()
    assert rows["fdr_predicted"].to_dict() == expected["fdr_predicted"].to_dict()
    assert shown["p_observed"].is_monotonic_increasing
    text = words(app)
    assert f"rho {best['rho']:.2f} ({best['rho_low']:.2f} to {best['rho_high']:.2f})" in text
    assert f"the median rho is {best['shuffled']:.2f} (p = {best['shuffle_p']:.3f})" in text
    # Without any choice all stand side by side.
    app.segmented_control(key=f"preserved_adjusted_contrast_{best['trait']}").set_value([]).run()
    assert len(set(app.dataframe[0].value["panel"])) > 1


def test_an_untested_tissue_is_reported(app: AppTest, disease: Shipped[DiseaseStudy]) -> None:
    pairs = disease.study.pairs
    lacking = pairs[pairs["outcome"] != TESTED].iloc[0]
    opened(app, VIEWS[0])
    app.selectbox(key="preserved_contrast").set_value(lacking["trait"]).run()
    app.selectbox(key="tissue").set_value(lacking["tissue"]).run()
    assert not app.exception
    minimum = disease.settings["minimum_group"]
    assert f"was not tested in {lacking['tissue']}: {minimum} donors" in app.info[0].value
    assert app.download_button(key="download_preserved_tissues_contrast_csv")


def test_fewer_changed_genes_show_more_cells(app: AppTest, disease: Shipped[DiseaseStudy]) -> None:
    opened(app, "Genes found again")
    assert app.number_input(key="minimum_degs").value == disease.settings["minimum_degs"]
    app.number_input(key="minimum_degs").set_value(5_000).run()
    assert "Choose a smaller number" in app.info[0].value
    few, many = (len(overlap_cells(disease.study.pairs, n)[3]) for n in (10, 2))
    assert many > few


def test_diseases_are_no_cause_for_a_warning(app: AppTest, own_folder: Path) -> None:
    folder = own_folder / "studies" / "disease"
    for name in ("pairs.csv", "status.csv"):
        table = pd.read_csv(folder / name)
        table.replace({"trait": {"sex": "MHT2D"}}).to_csv(folder / name, index=False)
    seal_folder(own_folder)
    opened(app, VIEWS[0])
    assert "MHT2D" in app.selectbox(key="preserved_contrast").options
    assert not app.warning


def test_traits_alone_are_shown_alone(app: AppTest, own_folder: Path) -> None:
    shutil.rmtree(own_folder / "studies" / "disease")
    seal_folder(own_folder)
    opened(app)
    assert app.segmented_control(key="concordance_of").options == ["Preserved associations"]
    assert app.dataframe


def test_without_areas_there_is_no_view_of_them(app: AppTest, own_folder: Path) -> None:
    (own_folder / "studies" / "disease" / "status.csv").write_text("\n")
    seal_folder(own_folder)
    opened(app)
    assert "Classification" not in app.segmented_control(key="concordance_of").options


def test_a_damaged_study_is_named(app: AppTest, own_folder: Path) -> None:
    (own_folder / "studies" / "traits" / "settings.json").write_text("{")
    seal_folder(own_folder)
    app.switch_page(PAGE).run()
    assert not app.exception
    assert "holds no study" in app.error[0].value


def test_a_simulated_cohort_is_marked(app: AppTest, own_folder: Path) -> None:
    path = own_folder / "studies" / "disease" / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"simulated": True}))
    seal_folder(own_folder)
    opened(app, VIEWS[0])
    assert "a simulated cohort" in words(app)


# What the page is given, against slow counts.


def test_significance_is_counted_by_side() -> None:
    genes = pd.DataFrame(
        {
            "trait": "sex",
            "adjusted_for": ["", "", "", "age"],
            "tissue": "Lung",
            "gene_id": ["A", "B", "C", "A"],
            "effect_predicted": [1.0, 2.0, 3.0, 4.0],
            "effect_observed": [0.1, 0.2, 0.3, 0.4],
            "p_predicted": 0.01,
            "p_observed": 0.01,
            "fdr_predicted": [0.05, 0.06, 0.06, 0.01],
            "fdr_observed": [0.05, 0.05, 0.5, 0.01],
            "outcome_predicted": TESTED,
            "outcome_observed": [TESTED, TESTED, TESTED, "constant"],
        }
    )
    cut = genes_of_tissue(genes, "sex", "Lung", ["", "age"], {"A": "Alpha"}, value="effect")
    assert cut["gene"].tolist() == ["Alpha", "B", "C"]
    assert cut["significant"].tolist() == [BOTH, MEASURED, NEITHER]
    assert cut["predicted"].tolist() == [1.0, 2.0, 3.0]
    assert genes_of_tissue(genes, "sex", "Liver", [""], {}, value="effect").empty


def test_cells_are_those_with_changed_genes(disease: Shipped[DiseaseStudy]) -> None:
    pairs = disease.study.pairs
    f1, stars, notes, rows = overlap_cells(pairs, 3)
    n_cells = 0
    for _, pair in pairs[pairs["outcome"] == TESTED].iterrows():
        for way, arrow in (("up", "↑"), ("down", "↓")):
            if pair[f"n_{way}_observed"] < 3:
                continue
            n_cells += 1
            out = f", {adjusted_words(pair['adjusted_for'])}" if pair["adjusted_for"] else ""
            at = pair["tissue"], f"{pair['trait']}{out} {arrow}"
            score = pair[f"{way}_f1"]
            assert f1.loc[at] == (0 if pd.isna(score) else score)
            n_stars = sum(pair[f"{way}_p"] < level for level in (0.05, 1e-10, 1e-100))
            assert stars.loc[at] == "*" * n_stars
            assert f"{pair[f'n_{way}_shared']:.0f} shared" in notes.loc[at]
    assert n_cells == len(rows) == f1.notna().sum().sum()


def test_tissues_are_ordered_by_what_is_raw(disease: Shipped[DiseaseStudy]) -> None:
    trait = disease.study.pairs["trait"].iloc[0]
    kinds = list(disease.study.pairs.query("trait == @trait")["adjusted_for"].unique())
    rows = tissue_rows(disease.study.pairs, trait, kinds)
    first = rows[rows["panel"] == ""]
    assert first["rho"].is_monotonic_decreasing
    for kind in kinds:
        assert rows.loc[rows["panel"] == kind, "tissue"].tolist() == first["tissue"].tolist()
    assert rows["people"].iloc[0] == (
        f"{rows['n_case'].iloc[0]} cases, {rows['n_control'].iloc[0]} controls"
    )


def test_areas_begin_with_the_best_measured_tissue(disease: Shipped[DiseaseStudy]) -> None:
    trait = disease.study.status["trait"].iloc[0]
    areas = areas_of(disease.study.status, trait)
    assert areas.loc[areas["profile"] == "observed", "auroc"].is_monotonic_decreasing
    row = disease.study.status_summary().loc[trait]
    text = areas_in_words(row, "Skin")
    assert f"in {row['n_informative']:.0f} of {row['n_tissues']:.0f} tissues" in text
    assert f"measured Skin {row['source']:.2f}" in text
    lower, higher = (
        areas_in_words(pd.Series({**row, "predicted": area, "p": 0.01}), "Skin")
        for area in (row["source"] - 0.1, row["source"] + 0.1)
    )
    assert ("is lower than Skin" in lower, "is higher than Skin" in higher) == (True, True)
    assert "too few" in areas_in_words(pd.Series({**row, "p": float("nan")}), "Skin")
    assert "Mean" not in areas_in_words(pd.Series({**row, "n_informative": 0}), "Skin")


def test_diseases_are_known_by_their_names() -> None:
    assert diseases_among(["sex", "MHT2D", "ventilator"]) == ("MHT2D",)
    assert diseases_among(["sex"]) == ()
    assert adjusted_words("age+hardy") == "adjusted for age, Hardy scale"
    assert adjusted_words("") == "not adjusted"
