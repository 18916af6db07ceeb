from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import go_to, words

EXTERNAL = "pages/associations/external.py"


@pytest.fixture
def screen(with_example: AppTest) -> AppTest:
    return go_to(with_example, EXTERNAL)


def test_every_tissue_has_rho_with_what_chance_gives(screen: AppTest) -> None:
    assert screen.selectbox(key="contrast").value == "sex"
    table = screen.dataframe[0].value.set_index("tissue")
    assert len(table) == 7
    assert table.loc["Whole Blood", "origin"] == "measured"
    assert (table["n"] > 50).all()
    assert (table["low"] < table["high"]).all()
    assert (table["chance_low"] < 0).all()
    assert (table["chance_high"] > 0).all()
    said = words(screen)
    assert "female against male" in said
    assert "With shuffled labels 95 % of rho lie between" in said
    assert "what the model learned, not a finding about your samples" in said


def test_contrast_adjustment_and_genes_can_be_chosen(screen: AppTest) -> None:
    sex = screen.dataframe[0].value
    screen.selectbox(key="contrast").set_value("ventilator").run()
    ventilator = screen.dataframe[0].value
    assert not ventilator["pearson"].equals(sex["pearson"])
    screen.segmented_control(key="adjusted_ventilator").set_value("age+sex").run()
    assert not screen.exception
    assert not screen.dataframe[0].value["pearson"].equals(ventilator["pearson"])
    screen.toggle(key="agreement_predictable").set_value(True).run()
    fewer = screen.dataframe[0].value.set_index("tissue")["n"]
    assert fewer["Whole Blood"] == ventilator.set_index("tissue")["n"]["Whole Blood"]
    assert fewer["Lung"] < ventilator.set_index("tissue")["n"]["Lung"]
    screen.selectbox(key="contrast").set_value("age").run()
    assert not screen.exception
    assert "for a year of age" in words(screen)


def test_labels_can_be_shuffled(screen: AppTest) -> None:
    true = screen.dataframe[0].value
    screen.toggle(key="shuffle").set_value(True).run()
    assert not screen.exception
    assert "Labels are shuffled" in screen.warning[0].value
    assert not screen.dataframe[0].value["pearson"].equals(true["pearson"])


@pytest.mark.usefixtures("not_evaluated")
def test_a_model_without_associations_says_how_to_make_them(with_example: AppTest) -> None:
    with_example.switch_page(EXTERNAL).run()
    assert not with_example.exception
    assert "`mtm study reference`" in with_example.info[0].value
    assert not with_example.dataframe
