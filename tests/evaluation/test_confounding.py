"""What is only a donor's sex, age or death, scores without them; what is more than that, stays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mtm_core.errors import CohortError
from mtm_core.evaluation.accuracy import accuracy, accuracy_in_strata
from mtm_core.evaluation.confounding import (
    MINIMUM_STRATUM_DONORS,
    SHUFFLED,
    confounder_design,
    known_confounders,
    shuffle_donors,
    strata,
)

Predict = Callable[[float], xr.Dataset]
DIMS = ("pair", "gene")


def read_off(dataset: xr.Dataset, phenotypes: pd.DataFrame) -> xr.Dataset:
    """Let death, age and sex move all genes, and a method predict that and nothing else."""
    known = phenotypes.loc[dataset["donor"].to_numpy()]
    shared = 2.0 * (known["hardy"] == 0) + (known["sex"] == "male") + 0.05 * known["age"]
    both = np.repeat(shared.to_numpy()[:, None], dataset.sizes["gene"], axis=1).astype(np.float32)
    return dataset.assign(
        predicted=(DIMS, both), observed=(DIMS, dataset["observed"].to_numpy() + both)
    )


def test_design_has_a_column_for_each_class_of_death(phenotypes: pd.DataFrame) -> None:
    donors = phenotypes.index.to_numpy()[[5, 3, 5]]
    design = confounder_design(phenotypes, donors)
    assert (design[:, 0] == 1).all()
    np.testing.assert_array_equal(design[0], design[2])
    assert design[1, 1] == pytest.approx((phenotypes.loc["D03", "age"] - 50) / 15)
    whole = confounder_design(phenotypes, phenotypes.index)
    # Intercept, age, sex, and three classes beside the unknown.
    assert np.linalg.matrix_rank(whole) == 6


def test_a_donor_who_is_not_in_the_table_is_named(
    predict: Predict, phenotypes: pd.DataFrame
) -> None:
    with pytest.raises(CohortError, match=r"lacks 1 of 90 donors, such as 'D07'"):
        accuracy(predict(0.5), phenotypes.drop("D07"))


def test_a_prediction_from_donor_traits_alone_has_no_adjusted_rho(
    observed: xr.Dataset, phenotypes: pd.DataFrame
) -> None:
    tissues = accuracy(read_off(observed, phenotypes), phenotypes).tissues
    assert (tissues["gene_rho_by_fold"] > 0.6).all()
    assert (tissues["gene_adjusted_rho_by_fold"] == 0).all()
    assert (tissues["gene_adjusted_rho_pooled"] == 0).all()


def test_a_signal_beyond_donor_traits_retains_its_adjusted_rho(
    predict: Predict, phenotypes: pd.DataFrame
) -> None:
    signal = predict(0.8)
    scored = accuracy(signal, phenotypes).tissues
    moved = read_off(signal, phenotypes)
    moved["predicted"] = moved["predicted"] + signal["predicted"]
    # The same signal under any shift by sex, age and death.
    again = accuracy(moved, phenotypes).tissues
    assert (scored["gene_adjusted_rho_by_fold"] > 0.4).all()
    for name in ("gene_adjusted_rho_by_fold", "gene_adjusted_rho_pooled"):
        np.testing.assert_allclose(again[name], scored[name], atol=1e-5)
    assert (again["gene_rho_by_fold"] > scored["gene_rho_by_fold"] + 0.1).all()


def test_without_phenotypes_there_is_nothing_to_regress_out(
    predict: Predict, phenotypes: pd.DataFrame
) -> None:
    assert known_confounders(phenotypes) == ("age", "sex", "hardy")
    assert known_confounders(phenotypes.assign(sex="", age=np.nan)) == ("hardy",)
    nothing = phenotypes.assign(sex="", age=np.nan, hardy=np.nan)
    for table in (None, nothing, phenotypes[[]]):
        scored = accuracy(predict(0.5), table)
        assert not any("partial" in name for name in [*scored.genes, *scored.tissues])


def test_shuffling_keeps_profiles_in_their_tissue_and_fold(predict: Predict) -> None:
    predicted = predict(0.9)
    shuffled = shuffle_donors(predicted, seed=1)
    xr.testing.assert_identical(shuffled["predicted"], predicted["predicted"])
    moved = 0
    for tissue in ("Liver", "Lung", "Spleen"):
        for fold in range(3):
            own = ((predicted["tissue"] == tissue) & (predicted["fold"] == fold)).to_numpy()
            before, after = (part["observed"].to_numpy()[own] for part in (predicted, shuffled))
            np.testing.assert_array_equal(
                before[before[:, 0].argsort()], after[after[:, 0].argsort()]
            )
            moved += (before[:, 0] != after[:, 0]).sum()
    assert moved > 0.9 * predicted.sizes["pair"]
    assert (shuffle_donors(predicted, seed=2)["observed"] != shuffled["observed"]).any()


def test_shuffling_donors_brings_every_score_to_0(rng: np.random.Generator) -> None:
    n, n_genes = 300, 40
    donor = np.arange(2 * n) % n
    truth = rng.normal(size=(2 * n, n_genes))
    predicted = xr.Dataset(
        {
            "predicted": (DIMS, truth + 0.3 * rng.normal(size=truth.shape)),
            "observed": (DIMS, truth),
        },
        coords={
            "donor": ("pair", donor),
            "tissue": ("pair", np.repeat(["Liver", "Lung"], n)),
            "fold": ("pair", donor % 5),
            "gene": np.arange(n_genes).astype(str),
        },
    )
    phenotypes = pd.DataFrame({"sex": "male", "hardy": rng.integers(0, 3, n).astype(float)})
    for dataset, least, most in ((predicted, 0.9, 1), (shuffle_donors(predicted), -0.05, 0.05)):
        tissues = accuracy(dataset, phenotypes).tissues
        rho = tissues.filter(regex="^gene_(adjusted_)?rho|^sample_rho")
        assert rho.shape == (2, 5)
        assert ((rho > least) & (rho < most)).all(axis=None)
    assert (tissues["n_predictable"] == 0).all()
    assert (tissues["mse_ratio"] > 1.5).all()


def test_strata_are_by_death_with_enough_donors_in_the_tissue(
    predict: Predict, phenotypes: pd.DataFrame
) -> None:
    predicted = predict(0.5)
    genes = pd.DataFrame(
        {"chromosome": ["X", "1", "chrY", "7", "MT", "Y", "chrX", "2"]},
        index=[f"G{g}" for g in range(8)],
    )
    parts = strata(predicted, phenotypes, genes)
    assert list(parts) == ["ventilator", "other deaths", "without X and Y", SHUFFLED]
    hardy = phenotypes["hardy"].loc[predicted["donor"].to_numpy()].to_numpy()
    tissue = predicted["tissue"].to_numpy()
    for name, chosen in (("ventilator", hardy == 0), ("other deaths", hardy > 0)):
        n = {t: int((chosen & (tissue == t)).sum()) for t in set(tissue)}
        assert min(n.values()) < MINIMUM_STRATUM_DONORS <= max(n.values())
        enough = [t for t in n if n[t] >= MINIMUM_STRATUM_DONORS]
        expected = predicted.isel(pair=chosen & np.isin(tissue, enough))
        xr.testing.assert_identical(parts[name], expected)
    assert parts["without X and Y"]["gene"].to_numpy().tolist() == ["G1", "G3", "G4", "G7"]
    assert "without X and Y" not in strata(predicted, phenotypes, genes[[]])
    assert list(strata(predicted, phenotypes[["sex"]])) == [SHUFFLED]


def test_scores_in_strata(predict: Predict, phenotypes: pd.DataFrame) -> None:
    predicted = read_off(predict(0.0), phenotypes)
    table = accuracy_in_strata(predicted, phenotypes)
    assert table.loc["ventilator", "n_tissues"] == 2
    assert table.loc[SHUFFLED, "n_samples"] == predicted.sizes["pair"]
    own = strata(predicted, phenotypes)["ventilator"]
    assert table.loc["ventilator", "gene_rho_by_fold_mean"] == pytest.approx(
        accuracy(own).summary()["gene_rho_by_fold_mean"]
    )
    # Death on a ventilator cannot be read off inside it.
    whole = accuracy(predicted).summary()["gene_rho_by_fold_mean"]
    assert table.loc["ventilator", "gene_rho_by_fold_mean"] < whole - 0.05
    assert abs(table.loc[SHUFFLED, "gene_rho_by_fold_mean"]) < 0.12
