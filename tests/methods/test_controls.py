from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.config import ScalingConfig
from mtm_core.data.cohort.cohort import tissue_codes, tissue_names
from mtm_core.data.cohort.scaling import TissueScaler
from mtm_core.errors import SelectionError
from mtm_core.methods.controls import ControlKind, ControlMethod, CovariatesAloneMethod

KINDS: tuple[ControlKind, ...] = ("training-mean", "source-as-proxy")


@pytest.fixture
def donors(small_cohort: ad.AnnData) -> list[str]:
    return sorted(set(small_cohort.obs["donor"]))[:40]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("scale", ["log2", "linear"])
def test_only_the_scaler_is_fitted_and_on_the_given_donors(
    small_cohort: ad.AnnData, donors: list[str], name: ControlKind, scale: str
) -> None:
    scaling = ScalingConfig(scale=scale)  # type: ignore[arg-type]
    fitted = ControlMethod(name, scaling).fit(small_cohort, donors)
    given = small_cohort.obs["donor"].isin(donors).to_numpy()
    expected = TissueScaler.fit(
        small_cohort.X[given], tissue_codes(small_cohort)[given], 5, scaling
    )
    np.testing.assert_array_equal(fitted.scaler.mean, expected.mean)
    np.testing.assert_array_equal(fitted.scaler.sd, expected.sd)
    assert fitted.tissues == tissue_names(small_cohort)
    assert fitted.name == name


def test_training_mean_is_0_for_everyone(
    small_cohort: ad.AnnData, donors: list[str], rng: np.random.Generator
) -> None:
    fitted = ControlMethod("training-mean").fit(small_cohort, donors)
    z = rng.normal(size=(3, 40)).astype(np.float32)
    prediction = fitted.predict({"Whole Blood": z}, "Lung")
    np.testing.assert_array_equal(prediction.mean, np.zeros((3, 40), dtype=np.float32))
    assert prediction.sd is None


def test_source_as_proxy_gives_the_mean_of_the_sources(
    small_cohort: ad.AnnData, donors: list[str], rng: np.random.Generator
) -> None:
    fitted = ControlMethod("source-as-proxy").fit(small_cohort, donors)
    blood, liver = rng.normal(size=(2, 3, 40)).astype(np.float32)
    np.testing.assert_array_equal(fitted.predict({"Whole Blood": blood}, "Lung").mean, blood)
    both = fitted.predict({"Whole Blood": blood, "Liver": liver}, "Lung").mean
    np.testing.assert_allclose(both, (blood + liver) / 2, rtol=1e-6)
    assert both.dtype == np.float32


@pytest.mark.parametrize("name", KINDS)
def test_unknown_tissue_is_named_with_the_nearest(
    small_cohort: ad.AnnData, donors: list[str], name: ControlKind
) -> None:
    fitted = ControlMethod(name).fit(small_cohort, donors)
    with pytest.raises(SelectionError, match=r"'Lungs' \(did you mean 'Lung'\?\)"):
        fitted.predict({"Whole Blood": np.zeros((2, 40), dtype=np.float32)}, "Lungs")


@pytest.fixture
def sex_in_lung(small_cohort: ad.AnnData) -> ad.AnnData:
    """The small cohort, with one gene of lung that sex alone decides."""
    cohort = small_cohort.copy()
    sex = cohort.uns["donors"]["sex"].loc[cohort.obs["donor"]].to_numpy()
    lung = (cohort.obs["tissue"] == "Lung").to_numpy()
    cohort.X[lung, 3] = np.where(sex == "male", 100, 10)[lung]
    return cohort


def test_covariates_alone_find_what_they_decide(sex_in_lung: ad.AnnData, donors: list[str]) -> None:
    fitted = CovariatesAloneMethod(("age", "sex"), "age-sex").fit(sex_in_lung, donors)
    phenotypes = pd.DataFrame({"age": [30.0, 70.0, 30.0], "sex": ["male", "male", "female"]})
    z = np.zeros((3, 40), dtype=np.float32)
    man, old_man, woman = fitted.predict({"Liver": z}, "Lung", phenotypes).mean[:, 3]
    chosen = (sex_in_lung.obs["tissue"] == "Lung") & sex_in_lung.obs["donor"].isin(donors)
    codes = tissue_codes(sex_in_lung)
    observed = fitted.scaler.transform(sex_in_lung.X, codes)[chosen.to_numpy(), 3]
    assert len(np.unique(observed)) == 2
    # One penalty for all genes shrinks the one that sex decides, with the others.
    assert np.ptp(observed) / 2 < man - woman < np.ptp(observed)
    assert abs(old_man - man) < (man - woman) / 4
    (middle,) = fitted.predict({"Liver": z[:1]}, "Lung").mean[:, 3]
    assert woman < middle < man


def test_covariates_alone_read_no_expression_of_the_donor(
    sex_in_lung: ad.AnnData, donors: list[str], rng: np.random.Generator
) -> None:
    method = CovariatesAloneMethod(("age", "sex"), "age-sex")
    without_blood = sex_in_lung[sex_in_lung.obs["tissue"] != "Whole Blood"].copy()
    phenotypes = sex_in_lung.uns["donors"].iloc[:5]
    given = rng.normal(size=(2, 5, 40)).astype(np.float32)
    first = method.fit(sex_in_lung, donors).predict({"Liver": given[0]}, "Lung", phenotypes)
    second = method.fit(without_blood, donors).predict({"Liver": given[1]}, "Lung", phenotypes)
    np.testing.assert_array_equal(first.mean, second.mean)
