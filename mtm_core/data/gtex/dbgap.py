"""Controlled-access phenotypes of GTEx donors: exact age, BMI and medical history.

File: dbGaP phs000424, ``phs000424.v8.pht002742.v8.p2.c1.GTEx_Subject_Phenotypes.GRU.txt``. Only
those whom dbGaP has let in have it; nothing of a single donor is ever written from it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from mtm_core.data.gtex.annotations import read_subject_phenotypes
from mtm_core.errors import InputFileError

_MEDICAL_HISTORY = re.compile(r"MH[A-Z0-9]+")


def with_dbgap_phenotypes(donors: pd.DataFrame, path: Path | str) -> pd.DataFrame:
    """Return the donor table of a cohort with what the dbGaP file knows of its donors.

    What the file knows of a donor (exact age, sex, Hardy scale) takes the place of the table's
    value; what it does not know stays.

    Parameters
    ----------
    donors
        ``uns["donors"]`` of a cohort: phenotypes by donor.
    path
        The dbGaP file, as it comes.

    Returns
    -------
    pandas.DataFrame
        The same donors, in their order, with ``bmi`` and a nullable boolean column for each
        medical history item.

    Raises
    ------
    InputFileError
        If the file is not the dbGaP one, or knows none of the donors.
    """
    path = Path(path)
    known = read_subject_phenotypes(path)
    if "bmi" not in known:
        raise InputFileError(
            f"{path.name}: expected the dbGaP file of subject phenotypes, with a column BMI. The"
            " public file of the GTEx Portal has neither BMI nor medical history."
        )
    shared = donors.index.intersection(known.index)
    if shared.empty:
        raise InputFileError(
            f"{path.name}: none of its {len(known)} donors is in the cohort: {known.index[0]!r}"
            f" against {donors.index[0]!r}."
        )
    known = known.reindex(donors.index)
    result = donors.copy()
    for name in known.columns:
        if name in result and not _MEDICAL_HISTORY.fullmatch(name):
            result[name] = known[name].where(known[name].notna(), result[name])
        else:
            result[name] = known[name]
    return result


def medical_history(donors: pd.DataFrame) -> tuple[str, ...]:
    """Name the medical history items (``MHT2D``, ...) that a donor table knows as yes or no."""
    return tuple(
        str(name)
        for name in donors.columns
        if _MEDICAL_HISTORY.fullmatch(str(name)) and pd.api.types.is_bool_dtype(donors[name])
    )
