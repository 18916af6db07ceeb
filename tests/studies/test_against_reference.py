"""Own changes beside a reference cohort's, checked by hand."""

from __future__ import annotations

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import pearsonr, spearmanr

from mtm_core.data.cohort.cohort import tissue_names
from mtm_core.errors import SelectionError
from mtm_core.studies.against_reference import (
    agreement,
    all_agreements,
    beside_reference,
    distributions_of,
    positions,
    stratum_of,
)
from mtm_core.studies.cohort_comparison import compare_groups
from mtm_core.studies.gene_accuracy import with_accuracy
from mtm_core.studies.reference import ReferenceAssociations
from mtm_core.studies.resampled_effects import GroupEffects
from tests.studies.own_cohorts import cohort_of

TISSUES = ["Whole Blood", "Lung"]


@pytest.fixture(scope="module")
def reference(small_cohort: ad.AnnData) -> ReferenceAssociations:
    return ReferenceAssociations.of(small_cohort)


@pytest.fixture(scope="module")
def expression(small_cohort: ad.AnnData) -> xr.DataArray:
    """Twenty donors as a user's own cohort, in two tissues; the second said to be predicted."""
    parts = []
    for tissue in TISSUES:
        rows = small_cohort[small_cohort.obs["tissue"] == tissue]
        parts.append(pd.DataFrame(rows.X, index=rows.obs["donor"], columns=rows.var_names))
    donors = parts[0].index.intersection(parts[1].index)[:20]
    return xr.DataArray(
        np.stack([part.loc[donors].to_numpy() for part in parts], axis=1),
        dims=("sample", "tissue", "gene"),
        coords={
            "sample": donors.astype(str).to_numpy(),
            "tissue": TISSUES,
            "gene": small_cohort.var_names.to_numpy().astype(str),
            "origin": ("tissue", ["measured", "predicted"]),
            "symbol": ("gene", small_cohort.var["symbol"].to_numpy().astype(str)),
        },
        attrs={"unit": "TPM"},
    )


@pytest.fixture(scope="module")
def groups(expression: xr.DataArray) -> pd.Series:
    labels = np.random.default_rng(0).permutation(["case"] * 10 + ["control"] * 10)
    return pd.Series(labels, index=expression["sample"].to_numpy())


@pytest.fixture(scope="module")
def own(expression: xr.DataArray, groups: pd.Series) -> pd.DataFrame:
    """A comparison in which the first half of the genes of Lung is predictable."""
    genes = expression["gene"].to_numpy().tolist()
    held_out = pd.DataFrame(
        {
            "tissue": "Lung",
            "gene_id": genes,
            "rho_by_fold": 0.3,
            "rho_pooled": [0.4 if i < len(genes) / 2 else 0.1 for i in range(len(genes))],
        }
    ).set_index(["tissue", "gene_id"])
    table = compare_groups(cohort_of(expression), groups, case="case", control="control")
    return with_accuracy(table, held_out)


@pytest.mark.parametrize("adjusted_for", ["", "age"])
def test_each_gene_meets_its_own_value_of_the_reference(
    own: pd.DataFrame, reference: ReferenceAssociations, adjusted_for: str
) -> None:
    mixed = own.sample(frac=1, random_state=0)
    points = beside_reference(
        mixed,
        reference,
        "sex",
        adjusted_for=adjusted_for,
        own_column="log2_ratio",
        reference_column="effect",
    )
    assert set(points["tissue"]) == set(TISSUES)
    for _, row in points.iloc[::5].iterrows():
        other = reference.select("sex", row["tissue"], adjusted_for).loc[row["gene_id"]]
        assert row["reference"] == pytest.approx(
            other["slope" if adjusted_for else "log2_fold_change"]
        )
        assert row["n_reference"] == other["n"]
        mine = own[(own["tissue"] == row["tissue"]) & (own["gene_id"] == row["gene_id"])]
        assert row["own"] == mine["log2_ratio"].item()
        assert row["predictable"] == mine["predictable"].item()


def test_untested_genes_and_unknown_tissues_are_left_out(
    own: pd.DataFrame, reference: ReferenceAssociations
) -> None:
    columns = {"own_column": "log2_ratio", "reference_column": "effect"}
    part = own.copy()
    part.loc[part["gene"] == part["gene"][0], "outcome"] = "constant"
    part["tissue"] = part["tissue"].replace("Lung", "Moon")
    points = beside_reference(part, reference, "sex", **columns)
    assert set(points["tissue"]) == {"Whole Blood"}
    assert part["gene"][0] not in set(points["gene"])
    table = reference.table.copy()
    constant = (table["gene_id"] == part["gene_id"][1]) & (table["trait"] == "sex")
    table.loc[constant, "outcome"] = "constant"
    cut = beside_reference(part, replace(reference, rows=table), "sex", **columns)
    assert set(points["gene_id"]) - set(cut["gene_id"]) == {part["gene_id"][1]}
    none = beside_reference(part[part["tissue"] == "Moon"], reference, "sex", **columns)
    assert none.empty
    assert list(none.columns) == list(points.columns)
    with pytest.raises(SelectionError, match="unknown trait: 'bmi'"):
        beside_reference(own, reference, "bmi", **columns)


