"""Age and sex as users write them, brought to what the model knows: years, female and male."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from mtm_core.data.files.raw_table import to_numbers
from mtm_core.data.notes import Note, counted, name_some

Sex = Literal["female", "male"]

AGE_NAMES = frozenset({"age", "age_years", "age_in_years", "age_yrs", "age_year", "age_y"})
SEX_NAMES = frozenset({"sex", "gender", "biological_sex"})
"""Names of columns in the form of :func:`plain_name`."""

OLDEST = 120
_DONORS = (20, 79)
"""Ages of the donors of GTEx v8."""
SEX_WORDS: Mapping[str, Sex] = {
    "female": "female",
    "f": "female",
    "woman": "female",
    "male": "male",
    "m": "male",
    "man": "male",
}
_MOST_CODES = 4
_MAN_IN_SPANISH = "h"
"""Beside it, and without F, M is a woman (mujer, mulher): *hombre*, *homem*."""
_CODE = re.compile(r"-?\d+(\.0*)?")
_TIMES = frozenset({"month", "months", "mo", "mos", "week", "weeks", "day", "days"})
"""Words in a column's name that say that it holds no years."""
_BAND = r"^\s*(\d+)\s*-\s*(\d+)\s*$"


def plain_name(name: str) -> str:
    """Return ``name`` in lower case with one ``_`` for all between its letters and digits."""
    return re.sub(r"[^0-9a-z]+", "_", name.casefold()).strip("_")


def plain_code(label: str) -> str:
    """Return a code such as ``1.0`` as ``1``; other labels as they are."""
    return label.partition(".")[0] if _CODE.fullmatch(label) else label


def read_age(values: pd.Series, column: str | None) -> tuple[pd.Series, tuple[Note, ...]]:
    """Return ages in years by sample, NaN where not known, and what was found.

    Parameters
    ----------
    values
        By sample: years as float64, or text that may be bands ("60-69").
    column
        Name of the column they are of; ``None`` if there is none.
    """
    unknown = pd.Series(np.nan, index=values.index)
    if column is None or values.isna().all():
        return unknown, ()
    if times := _TIMES & set(plain_name(column).split("_")):
        return unknown, (
            Note(
                "warning",
                f"Column {column!r} is named as one of {min(times)}, not of years.",
                "No age is known.",
                "Give years.",
            ),
        )
    notes: list[Note] = []
    years = values
    if not pd.api.types.is_numeric_dtype(values):
        bands = values.str.extract(_BAND).astype(np.float64).mean(axis=1)
        # A column of one age or of two is text too: it may name groups.
        years = to_numbers(values).astype(np.float64).fillna(bands)
        words = values[years.isna() & values.notna()]
        if years.isna().all():
            return unknown, (
                Note(
                    "warning",
                    f"Column {column!r} holds no ages in years: {name_some(words.unique(), 3)}.",
                    "No age is known.",
                    "Write years as numbers.",
                ),
            )
        if bands.notna().any():
            notes.append(
                Note(
                    "info",
                    f"Column {column!r} holds bands of age.",
                    "The middle of each band was used.",
                )
            )
        if len(words):
            notes.append(
                Note(
                    "warning",
                    f"{len(words)} cells in column {column!r} are not ages:"
                    f" {name_some(words.unique(), 3)}.",
                    "They are read as unknown.",
                )
            )
    outside = years.notna() & ~years.between(0, OLDEST)
    if outside.mean() > 0.5 * years.notna().mean():
        return unknown, (
            Note(
                "warning",
                f"Column {column!r} holds values from {years.min():g} to {years.max():g}: not ages"
                " in years.",
                "No age is known.",
                "Give years.",
            ),
        )
    if outside.any():
        notes.append(
            Note(
                "warning",
                f"{int(outside.sum())} ages lie outside 0 to {OLDEST}:"
                f" {name_some(f'{year:g}' for year in years[outside].unique())}.",
                "They are read as unknown.",
            )
        )
    years = years.mask(outside).astype(np.float64)
    low, high = _DONORS
    n_outside = int((~years.dropna().between(low, high + 1)).sum())
    if n_outside:
        notes.append(
            Note(
                "warning",
                f"{counted(n_outside, 'sample is', 'samples are')} younger than {low} or older"
                f" than {high}.",
                "Models were trained on donors between: for these samples, age is outside the "
                "range of the training data.",
            )
        )
    return years, tuple(notes)


def read_sex(
    labels: pd.Series, column: str | None, codes: Mapping[str, Sex]
) -> tuple[pd.Series, tuple[Note, ...], tuple[str, ...]]:
    """Return sexes by sample, NaN where not known, what was found, and codes to be asked for.

    "female", "f", "woman" and their counterparts are read in any case. Numbers are not: 1 is male
    in GTEx and PLINK and female elsewhere; nor is "m" beside "h" and without "f". Other words are
    asked for where a sex has none that is understood.

    Parameters
    ----------
    labels
        Text by sample.
    column
        Name of the column they are of; ``None`` if there is none.
    codes
        Meaning of other labels, as the user stated it.
    """
    unknown = pd.Series(np.nan, index=labels.index, dtype=object)
    if column is None or labels.isna().all():
        return unknown, (), ()
    found = list(labels.dropna().unique())
    meaning: dict[str, Sex] = {
        label: SEX_WORDS[label.casefold()] for label in found if label.casefold() in SEX_WORDS
    }
    small = {label.casefold() for label in found}
    if _MAN_IN_SPANISH in small and "female" not in meaning.values():
        meaning = {label: sex for label, sex in meaning.items() if label.casefold() != "m"}
    is_one_sided = len(set(meaning.values())) < len(get_args(Sex))
    said = {plain_code(code): sex for code, sex in codes.items()}
    meaning |= {label: said[plain_code(label)] for label in found if plain_code(label) in said}
    sexes = labels.map(meaning).astype(object)
    rest = [label for label in found if label not in meaning]
    unclear = tuple(sorted(label for label in rest if _CODE.fullmatch(label)))
    if len(unclear) > _MOST_CODES:
        return unknown, (_no_sex(column, unclear),), ()
    notes: list[Note] = []
    if meaning:
        read_as = ", ".join(f"{label!r} as {sex}" for label, sex in meaning.items())
        counts = sexes.value_counts()
        notes.append(
            Note(
                "info",
                f"Column {column!r}: {read_as}; {counts.get('female', 0)} female,"
                f" {counts.get('male', 0)} male, {int(sexes.isna().sum())} unknown.",
                "",
            )
        )
    if unclear:
        notes.append(
            Note(
                "warning",
                f"Column {column!r} holds {name_some(unclear)}. GTEx and PLINK write 1 for male and"
                " 2 for female; others write 0 and 1, or the reverse.",
                "The sex of these samples is not known.",
                "Say what each code means.",
            )
        )
    words = [label for label in rest if label not in unclear]
    asked = bool(words) and is_one_sided and len(words) + len(unclear) <= _MOST_CODES
    if words:
        notes.append(_no_sex(column, words, asked=asked))
    return sexes, tuple(notes), (*unclear, *sorted(words)) if asked else unclear


def _no_sex(column: str, labels: Sequence[str], *, asked: bool = False) -> Note:
    is_spanish = {_MAN_IN_SPANISH, "m"} <= {label.casefold() for label in labels}
    return Note(
        "warning",
        f"Column {column!r} holds {name_some(labels)}"
        + (
            ": beside H (hombre, homem), M may be a woman."
            if is_spanish
            else ", neither female nor male."
        ),
        "The sex of these samples is not known.",
        "Say what each means (on the command line: --sex-codes)." if asked else "",
    )
