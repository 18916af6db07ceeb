"""Tissues that only one sex has, predicted for people of the other.

A model predicts every tissue from any blood. What it predicts of a woman's prostate describes no
organ, and a difference between the sexes in it is one between people who have it and people who do
not. So comparisons leave out, tissue by tissue, who is known to be of the other sex.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
_SEXES = (("female", "male"), ("male", "female"))


def may_have(tissue: str, sex: pd.Series) -> NDArray[np.bool_]:
    """Tell which people may have ``tissue``: all but those known to be of the other sex.

    Parameters
    ----------
    tissue
        GTEx's name of it.
    sex
        Sex of each person (N,), ``"female"`` or ``"male"``, NaN if unknown.
    """
    own = OF_ONE_SEX.get(tissue)
    if own is None:
        return np.ones(len(sex), dtype=bool)
    other = "male" if own == "female" else "female"
    return np.asarray((sex != other).to_numpy(), dtype=bool)


def describe_one_sex(tissues: Iterable[str], sex: pd.Series) -> list[Note]:
    """Warn of predicted tissues that some of the people do not have.

    Parameters
    ----------
    tissues
        Predicted tissues.
    sex
        Sex of each sample, ``"female"`` or ``"male"``, NaN if unknown.
    """
    return [
        Note(
            "warning",
            found,
            f"Values predicted there for {others} describe no organ.",
            f"Ignore them; comparisons leave {others} out in these tissues.",
        )
        for found, _, others in _of_others(tissues, sex)
    ]


def describe_left_out(
    tissues: Iterable[str], sex: pd.Series, *, both_sexes: bool = False
) -> list[Note]:
    """Say who is left out of comparisons in which predicted tissues, and whose sex is not known.

    Parameters
    ----------
    tissues, sex
        As in :func:`describe_one_sex`.
    both_sexes
        Whether people of the other sex are compared all the same.
    """
    names = list(tissues)
    notes = []
    for found, own, others in _of_others(names, sex):
        done = f"In comparisons {others} are left out there."
        if both_sexes:
            done = f"They are compared there too, although {others} have no such organ."
        notes.append(Note("warning", found, done, f"Compare only {own}." if both_sexes else ""))
    unknown = int((~sex.isin(list(_PEOPLE))).sum())
    of_one = [name for name in names if name in OF_ONE_SEX]
    if of_one and unknown and not both_sexes:
        notes.append(
            Note(
                "warning",
                f"The sex of {unknown} of {len(sex)} samples is not known, and only one sex has:"
                f" {name_some(of_one)}.",
                "They are compared there too.",
                "Choose the column of sex of the metadata (on the command line: --sex-column).",
            )
        )
    return notes


def _of_others(tissues: Iterable[str], sex: pd.Series) -> Iterable[tuple[str, str, str]]:
    """Yield what was found of people without a tissue, who has it, and who does not."""
    names = list(tissues)
    for own, other in _SEXES:
        own_tissues = [name for name in names if OF_ONE_SEX.get(name) == own]
        n_others = int((sex == other).sum())
        if own_tissues and n_others:
            found = (
                f"{n_others} of {len(sex)} samples are of {_PEOPLE[other]}, and only"
                f" {_PEOPLE[own]} have: {name_some(own_tissues)}."
            )
            yield found, _PEOPLE[own], _PEOPLE[other]
