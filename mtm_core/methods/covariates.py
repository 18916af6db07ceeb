"""Covariates of donors (age, sex, Hardy scale) as numbers for prediction methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.gtex.annotations import HARDY_CLASSES
from mtm_core.data.people.exact_phenotypes import exact_phenotypes

AGE_SEX = "-age-sex"
"""Ending of the name of a method that uses age and sex."""
CovariateName = Literal["age", "sex", "hardy"]
"""``"hardy"`` is the Hardy scale of death. Living people have none, so no default uses it."""


def encode_covariates(
    phenotypes: pd.DataFrame | None, names: Sequence[CovariateName], n_donors: int
) -> NDArray[np.float64]:
    """Encode covariates as numbers (N, C), roughly standardised; unknown values are 0.

    Age is (years - 50) / 15, sex -1 for female and 1 for male, and the Hardy scale one 0/1 column
    for each class.

    Parameters
    ----------
    phenotypes
        One row for each donor, with the columns of
        :func:`mtm_core.data.gtex.annotations.read_subject_phenotypes`;
        ``None`` if nothing is known.
    names
        Covariates to encode, in order.
    n_donors
        Number of donors, N.

    Raises
    ------
    SelectionError
        If a value is malformed (:func:`mtm_core.data.people.exact_phenotypes.exact_phenotypes`).
    """
    known = pd.DataFrame(index=range(n_donors))
    if phenotypes is not None:
        known = exact_phenotypes(phenotypes)
    columns: list[NDArray[np.float64]] = []
    for name in names:
        values = known.get(name, pd.Series(np.nan, index=known.index))
        if name == "age":
            columns.append((values.to_numpy(dtype=np.float64) - 50) / 15)
        elif name == "sex":
            columns.append(values.map({"female": -1.0, "male": 1.0}).to_numpy(dtype=np.float64))
        else:
            hardy = values.to_numpy(dtype=np.float64)
            columns += [np.where(np.isnan(hardy), 0.0, hardy == k) for k in HARDY_CLASSES]
    if not columns:
        return np.empty((n_donors, 0))
    return np.nan_to_num(np.stack(columns, axis=1))


def are_known(
    phenotypes: pd.DataFrame | None, names: Sequence[CovariateName], n_donors: int
) -> NDArray[np.bool_]:
    """Tell for which donors (N,) all of ``names`` are known; for none if ``names`` is empty.

    Raises
    ------
    SelectionError
        If a value is malformed (:func:`mtm_core.data.people.exact_phenotypes.exact_phenotypes`).
    """
    if phenotypes is None or not names:
        return np.zeros(n_donors, dtype=bool)
    known = exact_phenotypes(phenotypes).reindex(columns=list(names))
    return np.asarray(
        (known.notna() & (known != "")).all(axis=1)
    )  # a cohort stores unknown text as ""


def group_by_known_covariates(
    phenotypes: pd.DataFrame | None, names: Sequence[CovariateName], n_donors: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Split donors into those with all covariates known, and the rest.

    Yields
    ------
    rows
        Rows (n,) of the donors of one group, in order.
    covariates
        Their covariates (n, C), or (n, 0) for those who are predicted without covariates.
    """
    known = are_known(phenotypes, names, n_donors)
    for rows, read in ((np.flatnonzero(known), names), (np.flatnonzero(~known), ())):
        if len(rows):
            part = None if phenotypes is None else phenotypes.iloc[rows]
            yield rows, encode_covariates(part, read, len(rows))
