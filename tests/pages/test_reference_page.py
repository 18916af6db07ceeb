from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE
from tests.pages.conftest import go_to, rows, upload, words

REFERENCE = "pages/samples/reference.py"


@pytest.fixture
def screen(with_example: AppTest) -> AppTest:
    return go_to(with_example, REFERENCE)


def test_without_samples_the_next_step_is_named(app: AppTest) -> None:
    app.switch_page(REFERENCE).run()
    assert not app.exception
    assert "No samples yet" in app.info[0].value


def test_samples_without_metadata_have_a_place_among_all_donors(app: AppTest) -> None:
    upload(app, "mine.tsv", EXAMPLE.read_bytes())
    app.switch_page(REFERENCE).run()
    table = rows(app)
    assert len(table) == 7 * 40
    assert table["percentile"].between(1, 99).all()
    assert "donors_alike" not in table
    assert app.selectbox(key="position_groups").disabled


def test_the_page_says_that_alignment_hides_a_common_shift(screen: AppTest) -> None:
    assert "differs from the **other samples of your table**" in screen.info[0].value
    blood = rows(screen).query("tissue == 'Whole Blood'")
    assert blood["percentile"].median() == pytest.approx(50, abs=20)


def test_groups_and_donors_alike_come_from_the_metadata(screen: AppTest) -> None:
    screen.selectbox(key="position_groups").set_value("group").run()
    table = rows(screen)
    assert table["group"].value_counts().to_dict() == {"case": 140, "control": 140}
    first = table[table["sample"] == "SIM-001"].iloc[0]
    assert first["donors_alike"] == "female, 40-49"


def test_one_sample_can_be_marked(screen: AppTest) -> None:
    screen.selectbox(key="highlighted").set_value("SIM-004").run()
    table = rows(screen)
    assert set(table["sample"]) == {"SIM-004"}
    assert len(table) == 7


def test_gene_and_tissue_can_be_chosen(screen: AppTest) -> None:
    before = rows(screen)
    screen.selectbox(key="gene").set_value("TP53").run()
    screen.selectbox(key="tissue").set_value("Lung").run()
    assert "TP53 in Lung, by sex and age" in words(screen)
    assert not rows(screen)["percentile"].equals(before["percentile"])


@pytest.mark.usefixtures("not_evaluated")
def test_a_model_without_distributions_says_how_to_make_them(with_example: AppTest) -> None:
    with_example.switch_page(REFERENCE).run()
    assert "`mtm study reference`" in with_example.info[1].value
    assert "not evaluated" in words(with_example)
