"""Changes between an external cohort's groups against a reference: the same change agrees."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import pearsonr

from mtm_core.errors import SelectionError
from mtm_core.studies.external import study_external, summarise_external
from mtm_core.studies.reference import ReferenceAssociations
from tests.studies.conftest import DISEASED


@pytest.fixture(scope="module")
def reference(diseased_cohort: ad.AnnData) -> ReferenceAssociations:
    return ReferenceAssociations.of(diseased_cohort)


@pytest.fixture
def groups(rng: np.random.Generator) -> pd.Series:
    names = [f"S{i}" for i in range(60)]
    return pd.Series(rng.permutation(["ill"] * 25 + ["well"] * 30 + ["other"] * 5), names)


@pytest.fixture
def prediction(
    rng: np.random.Generator, diseased_cohort: ad.AnnData, groups: pd.Series
) -> xr.Dataset:
    """60 samples, as a model would predict them, in which the ill have the planted disease."""
    truth, tissues = (
        diseased_cohort.uns["truth"],
        list(diseased_cohort.obs["tissue"].cat.categories),
    )
    log2 = truth["mean"][None] + 0.3 * rng.normal(size=(60, len(tissues), 30))
    log2 += (groups == "ill").to_numpy()[:, None, None] * truth["effects"]["case"]
    found = np.ones(30, dtype=bool)
    found[7] = False
    return xr.Dataset(
        {
            "expression": (("sample", "tissue", "gene"), np.maximum(np.exp2(log2) - 1, 0)),
            "found": ("gene", found),
        },
        coords={
            "sample": groups.index.to_numpy().astype(str),
            "tissue": tissues,
            "gene": diseased_cohort.var_names.to_numpy().astype(str),
        },
    )


CHOICE = {"case": "ill", "control": "well", "trait": "MHT2D"}


def test_the_same_disease_agrees_where_it_is(
    prediction: xr.Dataset, groups: pd.Series, reference: ReferenceAssociations
) -> None:
    tissues, genes = study_external(prediction, groups, reference, **CHOICE)
    table = tissues.set_index("tissue")
    assert (table["n_case"] == 25).all()
    assert (table["n_control"] == 30).all()
    assert (table["n"] == 29).all()  # the gene that the samples lack is left out
    assert (table.loc[["Whole Blood", DISEASED], "rho"] > 0.9).all()
    assert (table.loc[["Whole Blood", DISEASED], "shuffle_p"] <= 0.005).all()
    assert (table["rho_low"] < table["rho"]).all()
    assert (table["rho"] < table["rho_high"]).all()
    assert (table.loc[["Whole Blood", DISEASED], "chance_high"] < 0.9).all()
    assert (table.drop(["Whole Blood", DISEASED])["shuffle_p"] > 0.01).all()
    assert table.loc[DISEASED, "n_reference_degs"] >= 8
    own = genes[genes["tissue"] == DISEASED]
    changed = own[own["reference_fdr"] < 1e-3]
    assert (np.sign(changed["log2_ratio"]) == np.sign(changed["reference_effect"])).all()
    same = np.sign(own["log2_ratio"]) == np.sign(own["reference_effect"])
    assert table.loc[DISEASED, "sign_consistency"] == pytest.approx(same.mean())
    rho = pearsonr(own["log2_ratio"], own["reference_effect"].astype(float)).statistic
    assert table.loc[DISEASED, "rho"] == pytest.approx(rho)
    x = prediction["expression"].sel(tissue=DISEASED, gene=own["gene_id"].iloc[3]).to_numpy()
    means = [x[(groups == name).to_numpy()].mean() for name in ("ill", "well")]
    expected = np.log2((means[0] + 1) / (means[1] + 1))
    assert own["log2_ratio"].iloc[3] == pytest.approx(expected)
    summary = summarise_external(tissues, minimum_degs=8).set_index("tissues")
    assert summary.loc["related", "n_tissues"] == 2
    assert summary.loc["related", "median_rho"] > 0.9 > summary.loc["other", "median_rho"]


def test_shuffled_groups_agree_with_nothing(
    prediction: xr.Dataset, groups: pd.Series, reference: ReferenceAssociations
) -> None:
    tables = []
    for seed in range(10):
        shuffled = groups.sample(frac=1, random_state=seed).set_axis(groups.index)
        tables.append(study_external(prediction, shuffled, reference, **CHOICE)[0])
    found = pd.concat(tables)
    assert (found["shuffle_p"] <= 0.05).mean() < 0.2
    assert found["n_degs"].sum() < 0.05 * found["n"].sum()


def test_unknown_groups_and_traits_are_named(
    prediction: xr.Dataset, groups: pd.Series, reference: ReferenceAssociations
) -> None:
    for change, message in (
        ({"case": "sick"}, r"unknown group: 'sick'.*There are 3"),
        ({"control": "ill"}, "case and control are both 'ill'"),
        ({"trait": "MHT1D"}, r"unknown trait: 'MHT1D' \(did you mean 'MHT2D'"),
        ({"adjusted_for": "bmi"}, "unknown adjustment of MHT2D: 'bmi'"),
    ):
        with pytest.raises(SelectionError, match=message):
            study_external(prediction, groups, reference, **(CHOICE | change))


def test_groups_of_too_few_samples_are_named(
    prediction: xr.Dataset, groups: pd.Series, reference: ReferenceAssociations
) -> None:
    groups[groups == "other"] = np.nan
    groups[groups.index[groups == "ill"][2:]] = np.nan
    tissues, genes = study_external(prediction, groups, reference, **CHOICE)
    assert (tissues["outcome"] == "too few samples").all()
    assert (tissues["n"] == 0).all()
    assert tissues[["rho", "rho_low", "chance_high", "shuffle_p"]].isna().all(axis=None)
    assert genes.empty
    assert (summarise_external(tissues)["n_tissues"] == 0).all()