def test_agreement_is_the_correlation_in_each_tissue(
    own: pd.DataFrame,
    reference: ReferenceAssociations,
    expression: xr.DataArray,
    groups: pd.Series,
) -> None:
    effects = GroupEffects(cohort_of(expression), groups, "case", "control")
    columns = {"own_column": "log2_ratio", "reference_column": "effect"}
    points = beside_reference(own, reference, "sex", **columns)
    table = agreement(points, effects).set_index("tissue")
    lung = points[points["tissue"] == "Lung"]
    row = table.loc["Lung"]
    assert row["origin"] == "predicted"
    assert row["n"] == len(lung)
    assert row["pearson"] == pytest.approx(pearsonr(lung["own"], lung["reference"]).statistic)
    assert row["spearman"] == pytest.approx(spearmanr(lung["own"], lung["reference"]).statistic)
    same = np.sign(lung["own"]) == np.sign(lung["reference"])
    assert row["same_sign"] == pytest.approx(same.mean())
    assert row["chance_low"] < 0 < row["chance_high"]
    assert row["low"] < row["pearson"] < row["high"]
    mixed = points.sample(frac=1, random_state=1)
    again = agreement(mixed, effects).set_index("tissue").loc[table.index]
    pd.testing.assert_frame_equal(again, table)

    everything = all_agreements(own, effects, reference, ["sex", "age"], **columns)
    found = everything[
        (everything["reference"] == "sex")
        & (everything["adjusted_for"] == "")
        & (everything["genes"] == "all")
    ].set_index("tissue")
    pd.testing.assert_frame_equal(found[table.columns], table)
    lung = everything[everything["tissue"] == "Lung"]
    assert set(lung["genes"]) == {"all", "predictable"}
    assert lung.loc[lung["genes"] == "predictable", "n"].max() <= expression.sizes["gene"] / 2
    blood = everything[everything["tissue"] == "Whole Blood"]
    assert set(blood["genes"]) == {"all"}
    assert set(everything["adjusted_for"]) >= {"", "age", "sex"}


def test_too_few_genes_have_no_correlation(
    own: pd.DataFrame,
    reference: ReferenceAssociations,
    expression: xr.DataArray,
    groups: pd.Series,
) -> None:
    points = beside_reference(
        own, reference, "sex", own_column="log2_ratio", reference_column="effect"
    )
    few = points[points["tissue"] == "Lung"].iloc[:3]
    row = agreement(few, GroupEffects(cohort_of(expression), groups, "case", "control")).iloc[0]
    assert row["outcome"] == "too few samples"
    assert row[["pearson", "low", "high", "chance_low", "chance_high", "p"]].isna().all()


def test_strata_are_named_as_the_reference_names_them(reference: ReferenceAssociations) -> None:
    phenotypes = pd.DataFrame(
        {"age": [24.5, 60, 69.9, np.nan], "sex": ["female", "male", np.nan, np.nan]},
        index=list("abcd"),
    )
    strata = stratum_of(phenotypes)
    assert strata["sex"].tolist() == ["female", "male", "all", "all"]
    assert strata["age_band"].tolist() == ["20-29", "60-69", "60-69", "all"]
    bands = set(reference.distributions["age_band"].astype(str))
    assert {"60-69", "all"} <= bands


def test_positions_are_among_all_donors_and_among_those_alike(
    expression: xr.DataArray, reference: ReferenceAssociations, small_cohort: ad.AnnData
) -> None:
    gene = str(expression["gene"].to_numpy()[0])
    quantiles = pd.DataFrame(
        {
            tissue: distributions_of(reference, gene, tissue).loc[("all", "all")]
            for tissue in TISSUES
        }
    ).T.drop(columns="n")
    donors = small_cohort.uns["donors"].reindex(expression["sample"].to_numpy())
    phenotypes = donors[["age", "sex"]].copy()
    phenotypes.iloc[0] = np.nan
    phenotypes.iloc[1:6, 0] = np.nan  # of these only the sex is known
    table = positions(expression, gene, quantiles, reference=reference, phenotypes=phenotypes)
    assert len(table) == 2 * expression.sizes["sample"]
    lung = table[table["tissue"] == "Lung"].set_index("sample")
    values = np.log2(1 + expression.sel(tissue="Lung", gene=gene).to_pandas())
    np.testing.assert_allclose(lung["log2_expression"], values)
    whole = small_cohort[small_cohort.obs["tissue"] == "Lung"]
    measured = np.log2(1 + whole[:, gene].X.ravel())
    inner = lung["percentile"].between(5.1, 94.9)
    share = np.array([100 * np.mean(measured < value) for value in values])
    assert inner.sum() > 10
    np.testing.assert_allclose(lung["percentile"][inner], share[inner.to_numpy()], atol=12)
    assert np.corrcoef(lung["percentile"], share)[0, 1] > 0.98
    assert lung["donors_alike"].iloc[0] == ""
    assert np.isnan(lung["percentile_alike"].iloc[0])
    # The reference has fewer than ten donors of any sex and age band together.
    assert set(lung["donors_alike"].iloc[6:]) == {""}
    alike = lung.iloc[1:6]
    assert alike["donors_alike"].tolist() == donors["sex"].iloc[1:6].tolist()
    sample = alike.index[0]
    own = distributions_of(reference, gene, "Lung").loc[(donors.loc[sample, "sex"], "all")]
    own = own.drop("n")
    expected = 100 * np.interp(values[sample], own.to_numpy(dtype=float), own.index.to_numpy(float))
    assert alike["percentile_alike"].iloc[0] == pytest.approx(expected, abs=1e-3)
    plain = positions(expression, gene, quantiles)
    assert "donors_alike" not in plain
    assert plain["percentile"].equals(table["percentile"])


def test_distributions_of_every_tissue_are_there(
    reference: ReferenceAssociations, small_cohort: ad.AnnData
) -> None:
    for tissue in tissue_names(small_cohort):
        rows = distributions_of(reference, small_cohort.var_names[3], tissue)
        assert rows.index.is_unique
        levels = rows.drop(columns="n").to_numpy(dtype=float)
        assert (np.diff(levels, axis=1) >= 0).all()
