from __future__ import annotations

import shlex
from collections.abc import Callable

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE
from tests.pages.conftest import MODEL_CARD, PREDICTED, UPLOAD, upload, words


def rows(app: AppTest) -> pd.DataFrame:
    """Return the table as the page shows it."""
    app.segmented_control(key="view").set_value("Table").run()
    assert not app.exception
    return app.dataframe[0].value


def test_without_samples_the_next_step_is_named(app: AppTest) -> None:
    app.switch_page(PREDICTED).run()
    assert not app.exception
    assert "No samples yet" in app.info[0].value
    app.button(key="to_upload").click().run()
    assert app.title[0].value == "Upload"


def test_samples_without_a_prediction_ask_for_one(app: AppTest) -> None:
    upload(app, "mine.tsv", EXAMPLE.read_bytes())
    app.switch_page(PREDICTED).run()
    assert "press **Predict**" in app.info[0].value
    app.button(key="predict").click().run()
    assert not app.exception
    assert not app.info


@pytest.mark.parametrize("view", ["All samples", "One gene", "Table"])
@pytest.mark.parametrize("accuracy", ["evaluated", "not_evaluated"])
def test_every_view_opens(
    view: str,
    accuracy: str,
    open_app: Callable[[], AppTest],
    request: pytest.FixtureRequest,
) -> None:
    request.getfixturevalue(accuracy)
    app = open_app()
    app.button(key="example").click().run()
    app.segmented_control(key="view").set_value(view).run()
    assert not app.exception
    assert not app.error
    assert ("not evaluated" in words(app)) == (accuracy == "not_evaluated")
    assert app.toggle(key="predictable_only").disabled == (
        accuracy == "not_evaluated" or view == "One gene"
    )


@pytest.mark.usefixtures("evaluated")
def test_table_sets_the_held_out_rho_beside_each_value(with_example: AppTest) -> None:
    with_example.selectbox(key="tissue").set_value("Lung").run()
    shown = rows(with_example)
    assert len(shown) == 40 * 59
    assert set(shown["tissue"]) == {"Lung"}
    brca1 = shown[shown["gene"] == "BRCA1"]
    assert (brca1["rho_pooled"] == 0.5).all()
    assert set(brca1["predictable"]) == {"yes"}
    brca2 = shown[shown["gene"] == "BRCA2"]
    assert brca2["rho_pooled"].isna().all()
    assert set(brca2["predictable"]) == {"no"}


@pytest.mark.usefixtures("evaluated")
def test_unpredictable_genes_can_be_left_out(with_example: AppTest) -> None:
    with_example.selectbox(key="tissue").set_value("Lung").run()
    everything = rows(with_example)
    with_example.toggle(key="predictable_only").set_value(True).run()
    remaining = with_example.dataframe[0].value
    assert 0 < len(remaining) < len(everything)
    assert (remaining["rho_pooled"] > 0.3).all()
    assert "BRCA1" in set(remaining["gene"])


@pytest.mark.usefixtures("evaluated")
def test_accuracy_from_blood_is_not_shown_for_another_source(with_example: AppTest) -> None:
    with_example.switch_page(UPLOAD).run()
    with_example.selectbox(key="source").set_value("Spleen").run()
    with_example.switch_page(PREDICTED).run()
    with_example.button(key="predict").click().run()
    assert not with_example.exception
    assert "from Spleen were **not evaluated**" in words(with_example)
    assert set(rows(with_example)["predictable"]) == {"not evaluated"}


@pytest.mark.usefixtures("not_evaluated")
def test_without_an_evaluation_the_table_says_so(with_example: AppTest) -> None:
    shown = rows(with_example)
    assert set(shown["predictable"]) == {"not evaluated"}
    assert shown["rho_pooled"].isna().all()


def test_table_is_cut_to_samples_gene_and_tissues(with_example: AppTest) -> None:
    rows(with_example)
    with_example.multiselect(key="table_samples").set_value(["SIM-003"]).run()
    with_example.toggle(key="all_tissues").set_value(True).run()
    with_example.toggle(key="all_genes").set_value(False).run()
    with_example.selectbox(key="gene").set_value("BRCA1").run()
    shown = with_example.dataframe[0].value
    assert len(shown) == 6
    assert set(shown["sample"]) == {"SIM-003"}
    assert set(shown["gene"]) == {"BRCA1"}


def test_changed_choice_is_said_until_predicted_again(with_example: AppTest) -> None:
    with_example.multiselect(key="targets").set_value(["Lung", "Spleen"]).run()
    assert "Your choice has changed" in with_example.warning[0].value
    with_example.button(key="predict").click().run()
    assert not with_example.warning
    assert with_example.selectbox(key="tissue").options == ["Lung", "Spleen"]


