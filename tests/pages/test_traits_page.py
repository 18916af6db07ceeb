from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from streamlit.testing.v1 import AppTest

from mtm_core.dashboard.state.resources import EXAMPLE, EXAMPLE_METADATA
from tests.pages.conftest import go_to, rows, upload, words
from tests.pages.test_metadata_page import give

TRAITS = "pages/associations/traits.py"


@pytest.fixture
def screen(with_example: AppTest) -> AppTest:
    return go_to(with_example, TRAITS)


def test_age_is_shown_first_and_rho_is_that_of_the_samples(screen: AppTest) -> None:
    assert screen.selectbox(key="trait").value == "age"
    table = rows(screen)
    assert set(table["tissue"]) == {"Adipose - Subcutaneous", "Whole Blood"}
    # Blood is as it was measured, whatever the model makes of it.
    tpm = pd.read_csv(EXAMPLE, sep="\t", index_col="sample")
    own = np.log2(1 + tpm)
    age = pd.read_csv(EXAMPLE_METADATA, sep="\t", index_col="sample")["age"]
    blood = table[table["tissue"] == "Whole Blood"].set_index("gene")
    for gene in ("BRCA1", "TP53", "SDHB"):
        assert blood.loc[gene, "rho"] == pytest.approx(pearsonr(own[gene], age)[0], abs=1e-9)
    assert "0 of 59 genes at FDR 0.05" in words(screen)


def test_a_trait_of_two_groups_and_covariates_can_be_chosen(screen: AppTest) -> None:
    screen.selectbox(key="trait").set_value("group").run()
    before = rows(screen)
    assert "(case 1, control 0)" in words(screen)
    assert set(before["trait_is"]) == {"case 1, control 0"}
    reference = next(one for one in screen.selectbox if one.label == "Reference group")
    assert reference.value == "control"
    reference.set_value("case").run()
    assert "(control 1, case 0)" in words(screen)
    turned = rows(screen).set_index(["tissue", "gene_id"])["rho"]
    assert np.allclose(turned, -before.set_index(["tissue", "gene_id"])["rho"].loc[turned.index])
    assert "--reference group=case" in screen.code[0].value
    reference = next(one for one in screen.selectbox if one.label == "Reference group")
    reference.set_value("control").run()
    strongest = before[before["tissue"] == "Whole Blood"].iloc[0]
    assert strongest["fdr"] < 0.01
    screen.multiselect(key="covariates").set_value(["age", "sex"]).run()
    after = rows(screen)
    assert "adjusted for age and sex" in words(screen)
    assert not after["rho"].equals(before["rho"])
    # A trait that was a covariate is none of its own.
    screen.selectbox(key="trait").set_value("age").run()
    assert "adjusted for sex" in words(screen)
    assert "adjusted for age and sex" not in words(screen)


def test_age_and_sex_are_set_beside_the_reference_with_what_chance_gives(screen: AppTest) -> None:
    agreement = screen.dataframe[1].value
    assert set(agreement["tissue"]) >= {"Lung", "Whole Blood"}
    # Age was drawn at random in the example: no agreement is beyond chance.
    inside = agreement["pearson"].between(agreement["chance_low"], agreement["chance_high"])
    assert inside.all()
    assert (agreement["p"] > 0.05).all()
    assert "With shuffled labels 95 % of rho lie between" in words(screen)
    adjusted = screen.segmented_control(key="adjusted_age")
    assert adjusted.value == ""
    adjusted.set_value("sex").run()
    assert not screen.dataframe[1].value["pearson"].equals(agreement["pearson"])
    screen.selectbox(key="trait").set_value("group").run()
    assert "The reference has only age and sex of its donors, not 'group'" in screen.info[1].value
    assert len(screen.dataframe) == 1


def test_labels_can_be_shuffled(screen: AppTest) -> None:
    screen.selectbox(key="trait").set_value("group").run()
    assert rows(screen)["fdr"].min() < 0.01
    screen.toggle(key="shuffle").set_value(True).run()
    assert "Labels are shuffled" in screen.warning[0].value
    assert rows(screen)["fdr"].min() > 0.01


def test_all_tissues_can_be_listed(screen: AppTest) -> None:
    screen.toggle(key="traits_everywhere").set_value(True).run()
    table = rows(screen)
    assert len(table) == 7 * 59
    assert table["p"].is_monotonic_increasing


def test_a_model_without_associations_says_how_to_make_them(
    with_example: AppTest, not_evaluated: None
) -> None:
    with_example.switch_page(TRAITS).run()
    assert not with_example.exception
    assert "`mtm study reference`" in with_example.info[1].value


def test_a_trait_of_too_few_samples_is_reported(app: AppTest) -> None:
    upload(app, "mine.tsv", EXAMPLE.read_bytes())
    people = pd.read_csv(EXAMPLE_METADATA, sep="\t")[["sample"]]
    people["score"] = [1.0, 2.0, 3.5] + [np.nan] * 37
    give(app, people)
    app.switch_page(TRAITS).run()
    assert not app.exception
    assert "No gene was tested: too few samples (n = 3)" in app.warning[0].value
