from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from streamlit.runtime.state import SessionState
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE, EXAMPLE_METADATA
from tests.cases import base, people
from tests.pages.conftest import MODEL_CARD, go_to, rows, upload, words
from tests.pages.test_metadata_page import DIFFERENTIAL, METADATA, give

UP, DOWN = {"SDHD", "VHL", "SDHB", "MSH6"}, {"SMAD4", "TSC1", "SDHAF2", "SDHC"}


@pytest.fixture
def screen(with_example: AppTest) -> AppTest:
    return go_to(with_example, DIFFERENTIAL)


def test_metadata_without_groups_are_reported(app: AppTest) -> None:
    upload(app, "mine.tsv", EXAMPLE.read_bytes())
    people = pd.read_csv(EXAMPLE_METADATA, sep="\t")[["sample", "age"]]
    give(app, people)
    app.switch_page(DIFFERENTIAL).run()
    assert not app.exception
    assert "people.csv has no column with two groups" in app.info[0].value


def test_planted_changes_are_found_in_blood(screen: AppTest) -> None:
    table = rows(screen)
    blood = table[table["tissue"] == "Whole Blood"]
    assert set(blood.loc[blood["kind"] == "higher in cases", "gene"]) == UP
    assert set(blood.loc[blood["kind"] == "lower in cases", "gene"]) == DOWN
    assert set(blood["origin"]) == {"measured"}
    assert (blood["n_case"] == 20).all()
    said = words(screen)
    assert "8 of 59 genes pass the thresholds, 4 higher and 4 lower" in said
    assert "adds no information" in screen.info[0].value


def test_shuffled_labels_are_announced(screen: AppTest) -> None:
    true = rows(screen)
    screen.toggle(key="shuffle").set_value(True).run()
    chance = rows(screen)
    assert "Labels are shuffled** (seed 1)" in screen.warning[0].value
    assert not chance["fdr"].equals(true["fdr"])
    assert (chance["kind"] == "higher in cases").sum() < 4
    screen.number_input(key="shuffle_seed").set_value(2).run()
    assert "(seed 2)" in screen.warning[0].value
    assert not rows(screen)["p"].equals(chance["p"])
    assert "--shuffle 2" in screen.code[0].value


def test_thresholds_change_what_counts(screen: AppTest) -> None:
    screen.slider(key="fold_change").set_value(0.7).run()
    table = rows(screen)
    changed = table[table["kind"].isin(["higher in cases", "lower in cases"])]
    assert (changed["log2_fold_change"].abs() >= 0.7).all()
    assert 0 < len(changed) < 8
    screen.select_slider(key="fdr").set_value(0.001).run()
    table = rows(screen)
    assert (table.loc[table["kind"] == "lower in cases", "fdr"] <= 0.001).all()


def test_groups_can_be_turned_round_and_taken_from_another_column(screen: AppTest) -> None:
    before = rows(screen).set_index(["tissue", "gene"])["log2_fold_change"]
    case = next(box for box in screen.selectbox if box.label == "Cases")
    control = next(box for box in screen.selectbox if box.label == "Controls")
    assert (case.value, control.value) == ("case", "control")
    case.set_value("control").run()
    assert "compared with itself" in screen.error[0].value
    next(box for box in screen.selectbox if box.label == "Controls").set_value("case").run()
    after = rows(screen).set_index(["tissue", "gene"])["log2_fold_change"]
    assert (after + before[after.index]).abs().max() < 1e-9
    screen.selectbox(key="group_column").set_value("sex").run()
    assert set(rows(screen)["n_case"]) == {21}
    assert "0 of 59 genes pass" in words(screen)


def test_selected_points_fill_the_table(screen: AppTest) -> None:
    everything = rows(screen)
    genes = everything["gene_id"].unique()[:3].tolist()
    screen.session_state["volcano_genes"] = genes
    screen.run()
    assert set(rows(screen)["gene_id"]) == set(genes)
    assert "3 genes selected in the figure" in words(screen)
    screen.button(key="clear_points").click().run()
    assert len(rows(screen)) == len(everything)


def test_tissues_beside_each_other_and_the_gene_go_with_the_user(screen: AppTest) -> None:
    screen.selectbox(key="tissue").set_value("Lung").run()
    screen.multiselect(key="beside_Whole Blood").set_value(["Liver", "Whole Blood"]).run()
    assert set(rows(screen)["tissue"]) == {"Lung", "Liver", "Whole Blood"}
    screen.selectbox(key="gene").set_value("VHL").run()
    assert "VHL in every sample" in words(screen)
    screen.switch_page("pages/samples/reference.py").run()
    assert not screen.exception
    assert screen.selectbox(key="gene").value == "VHL"
    assert screen.selectbox(key="tissue").value == "Lung"
    screen.switch_page(DIFFERENTIAL).run()
    assert set(rows(screen)["tissue"]) == {"Lung", "Liver", "Whole Blood"}


def test_tissues_that_are_no_longer_predicted_are_left_out(screen: AppTest) -> None:
    screen.multiselect(key="beside_Whole Blood").set_value(["Liver", "Whole Blood"]).run()
    screen.switch_page("pages/samples/predicted.py").run()
    screen.multiselect(key="targets").set_value(["Spleen", "Lung"]).run()
    screen.switch_page(DIFFERENTIAL).run()
    assert "Liver" not in set(rows(screen)["tissue"])