def test_no_tissue_chosen_is_an_error_in_words(with_example: AppTest) -> None:
    with_example.multiselect(key="targets").set_value([]).run()
    with_example.button(key="predict").click().run()
    assert not with_example.exception
    assert "no target tissue is chosen" in with_example.error[0].value


def test_prediction_gene_tissue_and_view_survive_a_page_switch(with_example: AppTest) -> None:
    app = with_example
    app.multiselect(key="targets").set_value(["Spleen", "Lung"]).run()
    app.button(key="predict").click().run()
    app.selectbox(key="tissue").set_value("Lung").run()
    app.segmented_control(key="view").set_value("One gene").run()
    app.selectbox(key="gene").set_value("TP53").run()
    app.switch_page(MODEL_CARD).run()
    app.switch_page(PREDICTED).run()
    assert not app.exception
    assert not app.warning
    assert app.segmented_control(key="view").value == "One gene"
    assert app.selectbox(key="gene").value == "TP53"
    assert app.selectbox(key="tissue").value == "Lung"
    assert app.multiselect(key="targets").value == ["Spleen", "Lung"]


def test_sessions_do_not_see_each_other(open_app: Callable[[], AppTest]) -> None:
    first, second = open_app(), open_app()
    data = pd.read_csv(EXAMPLE, sep="\t", index_col="sample")
    upload(first, "mine.tsv", data.to_csv(sep="\t").encode())
    data.loc["SIM-001", "BRCA1"] *= 50
    upload(second, "mine.tsv", data.to_csv(sep="\t").encode())
    shown = []
    for app in (first, second):
        app.button(key="predict").click().run()
        app.switch_page(PREDICTED)  # the harness does not follow the page's own switch for long
        shown.append(rows(app))
    of_sample = [table[table["sample"] == "SIM-001"]["z"].to_numpy() for table in shown]
    assert abs(of_sample[0] - of_sample[1]).max() > 1e-3


def test_command_line_that_gives_the_same_is_shown(with_example: AppTest) -> None:
    command = with_example.code[0].value
    words = shlex.split(command)
    assert words[:3] == ["mtm", "predict", "blood_tpm.tsv"]
    assert words[words.index("--source") + 1] == "Whole Blood"
    assert words[words.index("--metadata") + 1] == "metadata.tsv"
    assert "--unit tpm --alignment cohort" in command


def test_says_who_was_predicted_with_age_and_sex(with_example: AppTest) -> None:
    assert "with age and sex of 40 samples" in words(with_example)


def test_a_file_that_is_too_large_is_replaced_by_the_command_that_makes_it(
    with_example: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {f"download_all_{ending}" for ending in ("csv", "parquet", "h5ad")}
    offered = {button.key for button in with_example.download_button}
    assert keys <= offered
    monkeypatch.setenv("MTM_MAX_DOWNLOAD_MB", "1")
    app = with_example.run()
    assert not app.exception
    assert keys - {button.key for button in app.download_button} == {"download_all_csv"}
    [said] = [info.value for info in app.info if "this server makes files of up to" in info.value]
    assert said.startswith("CSV (up to 1 MB)")
    [command] = [shlex.split(code.value) for code in app.code if "predicted.csv" in code.value][:1]
    assert command[:2] == ["mtm", "predict"]
    assert command[-1] == "predicted.csv"


def test_one_file_per_tissue_is_offered_and_for_large_predictions_the_command(
    with_example: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = with_example.selectbox(key="tissue").set_value("Lung").run()
    labels = {button.key: button.label for button in app.download_button}
    assert labels["download_tissue_csv"] == "Lung (CSV)"
    assert labels["download_tissue_parquet"] == "Lung (Parquet)"
    assert labels["download_by_tissue"] == "6 tissues (zip of CSV)"
    monkeypatch.setattr(
        "mtm_core.dashboard.screens.predicted.by_tissue_file_bytes", lambda _: 10**10
    )
    app.run()
    assert not app.exception
    keys = {button.key for button in app.download_button}
    assert keys & set(labels) == set(labels) - {"download_by_tissue"}
    commands = [shlex.split(code.value) for code in app.code]
    [command] = [words for words in commands if "--format" in words]
    assert command[:2] == ["mtm", "predict"]
    assert command[-4:] == ["--format", "wide", "--output", "predicted"]


def test_a_prediction_that_is_too_large_is_refused_before_it_is_made(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(app, "mine.tsv", EXAMPLE.read_bytes())
    monkeypatch.setattr(
        "mtm_core.dashboard.state.results.predicting_bytes", lambda *shape: 100 * 48 * 19187 * 10**6
    )
    app.switch_page(PREDICTED).run()
    app.button(key="predict").click().run()
    assert not app.exception
    assert "Predicting needs about" in app.error[0].value
    assert "mtm predict" in app.error[0].value
