"""Single genes by a design: against formulas, closed forms and the model of all genes."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from statsmodels.api import MixedLM

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.errors import SelectionError
from mtm_core.studies.design import make_design
from mtm_core.studies.gene_models import LEAST_SQUARES, MIXED, model_genes
from mtm_core.studies.linear_comparison import compare_by_design
from mtm_core.studies.own_cohort import OwnCohort
from tests.studies.own_cohorts import cohort_of

N, N_PEOPLE = 24, 12


@pytest.fixture(scope="module")
def known() -> SampleMetadata:
    """Twelve people, each before and after; six are cases."""
    table = pd.DataFrame(
        {
            "sample": [f"P{i}" for i in range(N)],
            "group": np.repeat(["case", "control"], N // 2),
            "time": ["after", "before"] * N_PEOPLE,
            "person": np.repeat([f"p{i}" for i in range(N_PEOPLE)], 2),
        }
    )
    data = io.BytesIO(table.to_csv(index=False).encode())
    return read_metadata(data, "people.csv", samples=table["sample"].tolist())


@pytest.fixture(scope="module")
def cohort() -> OwnCohort:
    rng = np.random.default_rng(3)
    person = np.repeat(rng.normal(size=(N_PEOPLE, 2, 3)), 2, axis=0)
    log2 = 6 + 1.5 * person + 0.5 * rng.normal(size=(N, 2, 3))
    log2[:, 1, 2] = 4.0
    return cohort_of(
        xr.DataArray(
            np.exp2(log2) - 1,
            dims=("sample", "tissue", "gene"),
            coords={
                "sample": [f"P{i}" for i in range(N)],
                "tissue": ["Whole Blood", "Lung"],
                "gene": ["G0", "G1", "G2"],
                "symbol": ("gene", ["A", "B", "B"]),
            },
        )
    )


def test_two_groups_are_the_t_test_of_student(cohort: OwnCohort, known: SampleMetadata) -> None:
    table = model_genes(cohort, make_design(known, "group"), ["A"])
    assert table["tissue"].tolist() == ["Whole Blood"] * 2 + ["Lung"] * 2
    assert table["origin"].tolist() == ["measured"] * 2 + ["predicted"] * 2
    for tissue, rows in table.groupby("tissue"):
        values = cohort.gene("G0")[tissue].to_numpy()
        cases, controls = values[: N // 2], values[N // 2 :]
        row = rows.set_index("coefficient").loc["group[case]"]
        test = stats.ttest_ind(cases, controls)
        assert row["estimate"] == pytest.approx(cases.mean() - controls.mean())
        assert row["statistic"] == pytest.approx(test.statistic)
        assert row["p"] == pytest.approx(test.pvalue)
        assert (row["n"], row["df"], row["model"]) == (N, N - 2, LEAST_SQUARES)
        low, high = test.confidence_interval(0.95)
        assert (row["lower"], row["upper"]) == pytest.approx((low, high))


def test_a_balanced_random_block_has_the_correlation_of_the_analysis_of_variance(
    cohort: OwnCohort, known: SampleMetadata
) -> None:
    asked = [("time", "after", "before")]
    design = make_design(known, "time", contrasts=asked, block="person")
    table = model_genes(cohort, design, ["G0"])
    values = cohort.gene("G0")["Lung"].to_numpy().reshape(N_PEOPLE, 2)
    row = table[table["tissue"] == "Lung"].set_index("coefficient").loc["time[after]"]
    paired = stats.ttest_rel(values[:, 0], values[:, 1])
    assert row["model"] == MIXED
    assert row["statistic"] == pytest.approx(paired.statistic, rel=1e-4)
    assert row["p"] == pytest.approx(2 * stats.norm.sf(abs(paired.statistic)), rel=1e-3)
    # Mean squares between people and within: their expectations give the two variances.
    centred = values - values.mean(axis=0)
    between = 2 * centred.mean(axis=1).var() * N_PEOPLE / (N_PEOPLE - 1)
    within = np.diff(centred, axis=1).var() * N_PEOPLE / (N_PEOPLE - 1) / 2
    correlation = (between - within) / (between + within)
    assert row["within_block"] == pytest.approx(correlation, rel=1e-3)
    assert 0.7 < correlation < 1


def test_a_gene_that_does_not_vary_between_blocks_has_the_errors_of_least_squares(
    cohort: OwnCohort, known: SampleMetadata
) -> None:
    """The correlation is 0, at the end of its range, where general optimisers fail."""
    design = make_design(known, "group + time", block="person")
    alone = make_design(known, "group + time")
    rng = np.random.default_rng(8)
    for _ in range(20):
        values = rng.normal(size=(N_PEOPLE, 2))
        values -= 0.9 * values.mean(axis=1, keepdims=True)
        log2 = cohort.measured.log2.assign(G0=values.ravel() + 5)
        own = replace(
            cohort, measured=replace(cohort.measured, log2=log2), tissues=("Whole Blood",)
        )
        mixed, plain = model_genes(own, design, ["G0"]), model_genes(own, alone, ["G0"])
        assert mixed["outcome"].unique().tolist() == ["tested"]
        assert mixed["within_block"].eq(0).all()
        for column in ("estimate", "standard_error", "statistic"):
            np.testing.assert_allclose(mixed[column], plain[column])
        np.testing.assert_allclose(mixed["p"], 2 * stats.norm.sf(np.abs(plain["statistic"])))


def test_an_unbalanced_random_block_has_the_estimates_of_mixedlm(
    cohort: OwnCohort, known: SampleMetadata
) -> None:
    few = known.of_samples([name for name in known.samples if name not in ("P3", "P8", "P9")])
    design = make_design(few, "group + time", block="person")
    found = model_genes(cohort, design, ["G0"])
    rows = found[found["tissue"] == "Lung"]
    values = cohort.gene("G0")["Lung"].loc[design.samples].to_numpy()
    fit = MixedLM(values, design.matrix.to_numpy(), groups=design.blocks).fit(reml=True)
    np.testing.assert_allclose(rows["estimate"], fit.fe_params, rtol=1e-4)
    between = float(np.asarray(fit.cov_re)[0, 0])
    assert rows["within_block"].iloc[0] == pytest.approx(between / (between + fit.scale), rel=1e-3)
    np.testing.assert_allclose(rows["standard_error"], fit.bse_fe, rtol=0.01)


def test_estimates_are_those_of_the_models_of_all_genes(
    cohort: OwnCohort, known: SampleMetadata
) -> None:
    design = make_design(known, "group * time", contrasts=["group:time"])
    alone = model_genes(cohort, design, ["G0"])
    every = compare_by_design(cohort, design)
    for tissue in cohort.tissues:
        own = alone[(alone["tissue"] == tissue) & alone["coefficient"].str.contains(":")]
        other = every[(every["tissue"] == tissue) & (every["gene_id"] == "G0")]
        assert own["estimate"].item() == pytest.approx(other["log2_fold_change"].item(), rel=1e-6)


def test_a_symbol_names_all_its_genes_and_a_constant_gene_has_no_p(
    cohort: OwnCohort, known: SampleMetadata
) -> None:
    table = model_genes(cohort, make_design(known, "group"), ["B", "G1"])
    assert table.groupby("gene_id", sort=False).size().to_dict() == {"G1": 4, "G2": 4}
    flat = table[(table["gene_id"] == "G2") & (table["tissue"] == "Lung")]
    assert flat["outcome"].unique().tolist() == ["constant"]
    assert flat["p"].isna().all()


def test_an_unknown_gene_is_named(cohort: OwnCohort, known: SampleMetadata) -> None:
    with pytest.raises(SelectionError, match="'NOSUCH' is in none of these tissues"):
        model_genes(cohort, make_design(known, "group"), ["A", "NOSUCH"])
