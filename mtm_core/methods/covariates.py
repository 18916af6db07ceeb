"""What is known of a donor beside expression, as numbers that methods can take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.gtex.annotations import HARDY_CLASSES
from mtm_core.data.people.exact_phenotypes import exact_phenotypes

AGE_SEX = "-age-sex"
"""Ends the name of a method that reads age and sex."""
CovariateName = Literal["age", "sex", "hardy"]
"""``"hardy"`` is the Hardy scale: the living have none, so no default uses it."""


def encode_covariates(
    phenotypes: pd.DataFrame | None, names: Sequence[CovariateName], n_donors: int
) -> NDArray[np.float64]:
    """Return covariates (N, C), each about standardised; 0, the middle, where one is not known.

    Age is (years - 50) / 15, sex -1 for female and 1 for male, Hardy scale one column per value.

    Parameters
    ----------
    phenotypes
        One row a donor, with the columns of
        :func:`mtm_core.data.gtex.annotations.read_subject_phenotypes`;
        ``None`` if nothing is known.
    names
        Which of them.
    n_donors
        N.

    Raises
    ------
    SelectionError
        As :func:`mtm_core.data.people.exact_phenotypes.exact_phenotypes`.
    """
    blank = pd.DataFrame(index=range(n_donors))
    if phenotypes is not None:
        blank = exact_phenotypes(phenotypes)
    columns: list[NDArray[np.float64]] = []
    for name in names:
        values = blank.get(name, pd.Series(np.nan, index=blank.index))
        if name == "age":
            columns.append((values.to_numpy(dtype=np.float64) - 50) / 15)
        elif name == "sex":
            columns.append(values.map({"female": -1.0, "male": 1.0}).to_numpy(dtype=np.float64))
        else:
            known = values.to_numpy(dtype=np.float64)
            columns += [np.where(np.isnan(known), 0.0, known == k) for k in HARDY_CLASSES]
    if not columns:
        return np.empty((n_donors, 0))
    return np.nan_to_num(np.stack(columns, axis=1))


def are_known(
    phenotypes: pd.DataFrame | None, names: Sequence[CovariateName], n_donors: int
) -> NDArray[np.bool_]:
    """Tell whose covariates are all known (N,): nobody's where ``names`` is empty.

    Raises
    ------
    SelectionError
        As :func:`mtm_core.data.people.exact_phenotypes.exact_phenotypes`.
    """
    if phenotypes is None or not names:
        return np.zeros(n_donors, dtype=bool)
    known = exact_phenotypes(phenotypes).reindex(columns=list(names))
    return np.asarray((known.notna() & (known != "")).all(axis=1))  # a cohort's text has no NaN


def by_knowledge(
    phenotypes: pd.DataFrame | None, names: Sequence[CovariateName], n_donors: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Split donors by whether their covariates are all known.

    Yields
    ------
    rows
        Of the donors, in order.
    covariates
        (rows, C), or (rows, 0) of those who are predicted without.
    """
    known = are_known(phenotypes, names, n_donors)
    for rows, read in ((np.flatnonzero(known), names), (np.flatnonzero(~known), ())):
        if len(rows):
            part = None if phenotypes is None else phenotypes.iloc[rows]
            yield rows, encode_covariates(part, read, len(rows))
