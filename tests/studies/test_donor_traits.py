"""Which traits a donor table has, and which value is the case."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.errors import SelectionError
from mtm_core.studies.donor_traits import choose_traits, known_traits


def test_traits_of_a_cohort_with_everything(diseased_cohort: ad.AnnData) -> None:
    donors = diseased_cohort.uns["donors"]
    traits = {trait.name: trait for trait in known_traits(donors)}
    assert list(traits) == ["age", "sex", "ventilator", "bmi", "MHT2D"]
    some = donors.index[[3, 1, 7]]
    np.testing.assert_array_equal(traits["age"].of(some), donors.loc[some, "age"])
    assert (traits["sex"].of(donors.index) == (donors["sex"] == "female")).all()
    assert (traits["sex"].case, traits["sex"].control) == ("female", "male")
    assert (traits["ventilator"].of(donors.index) == (donors["hardy"] == 0)).all()
    assert (traits["MHT2D"].of(donors.index) == donors["MHT2D"]).all()
    assert traits["MHT2D"].minimum_group == 50
    # No trait is adjusted for itself, and each once for the circumstance of death.
    assert all(trait.name not in names for trait in traits.values() for names in trait.adjustments)
    assert all("hardy" in traits[name].adjustments[-1] for name in ("age", "sex", "bmi", "MHT2D"))
    assert traits["ventilator"].adjustments == (("age", "sex"),)


def test_unknown_values_are_in_no_group() -> None:
    donors = pd.DataFrame(
        {
            "sex": ["female", "male", ""],
            "hardy": [np.nan, 0.0, 2.0],
            "MHCOPD": pd.array([True, None, False], dtype="boolean"),
        },
        index=["A", "B", "C"],
    )
    traits = {trait.name: trait for trait in known_traits(donors)}
    np.testing.assert_array_equal(traits["sex"].of(["A", "B", "C"]), [1, 0, np.nan])
    np.testing.assert_array_equal(traits["ventilator"].of(["A", "B", "C"]), [np.nan, 1, 0])
    np.testing.assert_array_equal(traits["MHCOPD"].of(["A", "B", "C"]), [1, np.nan, 0])


def test_a_constant_column_is_not_a_trait() -> None:
    donors = pd.DataFrame({"sex": ["male", "male"], "age": [60.0, 60.0]}, index=["A", "B"])
    assert known_traits(donors) == ()


def test_an_unknown_trait_is_named(diseased_cohort: ad.AnnData) -> None:
    traits = known_traits(diseased_cohort.uns["donors"])
    assert [trait.name for trait in choose_traits(traits, ["sex", "age"])] == ["sex", "age"]
    with pytest.raises(SelectionError, match=r"unknown trait: 'MHT1D' \(did you mean 'MHT2D'\?\)"):
        choose_traits(traits, ["age", "MHT1D"])
