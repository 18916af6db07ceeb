"""Age and sex as a program is given them: exactly as expected, or refused.

Users' files are read with more patience in :mod:`mtm_core.data.people.phenotypes`, which says what
it did.
A call from Python gets no such report, so nothing is guessed here: a value that is not understood
is an error, and only what is blank counts as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from numbers import Real

import numpy as np
import pandas as pd

from mtm_core.data.people.phenotypes import AGE_NAMES, OLDEST, SEX_NAMES, SEX_WORDS, Sex, plain_name
from mtm_core.errors import SelectionError

_UNKNOWN = frozenset({"", "na", "n/a", "nan", "none", "null", "unknown", "not known"})
_NUMBER = re.compile(r"\d+(\.\d*)?")
_ROLES = {"age": AGE_NAMES, "sex": SEX_NAMES}


def exact_phenotypes(phenotypes: pd.DataFrame) -> pd.DataFrame:
    """Return ``phenotypes`` with ``age`` as years and ``sex`` as "female" and "male".

    Parameters
    ----------
    phenotypes
        By donor or sample; other columns are left as they are.

    Returns
    -------
    pandas.DataFrame
        ``age`` as float64 and ``sex`` as text, NaN where unknown, as far as the columns are there.

    Raises
    ------
    SelectionError
        If an age is not a number from 0 to 120, a sex is none of female, f, woman, male, m and man
        (in any case), or a column has another name than ``age`` or ``sex``.
    """
    if not isinstance(phenotypes, pd.DataFrame):
        raise SelectionError(
            "phenotypes: expected a pandas DataFrame with the samples as its index and the columns"
            f" age and sex, got {type(phenotypes).__name__}."
        )
    _check_names(phenotypes)
    exact = phenotypes.copy(deep=False)
    for name, read in (("age", _years), ("sex", _sex)):
        if name in exact:
            exact[name] = _each(exact[name], read)
    return exact


def exact_phenotypes_of(phenotypes: pd.DataFrame, samples: Sequence[str]) -> pd.DataFrame:
    """Get :func:`exact_phenotypes` of ``samples``, in their order, NaN for one that is not there.

    Raises
    ------
    SelectionError
        As :func:`exact_phenotypes`; and if a sample is named twice, none is named at all, or the
        table has neither age nor sex.
    """
    exact = exact_phenotypes(phenotypes)
    if not {"age", "sex"} & set(exact.columns):
        raise SelectionError(
            f"phenotypes: expected the columns age and sex, got {list(exact.columns)}."
        )
    names = pd.Index([str(name) for name in exact.index], dtype=object)
    if names.has_duplicates:
        twice = names[names.duplicated()][0]
        raise SelectionError(
            f"phenotypes: sample {twice!r} is duplicated. Give one row for each sample."
        )
    if len(samples) and not names.isin(list(samples)).any():
        raise SelectionError(
            f"phenotypes: its index names none of the {len(samples)} samples:"
            f" {names[:3].tolist()} against {list(samples[:3])}. Set the sample names as the index:"
            " phenotypes.set_index(...)."
        )
    return exact.set_axis(names).reindex(list(samples))


def _check_names(phenotypes: pd.DataFrame) -> None:
    for role, names in _ROLES.items():
        if role in phenotypes:
            if isinstance(phenotypes[role], pd.DataFrame):
                raise SelectionError(f"phenotypes: the column {role!r} is duplicated.")
            continue
        alike = [name for name in phenotypes.columns if plain_name(str(name)) in names]
        if alike:
            raise SelectionError(
                f"phenotypes: expected a column {role!r}, got {alike[0]!r}. Rename it."
            )


def _each(values: pd.Series, read: Callable[[object, str], object]) -> pd.Series:
    """Apply ``read`` to every value that is there."""
    found = [
        np.nan if _is_blank(value) else read(value, str(where))
        for where, value in zip(values.index, values.astype(object), strict=True)
    ]
    dtype = np.float64 if read is _years else object
    return pd.Series(found, values.index, dtype)


def _is_blank(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().casefold() in _UNKNOWN
    return value is None or bool(pd.isna(value))


def _years(value: object, where: str) -> float:
    number = np.nan
    is_number = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    if is_number or (isinstance(value, str) and _NUMBER.fullmatch(value.strip())):
        number = float(value)  # type: ignore[arg-type]
    if not 0 <= number <= OLDEST:
        raise SelectionError(
            f"phenotypes: expected age as years from 0 to {OLDEST}, got {value!r} for {where!r}."
            " Give years as numbers, not months, days or words; leave it NaN where not known."
        )
    return number


def _sex(value: object, where: str) -> Sex:
    known = SEX_WORDS.get(value.strip().casefold()) if isinstance(value, str) else None
    if known is None:
        raise SelectionError(
            f"phenotypes: expected sex as female or male (or f and m), got {value!r} for {where!r}."
            " Numbers are not read: 1 is male in some files and female in others. Leave it NaN"
            " where not known."
        )
    return known
