"""Tissues that only one sex has, predicted for people of the other.

A model predicts every tissue from any blood. What it predicts of a woman's prostate describes no
organ, and a difference between the sexes in it is one between people who have it and people who do
not.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from mtm_core.data.notes import Note, name_some

OF_ONE_SEX = {
    "Cervix - Ectocervix": "female",
    "Cervix - Endocervix": "female",
    "Fallopian Tube": "female",
    "Ovary": "female",
    "Prostate": "male",
    "Testis": "male",
    "Uterus": "female",
    "Vagina": "female",
}
"""Sex of the people who have a tissue, by GTEx's name of it."""
_PEOPLE = {"female": "women", "male": "men"}


def describe_one_sex(tissues: Iterable[str], sex: pd.Series) -> list[Note]:
    """Warn of predicted tissues that some of the people do not have.

    Parameters
    ----------
    tissues
        Predicted tissues.
    sex
        Sex of each sample, ``"female"`` or ``"male"``, NaN if unknown.
    """
    notes = []
    names = list(tissues)
    for own, other in (("female", "male"), ("male", "female")):
        own_tissues = [name for name in names if OF_ONE_SEX.get(name) == own]
        n_others = int((sex == other).sum())
        if own_tissues and n_others:
            notes.append(
                Note(
                    "warning",
                    f"{n_others} of {len(sex)} samples are of {_PEOPLE[other]}, and only"
                    f" {_PEOPLE[own]} have: {name_some(own_tissues)}.",
                    f"Values predicted there for {_PEOPLE[other]} describe no organ.",
                    f"Ignore them, and compare only {_PEOPLE[own]} in these tissues.",
                )
            )
    return notes
