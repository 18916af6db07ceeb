"""Groups and traits of a user's samples, as their metadata give them or shuffled.

The Series here are by sample, NaN where not known.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_columns import in_order
from mtm_core.data.people.phenotypes import plain_name
from mtm_core.errors import SelectionError

_CONTROLS = frozenset(
    {"control", "controls", "ctrl", "ctl", "healthy", "hc", "normal", "reference", "untreated"}
    | {"placebo", "vehicle", "mock", "sham", "baseline", "before", "pre"}
    | {"0", "no", "n", "false", "none", "never", "absent", "negative", "neg"}
    | {"unaffected", "uninfected", "unexposed", "unstimulated", "wild_type", "wildtype", "wt"}
    | {"kontrolle", "kontrollen", "gesund", "unbehandelt", "nein", "negativ"}
    | {"temoin", "temoins", "controle", "controles", "sain", "sains", "non", "negatif"}
    | {"sano", "sanos", "negativo"}
)
_CONTROL_WORDS = _CONTROLS - (
    {"0", "n", "no", "non", "none", "nein", "absent", "negative", "neg", "negativ", "negatif"}
    | {"negativo", "reference", "pre"}
)
"""Words that say so within a longer name, too."""
_NOT = frozenset({"no", "non", "not", "never", "without", "disease", "positive", "poor"})
_DENIALS = frozenset({"no", "non", "not", "never", "without"})
_MINUS = ("-", "\N{MINUS SIGN}", "\N{EN DASH}")


def usual_control(levels: Sequence[str]) -> str | None:
    """Return the first group whose name says that others are compared with it, if there is one.

    Names of several words, such as *Healthy donor* and *before treatment*, say so where one group
    alone has such a word; else *pre-* beside *post-*, or the one group that is denied or marked
    negative (*non-diabetic*, *never smoker*, *HIV-* beside *HIV+*).
    """
    names = {level: plain_name(_without_accents(level)) for level in levels}
    exact = next((level for level in levels if names[level] in _CONTROLS), None)
    if exact is not None:
        return exact
    words = {level: name.split("_") for level, name in names.items()}
    alike = [
        level
        for level in levels
        if _CONTROL_WORDS & set(words[level]) and not _NOT & set(words[level])
    ]
    if not alike and any(first == "post" for first, *_ in words.values()):
        alike = [level for level in levels if words[level][0] == "pre"]
    if not alike and any(level.rstrip().endswith("+") for level in levels):
        alike = [level for level in levels if level.rstrip().endswith(_MINUS)]
    if not alike:
        alike = [level for level in levels if _is_denied(words[level])]
    return alike[0] if len(alike) == 1 else None


def reference_group(levels: Sequence[str]) -> str:
    """Return the group that others are compared with where nobody says which.

    Of numbers the smallest; else the usual control, or the first in the alphabet.
    """
    ordered = in_order(levels)
    of_names = None if all(map(_is_number, levels)) else usual_control(ordered)
    return of_names or ordered[0]


def shuffled(values: pd.Series, seed: int) -> pd.Series:
    """Deal the known values out anew among the samples that have one; the same seed, the same deal.

    What is found with these is chance.
    """
    known = values.notna().to_numpy()
    result = values.copy()
    dealt = np.random.default_rng(seed).permutation(values.to_numpy()[known])
    result[known] = dealt
    return result


def two_groups(groups: pd.Series, case: str, control: str) -> pd.Series:
    """Cut ``groups`` to the two that are compared, NaN elsewhere.

    Raises
    ------
    SelectionError
        As :func:`check_groups`.
    """
    check_groups(groups, case, control)
    return groups.where(groups.isin([case, control]))


def reference_of(metadata: SampleMetadata, name: str) -> str:
    """Return the group of a column that others are compared with where nobody says which.

    Of sexes it is the male one, as in :mod:`mtm_core.studies.donor_traits`; else that of
    :func:`reference_group`.

    Raises
    ------
    SelectionError
        If there is no such column.
    """
    groups = metadata.text(name)
    if name == metadata.sex_column:
        men = groups[metadata.phenotypes()["sex"] == "male"].dropna().unique()
        if len(men) == 1:
            return str(men[0])
    return reference_group([str(level) for level in groups.dropna().unique()])


def trait_numbers(
    metadata: SampleMetadata, name: str, reference: str = ""
) -> tuple[pd.Series, str]:
    """Return a column as numbers by sample, and what they are in words.

    Age is in years whatever way the file writes it, sex 1 for female and 0 for male as in
    :mod:`mtm_core.studies.donor_traits`; of other two groups ``reference`` is 0 and the other 1.

    Parameters
    ----------
    metadata, name
        The metadata, and a column.
    reference
        Group that the other is compared with; by default that of :func:`reference_of`.

    Raises
    ------
    SelectionError
        If the column holds neither numbers nor two groups, or ``reference`` is none of them.
    """
    if reference and metadata.column(name).kind != "two groups":
        raise SelectionError(
            f"column {name!r} has no reference group: it holds {metadata.column(name).kind}. Name"
            " a reference for columns of groups."
        )
    if name == metadata.age_column:
        return metadata.phenotypes()["age"], "years"
    if name == metadata.sex_column:
        sex = metadata.phenotypes()["sex"]
        if reference and metadata.level(name, reference) != reference_of(metadata, name):
            raise SelectionError(
                f"sex is female 1, male 0, as in GTEx: {reference!r} cannot be the reference of"
                f" {name!r}. Leave it out."
            )
        return sex.map({"female": 1.0, "male": 0.0}).astype(np.float64), "female 1, male 0"
    if metadata.column(name).kind == "two groups":
        groups = metadata.groups(name)
        low = metadata.level(name, reference) if reference else reference_of(metadata, name)
        high = next(level for level in metadata.column(name).levels if level != low)
        return groups.map({low: 0.0, high: 1.0}).astype(np.float64), f"{high} 1, {low} 0"
    return metadata.numbers(name), name


def groups_of(metadata: SampleMetadata) -> list[str]:
    """Name the columns that part the samples into two groups or more."""
    return [
        column.name
        for column in metadata.columns
        if column.has_groups and _varies(metadata.groups(column.name))
    ]


def traits_of(metadata: SampleMetadata) -> list[str]:
    """Name the columns that :func:`trait_numbers` takes and that vary among the samples."""
    roles = (metadata.age_column, metadata.sex_column)
    return [
        column.name
        for column in metadata.columns
        if (column.kind in ("number", "two groups") or column.name in roles)
        and _varies(trait_numbers(metadata, column.name)[0])
    ]


def covariate_numbers(metadata: SampleMetadata, names: Sequence[str]) -> pd.DataFrame | None:
    """Return columns as numbers to regress out: groups as one column of 0 and 1 each but the first.

    ``None`` if ``names`` is empty.

    Raises
    ------
    SelectionError
        If a column holds neither numbers nor groups.
    """
    columns: dict[str, pd.Series] = {}
    traits = traits_of(metadata)
    for name in names:
        if name in traits:
            columns[name] = trait_numbers(metadata, name)[0]
            continue
        groups = metadata.groups(name)
        for level in in_order(metadata.column(name).levels)[1:]:
            columns[f"{name}: {level}"] = (groups == level).astype(np.float64).where(groups.notna())
    return pd.DataFrame(columns) if columns else None


def check_groups(groups: pd.Series, case: str, control: str) -> None:
    """Refuse two groups that cannot be compared.

    Raises
    ------
    SelectionError
        If they are one, or one has no sample.
    """
    if case == control:
        raise SelectionError(f"{case!r} is compared with itself. Choose two different groups.")
    for group in (case, control):
        if not (groups == group).any():
            raise SelectionError.unknown("group", [group], sorted(groups.dropna().unique()))


def _is_denied(words: Sequence[str]) -> bool:
    first, *others = words
    is_denied = first in _DENIALS or (first.startswith("non") and len(first) > len("none"))
    return is_denied and not _CONTROL_WORDS & set(others)


def _without_accents(name: str) -> str:
    """Write *témoin* as *temoin*."""
    return "".join(one for one in unicodedata.normalize("NFKD", name) if one.isascii())


def _is_number(level: str) -> bool:
    try:
        float(level)
    except ValueError:
        return False
    return True


def _varies(values: pd.Series) -> bool:
    return len(values.dropna().unique()) > 1
