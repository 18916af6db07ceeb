from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.inference.one_sex import OF_ONE_SEX, describe_one_sex
from mtm_core.inference.predictor import Predictor
from mtm_core.model_places import DEFAULT_MODEL, find_model

SEX = pd.Series(["female", "female", "male", np.nan], dtype=object)


def test_tissues_that_some_of_the_people_do_not_have_are_named() -> None:
    (of_women, of_men) = describe_one_sex(["Ovary", "Lung", "Prostate", "Uterus"], SEX)
    assert of_women.found == "1 of 4 samples are of men, and only women have: 'Ovary', 'Uterus'."
    assert of_men.found == "2 of 4 samples are of women, and only men have: 'Prostate'."


@pytest.mark.parametrize(
    ("tissues", "sex"),
    [(["Lung", "Breast - Mammary Tissue"], SEX), (["Prostate"], SEX[2:]), (["Ovary"], SEX[3:])],
)
def test_people_who_have_the_tissue_or_of_unknown_sex_are_no_reason(
    tissues: list[str], sex: pd.Series
) -> None:
    assert not describe_one_sex(tissues, sex)


def test_the_names_are_those_of_gtex() -> None:
    """The bundled model has all of these that had donors enough."""
    ours = set(Predictor.load(find_model(DEFAULT_MODEL)).tissues) & set(OF_ONE_SEX)
    assert ours == {"Ovary", "Prostate", "Testis", "Uterus", "Vagina"}