def test_too_few_samples_are_said(app: AppTest) -> None:
    upload(app, "mine.tsv", EXAMPLE.read_bytes())
    people = pd.read_csv(EXAMPLE_METADATA, sep="\t")
    people["group"] = ["case"] * 2 + ["control"] * 38
    give(app, people)
    app.switch_page(DIFFERENTIAL).run()
    assert not app.exception
    assert "No gene was tested: too few samples. case: 2 samples" in app.warning[0].value


@pytest.mark.usefixtures("evaluated")
def test_genes_that_cannot_be_predicted_do_not_count(with_example: AppTest) -> None:
    with_example.switch_page(DIFFERENTIAL).run()
    with_example.selectbox(key="tissue").set_value("Lung").run()
    table = rows(with_example)
    lung = table[table["tissue"] == "Lung"].set_index("gene")
    assert lung.loc["BRCA2", "kind"] == "not predictable"
    assert lung.loc["BRCA1", "rho_pooled"] == 0.5
    assert "not predictable and are not counted" in words(with_example)


@pytest.mark.usefixtures("not_evaluated")
def test_a_model_that_was_not_evaluated_greys_nothing(with_example: AppTest) -> None:
    with_example.switch_page(DIFFERENTIAL).run()
    assert set(rows(with_example)["predictable"]) == {"measured", "not evaluated"}
    assert "Pale circles" not in words(with_example)


def test_another_file_of_metadata_brings_its_own_groups(screen: AppTest) -> None:
    people = pd.read_csv(EXAMPLE_METADATA, sep="\t")
    people["group"] = people["group"].map({"case": "COVID", "control": "healthy"})
    screen.switch_page(METADATA).run()
    give(screen, people)
    screen.switch_page(DIFFERENTIAL).run()
    assert "COVID (n = 20) against healthy (n = 20)" in words(screen)


def test_every_gene_of_the_users_table_is_compared_as_it_was_measured(app: AppTest) -> None:
    counts = base.counts()
    upload(app, "counts.csv", counts.to_csv().encode())
    give(app, people.base())
    app.switch_page(DIFFERENTIAL).run()
    assert not app.exception
    shown = rows(app)
    blood = shown[shown["origin"] == "measured"].set_index("gene_id")
    assert len(blood) == 200
    assert (shown["origin"] == "predicted").sum() == 59
    own = np.log2(1 + counts / counts.sum() * 1e6)
    is_case = np.array(people.GROUPS) == "covid"
    stems = [gene.split(".")[0] for gene in blood.index]
    for name, mean in (("mean_case", own.loc[:, is_case]), ("mean_control", own.loc[:, ~is_case])):
        np.testing.assert_allclose(blood[name], mean.mean(axis=1)[stems], atol=1e-9)
    assert "log2(1 + CPM) of the table's own counts" in words(app)

    panel = set(base.predictor().artefact.genes["symbol"])
    alone = next(symbol for symbol in base.genes()["symbol"] if symbol not in panel)
    app.selectbox(key="gene").select(alone).run()
    assert not app.exception
    assert "The model does not predict this gene." in words(app)
    go_to(app, "pages/samples/reference.py")  # which knows the model's genes alone
    go_to(app, "pages/associations/traits.py")
    traits = next(frame.value for frame in app.dataframe if "rho" in frame.value)
    assert (traits["origin"] == "measured").sum() == 200


def test_samples_that_take_no_part_are_counted(app: AppTest) -> None:
    upload(app, "counts.csv", base.counts().to_csv().encode())
    table = people.base()
    table.loc[:2, "group"] = ""
    table.loc[3:5, "group"] = "recovered"
    give(app, table)
    app.switch_page(DIFFERENTIAL).run()
    assert not app.exception
    assert "3 samples belong to other groups, and 3 have no known group." in words(app)


def test_a_page_that_was_left_keeps_no_table_by_a_callback(with_example: AppTest) -> None:
    """Streamlit has every callback for good, and each the variables of the page that made it."""

    def of_the_volcano(app: AppTest) -> list[object]:
        state = app.session_state
        while not isinstance(state, SessionState):  # what guards it against other threads
            state = state._state
        known = state._new_widget_state.widget_metadata
        return [one.callback for name, one in known.items() if "figure_volcano" in name]

    app = go_to(with_example, DIFFERENTIAL)
    assert any(of_the_volcano(app))
    go_to(app, MODEL_CARD)
    assert of_the_volcano(app)  # what it shows is known still
    assert not any(of_the_volcano(app))
    go_to(app, DIFFERENTIAL)
    assert any(of_the_volcano(app))


def test_people_of_the_other_sex_are_left_out_unless_they_are_wanted(with_example: AppTest) -> None:
    go_to(with_example, "pages/samples/predicted.py")
    with_example.multiselect(key="targets").set_value(["Ovary", "Uterus", "Vagina"]).run()
    app = go_to(with_example, DIFFERENTIAL)
    said = words(app)
    assert "19 of 40 samples are of men, and only women have: 'Ovary', 'Uterus', 'Vagina'." in said
    assert "In comparisons men are left out there." in said
    assert "The rank-sum test ignores prediction error" in said

    def compared() -> int:
        table = rows(app)
        ovary = table[table["tissue"] == "Ovary"]
        return int((ovary["n_case"] + ovary["n_control"]).iloc[0])

    app.selectbox(key="tissue").set_value("Ovary").run()
    assert compared() == 21
    app.checkbox(key="both_sexes").check().run()
    assert compared() == 40
    assert "They are compared there too, although men have no such organ." in words(app)
    assert "--both-sexes" in app.code[0].value
