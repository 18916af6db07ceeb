"""A cohort compared by a design: against statsmodels and slow loops, gene by gene."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import xarray as xr
from scipy import stats

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.errors import SelectionError
from mtm_core.statistics.contrast_distance import squared_distances
from mtm_core.studies.design import make_design
from mtm_core.studies.linear_comparison import compare_by_design
from mtm_core.studies.own_cohort import OwnCohort
from tests.studies.own_cohorts import cohort_of

N, G, HALF_WIDTH = 24, 60, 0.9


@pytest.fixture(scope="module")
def known() -> SampleMetadata:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "sample": [f"P{i}" for i in range(N)],
            "group": ["case", "control"] * 12,
            "age": rng.integers(20, 80, N),
            "person": np.repeat([f"p{i}" for i in range(8)], 3),
        }
    )
    table.loc[5, "group"] = None
    data = io.BytesIO(table.to_csv(index=False).encode())
    return read_metadata(data, "people.csv", samples=table["sample"].tolist())


@pytest.fixture(scope="module")
def cohort() -> OwnCohort:
    rng = np.random.default_rng(1)
    person = np.repeat(rng.normal(size=(8, 2, G)), 3, axis=0)
    log2 = 5 + person + rng.normal(size=(N, 2, G))
    expression = xr.DataArray(
        np.exp2(log2) - 1,
        dims=("sample", "tissue", "gene"),
        coords={
            "sample": [f"P{i}" for i in range(N)],
            "tissue": ["Whole Blood", "Lung"],
            "gene": [f"G{i}" for i in range(G)],
            "symbol": ("gene", [f"S{i}" for i in range(G)]),
        },
    )
    lung = expression.isel(tissue=slice(1, None))
    ends = {
        name: np.exp2(np.log2(1 + lung) + sign * HALF_WIDTH) - 1
        for name, sign in (("lower", -1), ("upper", 1))
    }
    made = cohort_of(expression)
    return replace(
        made,
        interval=xr.Dataset(ends),
        n_donors=pd.Series({"Lung": 300, "Whole Blood": 500}),
    )


def test_effects_are_those_of_least_squares_in_blood_and_tissue(
    cohort: OwnCohort, known: SampleMetadata
) -> None:
    design = make_design(known, "group + age", contrasts=[("group", "case", "control"), "age"])
    table = compare_by_design(cohort, design)
    assert len(table) == 2 * 2 * G
    assert (table["n"] == N - 1).all()
    keep = [i for i in range(N) if i != 5]
    for tissue in cohort.tissues:
        for name, column in (("group: case against control", 1), ("age", 2)):
            rows = table[(table["tissue"] == tissue) & (table["contrast"] == name)]
            for gene in (0, 31):
                y = cohort.log2(tissue)[keep, gene]
                peer = sm.OLS(y, design.matrix.to_numpy()).fit()
                row = rows.iloc[gene]
                assert row["log2_fold_change"] == pytest.approx(peer.params[column], rel=1e-6)
                # Moderated: between the gene's own variance and that of all.
                ratio = row["standard_error"] / peer.bse[column]
                assert ratio == pytest.approx(1, abs=0.5)
                assert row["df"] > peer.df_resid


def test_prediction_error_is_added_to_predicted_tissues_alone(
    cohort: OwnCohort, known: SampleMetadata
) -> None:
    design = make_design(known, "group + age")
    table = compare_by_design(cohort, design)
    blood = table[table["tissue"] == "Whole Blood"]
    pd.testing.assert_series_equal(blood["p"], blood["p_tissue"], check_names=False)
    lung = table[table["tissue"] == "Lung"]
    sd = HALF_WIDTH / stats.norm.ppf(0.95)
    np.testing.assert_allclose(cohort.error("Lung"), sd, rtol=1e-5)
    assert cohort.error("Whole Blood") is None
    x = design.matrix.to_numpy()
    weights = np.linalg.pinv(x)[1]
    values = cohort.log2("Lung")[cohort.samples.get_indexer(design.samples)]
    distance = squared_distances(values, x, [0, 1, 0]).item()
    added = sd**2 * ((weights**2).sum() + distance / 300)
    expected = np.sqrt(lung["standard_error"] ** 2 + added)
    np.testing.assert_allclose(lung["standard_error_tissue"], expected, rtol=1e-5)
    p = 2 * stats.t.sf(np.abs(lung["log2_fold_change"]) / expected, lung["df"])
    np.testing.assert_allclose(lung["p_tissue"], p, rtol=1e-5)
    assert (lung["p_tissue"] > lung["p"]).all()


def test_samples_of_one_person_go_together(cohort: OwnCohort, known: SampleMetadata) -> None:
    alone = compare_by_design(cohort, make_design(known, "group"))
    random = compare_by_design(cohort, make_design(known, "group", block="person"))
    fixed = compare_by_design(cohort, make_design(known, "group", block="person", block_as="fixed"))
    lung = (alone["tissue"] == "Lung").to_numpy()
    assert random.loc[lung, "within_block"].iloc[0] == pytest.approx(0.5, abs=0.1)
    assert (alone["within_block"] == 0).all()
    # A difference within persons is surer once what persons have in common is taken out.
    assert random.loc[lung, "standard_error"].mean() < alone.loc[lung, "standard_error"].mean()
    paired = np.corrcoef(random.loc[lung, "log2_fold_change"], fixed.loc[lung, "log2_fold_change"])
    assert paired[0, 1] > 0.9
    gene = cohort.log2("Lung")[:, 3]
    rows = cohort.samples.get_indexer(make_design(known, "group").samples)
    matrix = make_design(known, "group").matrix.to_numpy()
    person = np.repeat(range(8), 3)[rows]
    mixed = sm.MixedLM(gene[rows], matrix, groups=person).fit(reml=True)
    found = random[lung].iloc[3]["log2_fold_change"]
    assert found == pytest.approx(mixed.params[1], abs=0.1)  # its own correlation, ours of all


def test_several_coefficients_are_tested_together(cohort: OwnCohort, known: SampleMetadata) -> None:
    design = make_design(known, "group * age", contrasts=["group", "group:age"])
    table = compare_by_design(cohort, design)
    assert table["contrast"].unique().tolist() == ["group", "group:age"]
    person = make_design(known, "C(person)")
    together = compare_by_design(cohort.cut(["Lung"]), person)
    assert together["standard_error"].isna().all()
    y = cohort.log2("Lung")[:, 0]
    groups = [y[i : i + 3] for i in range(0, N, 3)]
    # 7 and about 16 + d0 degrees of freedom: F with the moderated variance in its denominator
    f = stats.f_oneway(*groups)
    assert together["statistic"].iloc[0] == pytest.approx(f.statistic, rel=0.6)
    assert (together["p_tissue"] >= together["p"]).all()


def test_without_intervals_nothing_is_said_of_the_tissue(
    cohort: OwnCohort, known: SampleMetadata
) -> None:
    bare = replace(cohort, interval=None)
    table = compare_by_design(bare, make_design(known, "group"))
    is_blood = table["tissue"] == "Whole Blood"
    assert table.loc[~is_blood, "p_tissue"].isna().all()
    assert table.loc[is_blood, "p_tissue"].notna().all()
    other = make_design(known, "group")
    object.__setattr__(other, "matrix", other.matrix.rename(index={"P0": "Q0"}))
    with pytest.raises(SelectionError, match="other samples"):
        compare_by_design(bare, other)
