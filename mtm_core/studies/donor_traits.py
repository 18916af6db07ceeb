"""Traits of donors that expression is held against, and what is regressed out beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mtm_core.data.gtex.dbgap import medical_history
from mtm_core.data.people.exact_phenotypes import exact_phenotypes
from mtm_core.errors import SelectionError
from mtm_core.evaluation.confounding import VENTILATOR, phenotypes_of
from mtm_core.methods.covariates import CovariateName, encode_covariates

GENE_KEYS = ("trait", "adjusted_for", "tissue")
"""Columns by which the gene tables of trait studies are grouped."""
TraitKind = Literal["number", "two groups"]

MINIMUM_PUBLIC = 10
"""Donors of a tissue that each of two public groups (sex, death) needs."""
MINIMUM_DISEASE = 50
"""Cases and controls of a tissue that a disease needs (paper, section 3.4)."""


@dataclass(frozen=True)
class Trait:
    """A trait of donors.

    Attributes
    ----------
    name
        ``"age"``, ``"sex"``, ``"ventilator"``, ``"bmi"``, or a medical history item of dbGaP.
    kind
        ``"number"`` or ``"two groups"``.
    values
        By donor: the number, or 1 for a case and 0 for a control; NaN where unknown.
    case, control
        Meaning of 1 and 0; empty for a number.
    adjustments
        Sets of covariates to regress out, each for one analysis beside the raw one.
    minimum_group
        Donors that each of two groups needs.
    """

    name: str
    kind: TraitKind
    values: pd.Series
    case: str = ""
    control: str = ""
    adjustments: tuple[tuple[CovariateName, ...], ...] = ()
    minimum_group: int = MINIMUM_PUBLIC

    def of(self, donors: ArrayLike) -> NDArray[np.float64]:
        """Return the trait of ``donors`` (N,), NaN where unknown."""
        known: NDArray[np.float64] = phenotypes_of(self.values.to_frame("trait"), donors)[
            "trait"
        ].to_numpy(dtype=np.float64)
        return known


def known_traits(phenotypes: pd.DataFrame) -> tuple[Trait, ...]:
    """Return the traits that differ between donors of ``phenotypes``, the donor table of a cohort.

    Sex, age, and death on a ventilator against all other deaths; with a dbGaP file's columns
    (:mod:`mtm_core.data.gtex.dbgap`) BMI and diseases. Each comes with its adjustments: for age,
    sex and Hardy scale as far as it is not one of them, and what is left is not how donors died.
    """
    phenotypes = exact_phenotypes(phenotypes)
    blank = pd.Series(np.nan, index=phenotypes.index)
    sex = phenotypes.get("sex", blank).map({"female": 1.0, "male": 0.0}).astype(float)
    age = phenotypes.get("age", blank).astype(float)
    hardy = phenotypes.get("hardy", blank).astype(float)
    ventilator = (hardy == VENTILATOR).astype(float).where(hardy.notna())
    bmi = phenotypes.get("bmi", blank).astype(float)
    without_death: tuple[CovariateName, ...] = ("age", "sex")
    with_death: tuple[CovariateName, ...] = ("age", "sex", "hardy")
    traits = [
        Trait("age", "number", age, adjustments=(("sex",), ("sex", "hardy"))),
        Trait("sex", "two groups", sex, "female", "male", (("age",), ("age", "hardy"))),
        Trait(
            "ventilator",
            "two groups",
            ventilator,
            "death on a ventilator",
            "any other death",
            (without_death,),
        ),
        Trait("bmi", "number", bmi, adjustments=(without_death, with_death)),
    ]
    for name in medical_history(phenotypes):
        history = phenotypes[name].astype("Float64").to_numpy(dtype=float, na_value=np.nan)
        traits.append(
            Trait(
                name,
                "two groups",
                pd.Series(history, index=phenotypes.index),
                f"{name} yes",
                f"{name} no",
                (without_death, with_death),
                MINIMUM_DISEASE,
            )
        )
    return tuple(trait for trait in traits if trait.values.max() > trait.values.min())


def choose_traits(traits: Sequence[Trait], names: Sequence[str]) -> tuple[Trait, ...]:
    """Return the traits called ``names``.

    Raises
    ------
    SelectionError
        If the donor table knows no such trait.
    """
    known = {trait.name: trait for trait in traits}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SelectionError.unknown("trait", unknown, list(known))
    return tuple(known[name] for name in names)


def adjustment_name(covariates: Sequence[CovariateName]) -> str:
    """Name a set of covariates as tables do: ``"age+sex"``; ``""`` for none."""
    return "+".join(covariates)


def covariates_of(
    phenotypes: pd.DataFrame, donors: ArrayLike, names: Sequence[CovariateName]
) -> NDArray[np.float64]:
    """Return covariates (N, C) of ``donors`` (N,), as numbers; one column per Hardy value."""
    known = phenotypes_of(phenotypes, donors)
    return encode_covariates(known, names, len(known))
