"""Age and sex given from Python: read exactly, or refused with the value and its place."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.cohort.cohort import finish_cohort
from mtm_core.data.people.exact_phenotypes import exact_phenotypes, exact_phenotypes_of
from mtm_core.errors import SelectionError
from mtm_core.methods.covariates import are_known, encode_covariates

SPELLINGS = [
    *(("female", "female"), ("Female", "female"), ("F", "female"), ("f ", "female")),
    *(("woman", "female"), ("male", "male"), ("MALE", "male"), ("M", "male"), (" m", "male")),
    *((None, None), (np.nan, None), ("", None), ("unknown", None), (pd.NA, None), ("NA", None)),
]


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_every_spelling_is_encoded_as_what_it_says(dtype: str) -> None:
    sex = pd.Series([given for given, _ in SPELLINGS], dtype=object)
    people = pd.DataFrame({"sex": sex.astype(dtype), "age": 65.0})
    expected = [{"female": -1.0, "male": 1.0}.get(sex or "", 0.0) for _, sex in SPELLINGS]
    encoded = encode_covariates(people, ("age", "sex"), len(people))
    assert encoded[:, 1].tolist() == expected
    assert encoded[:, 0].tolist() == [1.0] * len(people)
    known = are_known(people, ("age", "sex"), len(people))
    assert known.tolist() == [sex is not None for _, sex in SPELLINGS]


@pytest.mark.parametrize("value", [1, 2, 0.0, True, "1", "2", "x", "other", "boy", "fem", "males"])
def test_a_sex_that_is_not_understood_is_refused(value: object) -> None:
    people = pd.DataFrame({"sex": pd.Series(["F", value], dtype=object, index=["a", "b"])})
    with pytest.raises(SelectionError, match=rf"female or male.*got {value!r} for 'b'"):
        exact_phenotypes(people)
    with pytest.raises(SelectionError, match="female or male"):
        encode_covariates(people, ("sex",), 2)
    with pytest.raises(SelectionError, match="female or male"):
        are_known(people, ("sex",), 2)


@pytest.mark.parametrize("value", [45, 45.0, "45", " 45.0 ", np.float32(45), np.int8(45)])
def test_ages_are_years(value: object) -> None:
    people = pd.DataFrame({"age": pd.Series([value, None], dtype=object)})
    ages = exact_phenotypes(people)["age"]
    assert ages.dtype == np.float64
    assert ages[0] == 45
    assert np.isnan(ages[1])


@pytest.mark.parametrize(
    "value",
    [-9, -0.5, 540, 121, np.inf, "45y", "60-69", "old", "36 months", "-1", True, "1e1", 1 + 2j,
     pd.Timestamp("1980-01-01"), pd.Timedelta("365 days")],
)  # fmt: skip
def test_an_age_that_is_not_in_years_is_refused(value: object) -> None:
    people = pd.DataFrame({"age": pd.Series([50, value], dtype=object, index=["a", "b"])})
    with pytest.raises(SelectionError, match=r"years from 0 to 120, got .* for 'b'"):
        exact_phenotypes(people)


def test_columns_and_samples_are_those_asked_for() -> None:
    people = pd.DataFrame({"age": [30, 40], "sex": ["M", "F"]}, index=["b", "a"])
    exact = exact_phenotypes_of(people, ["a", "b", "c"])
    assert exact.index.tolist() == ["a", "b", "c"]
    assert exact["sex"].fillna("?").tolist() == ["female", "male", "?"]
    assert exact["age"].fillna(-1).tolist() == [40, 30, -1]
    assert people["sex"].tolist() == ["M", "F"]
    for wrong, message in (
        (people.rename(columns={"sex": "Sex"}), "expected a column 'sex', got 'Sex'"),
        (people.rename(columns={"sex": "gender"}), "expected a column 'sex', got 'gender'"),
        (people.rename(columns={"age": "age_years"}), "expected a column 'age', got 'age_years'"),
        (people[[]].assign(bmi=1), "expected the columns age and sex"),
        (people.reset_index(drop=True), "names none of the 3 samples"),
        (people.set_axis(["a", "a"]), "'a' is duplicated"),
        (people["sex"], "expected a pandas DataFrame"),
    ):
        with pytest.raises(SelectionError, match=message):
            exact_phenotypes_of(wrong, ["a", "b", "c"])
    numbered = people.set_axis([1, 2])
    assert exact_phenotypes_of(numbered, ["1", "2"])["age"].tolist() == [30, 40]


def test_a_cohort_holds_the_sexes_it_was_given_in_one_spelling(small_cohort: ad.AnnData) -> None:
    donors = small_cohort.uns["donors"].copy()
    capital = donors.assign(sex=donors["sex"].str[0].str.upper())
    made = finish_cohort(small_cohort.copy(), capital, unit="TPM", normalisation="none")
    assert made.uns["donors"]["sex"].tolist() == donors["sex"].tolist()
    with pytest.raises(SelectionError, match="female or male"):
        finish_cohort(small_cohort.copy(), donors.assign(sex=1), unit="TPM", normalisation="none")
