"""Comparisons in tissues that only one sex has: against the same cohort cut to those people."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.statistics.outcome import (
    CONSTANT_TRAIT,
    FROM_COVARIATES,
    TESTED,
    TOO_FEW,
    TRAIT_FROM_COVARIATES,
)
from mtm_core.studies.activity import TissueActivity, compare_activity
from mtm_core.studies.cohort_comparison import compare_groups, correlate_trait
from mtm_core.studies.design import make_design
from mtm_core.studies.gene_models import model_genes
from mtm_core.studies.linear_comparison import compare_by_design
from mtm_core.studies.own_cohort import OwnCohort
from mtm_core.studies.resampled_effects import GroupEffects, TraitEffects
from mtm_core.studies.sample_sex import known_sex
from tests.studies.own_cohorts import cohort_of

N, G = 30, 40
SAMPLES = [f"P{i}" for i in range(N)]
SEX = pd.Series((["female", "male", "male"] * 10), SAMPLES, dtype=object)
SEX["P0"] = np.nan
MEN = [name for name in SAMPLES if SEX[name] != "female"]
"""Who is not known to be a woman."""
WITHIN = ["Whole Blood", "Lung", "Prostate", "Ovary"]


@pytest.fixture(scope="module")
def cohort() -> OwnCohort:
    rng = np.random.default_rng(3)
    expression = xr.DataArray(
        np.exp2(rng.normal(5, 1, (N, len(WITHIN), G))) - 1,
        dims=("sample", "tissue", "gene"),
        coords={
            "sample": SAMPLES,
            "tissue": WITHIN,
            "gene": [f"G{i}" for i in range(G)],
            "symbol": ("gene", [f"S{i}" for i in range(G)]),
        },
    )
    ends = {name: expression[:, 1:] * factor for name, factor in (("lower", 0.5), ("upper", 2))}
    made = replace(cohort_of(expression), interval=xr.Dataset(ends))
    return replace(made, n_donors=pd.Series(200.0, WITHIN), sex=SEX)


def only(cohort: OwnCohort, samples: list[str]) -> OwnCohort:
    """The cohort of some of its people, nobody left out."""
    cut = {"sample": samples}
    measured = replace(cohort.measured, log2=cohort.measured.log2.loc[samples])
    assert cohort.interval is not None
    return replace(
        cohort,
        measured=measured,
        predicted=cohort.predicted.sel(cut),
        interval=cohort.interval.sel(cut),
        sex=None,
    )


def people(samples: list[str]) -> SampleMetadata:
    rng = np.random.default_rng(4)
    table = pd.DataFrame(
        {
            "sample": SAMPLES,
            "group": ["case", "control", "control", "case", "case"] * 6,
            "age": rng.integers(20, 80, N),
            "person": np.repeat([f"p{i}" for i in range(10)], 3),
            "gender": SEX.fillna("male").to_numpy(),
            "pregnant": ["yes" if sex == "female" else "no" for sex in SEX],
        }
    )
    chosen = table[table["sample"].isin(samples)]
    data = io.BytesIO(chosen.to_csv(index=False).encode())
    return read_metadata(data, "people.csv", samples=samples)


def of(table: pd.DataFrame, tissue: str) -> pd.DataFrame:
    return table[table["tissue"] == tissue].reset_index(drop=True)


def test_groups_and_traits_are_those_of_the_people_who_have_the_tissue(cohort: OwnCohort) -> None:
    known, men = people(SAMPLES), only(cohort, MEN)
    groups, age = known.groups("group"), known.numbers("age")
    for whole, cut in (
        (
            compare_groups(cohort, groups, case="case", control="control"),
            compare_groups(men, groups, case="case", control="control"),
        ),
        (correlate_trait(cohort, age), correlate_trait(men, age)),
    ):
        pd.testing.assert_frame_equal(of(whole, "Prostate"), of(cut, "Prostate"))
        everyone = of(whole, "Lung")
        n = everyone["n"] if "n" in everyone else everyone["n_case"] + everyone["n_control"]
        assert (n == N).all()
    assert cohort.gene("G3")["Prostate"].notna().sum() == len(MEN)
    assert cohort.gene("G3")["Ovary"].notna().sum() == N - len(MEN) + 1


def test_draws_are_of_the_same_people(cohort: OwnCohort) -> None:
    known, men = people(SAMPLES), only(cohort, MEN)
    groups, age = known.groups("group"), known.numbers("age")
    pairs = (
        (
            GroupEffects(cohort, groups, "case", "control"),
            GroupEffects(men, groups, "case", "control"),
        ),
        (TraitEffects(cohort, age), TraitEffects(men, age)),
    )
    for whole, cut in pairs:
        for ours, theirs in zip(whole.draw("Prostate"), cut.draw("Prostate"), strict=True):
            np.testing.assert_allclose(ours, theirs)


def test_a_design_is_that_of_the_people_who_have_the_tissue(cohort: OwnCohort) -> None:
    """Sex is constant among them, and left out of the model there."""
    contrasts = [("group", "case", "control"), "age", "gender"]
    whole = compare_by_design(
        cohort,
        make_design(people(SAMPLES), "group + age + gender", contrasts=contrasts, block="person"),
    )
    cut = compare_by_design(
        only(cohort, MEN),
        make_design(people(MEN), "group + age", contrasts=contrasts[:2], block="person"),
    )
    ours = of(whole, "Prostate")
    tested = ours[ours["outcome"] == TESTED].reset_index(drop=True)
    pd.testing.assert_frame_equal(tested, of(cut, "Prostate"))
    assert ours.loc[ours["contrast"] == "gender", "outcome"].unique().tolist() == [CONSTANT_TRAIT]
    assert ours.loc[ours["contrast"] == "gender", "p"].isna().all()
    assert (of(whole, "Lung")["outcome"] == TESTED).all()


@pytest.mark.parametrize("block", ["", "person"])
def test_a_single_gene_is_fitted_in_the_people_who_have_the_tissue(
    cohort: OwnCohort, block: str
) -> None:
    design = make_design(people(SAMPLES), "group + age + gender", block=block)
    alone = make_design(people(MEN), "group + age", block=block)
    ours = of(model_genes(cohort, design, ["G3"]), "Prostate").set_index("coefficient")
    cut = of(model_genes(only(cohort, MEN), alone, ["G3"]), "Prostate").set_index("coefficient")
    tested = ["group[case]", "age"]
    pd.testing.assert_frame_equal(
        ours.loc[tested], cut.loc[tested], check_dtype=False, check_names=False
    )
    assert (ours["n"] == len(MEN)).all()
    assert ours["p"].notna().tolist() == [True, True, True, False]
    assert ours.loc["gender[female]", "outcome"] == CONSTANT_TRAIT
    # Men are the reference: among women the intercept cannot be separated from sex.
    known = make_design(people(SAMPLES[1:]), "group + age + gender", block=block)
    women = of(model_genes(cohort, known, ["G3"]), "Ovary").set_index("coefficient")
    assert women["p"].notna().tolist() == [False, True, True, False]
    others = {"intercept": FROM_COVARIATES, "gender[female]": CONSTANT_TRAIT}
    assert women.loc[list(others), "outcome"].to_dict() == others


@pytest.mark.parametrize("block", ["", "person"])
def test_a_tissue_that_nobody_has_is_not_tested(cohort: OwnCohort, block: str) -> None:
    """Not with blocks either, of which none has a sample there."""
    women = replace(cohort, sex=SEX.map(lambda _: "female"))
    design = make_design(people(SAMPLES), "group + age", contrasts=["group"], block=block)
    for found in (compare_by_design(women, design), model_genes(women, design, ["G3"])):
        prostate = of(found, "Prostate")
        assert (prostate["outcome"] == TOO_FEW).all()
        assert prostate["p"].isna().all()
        assert (prostate["n"] == 0).all()
        assert (of(found, "Lung")["outcome"] == TESTED).all()


def test_a_contrast_that_needs_both_sexes_is_not_tested(cohort: OwnCohort) -> None:
    lone = people(SAMPLES)
    design = make_design(lone, "pregnant + age", contrasts=["pregnant", "age"])
    found = compare_by_design(cohort.cut(["Prostate"]), design)
    outcomes = found.groupby("contrast")["outcome"].agg(lambda part: part.unique().tolist())
    assert outcomes.to_dict() == {"pregnant": [CONSTANT_TRAIT], "age": [TESTED]}
    groups = lone.groups("pregnant")
    table = compare_groups(cohort.cut(["Prostate"]), groups, case="yes", control="no")
    assert (table["outcome"] == TOO_FEW).all()
    assert table["n_case"].unique() == [0]
    assert table["log2_ratio"].isna().all()


def test_a_group_that_other_columns_tell_among_one_sex_is_not_tested(cohort: OwnCohort) -> None:
    table = pd.DataFrame({"sample": SAMPLES, "gender": SEX.fillna("male").to_numpy()})
    table["a"] = np.tile(["x", "y"], N // 2)
    table["b"] = np.where(table["gender"] == "male", table["a"], np.roll(table["a"], 1))
    read = read_metadata(
        io.BytesIO(table.to_csv(index=False).encode()), "people.csv", samples=SAMPLES
    )
    design = make_design(read, "a + b", contrasts=["b"])
    found = compare_by_design(cohort, design)
    assert (of(found, "Prostate")["outcome"] == TRAIT_FROM_COVARIATES).all()
    assert (of(found, "Lung")["outcome"] == TESTED).all()


def test_activity_is_compared_among_the_people_who_have_the_tissue() -> None:
    scores = pd.DataFrame(
        np.random.default_rng(5).normal(size=(N, 3)), pd.Index(SAMPLES, name="sample")
    )
    groups = people(SAMPLES).groups("group")
    empty = pd.DataFrame()
    pair = {"case": "case", "control": "control"}
    whole = TissueActivity("Prostate", "predicted", scores, empty, 9)
    men = TissueActivity("Prostate", "predicted", scores.loc[MEN], empty, 9)
    pd.testing.assert_frame_equal(
        compare_activity(whole, groups, **pair, sex=SEX), compare_activity(men, groups, **pair)
    )
    measured = replace(whole, origin="measured")
    assert (compare_activity(measured, groups, **pair, sex=SEX)["n_case"] == 18).all()


def test_genes_say_the_sex_that_the_metadata_do_not() -> None:
    log2 = pd.DataFrame(
        {
            "ENSG00000229807": [8.0, 0.0, 0.0, 8.0],
            "ENSG00000129824": [0.0, 8.0, 8.0, 8.0],
            "ENSG00000067048": [0.0, 8.0, 8.0, 8.0],
        },
        list("abcd"),
    )
    stated = pd.Series(["female"], ["b"], dtype=object)
    assert known_sex(log2, stated).fillna("?").tolist() == ["female", "female", "male", "?"]
    assert known_sex(log2.iloc[:, :0].assign(G1=1.0)).isna().all()
    # of a session whose metadata name no sex, only what is stated is asked for
    alone = pd.DataFrame(index=log2.index)
    assert known_sex(alone, stated.mask(stated.notna())).isna().all()
