"""Contrasts of a design: two groups of a column, a slope, or all coefficients of a term."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.people.metadata_columns import level_named
from mtm_core.errors import SelectionError
from mtm_core.studies.formula import Factor, Term, parse_term, term_text


@dataclass(frozen=True)
class ContrastText:
    """A contrast as it is asked for.

    Attributes
    ----------
    term
        Term whose coefficients are tested.
    groups
        Cases and controls, where two groups are compared.
    """

    term: Term
    groups: tuple[str, str] | None = None


@dataclass(frozen=True)
class Contrast:
    """A contrast of the coefficients.

    Attributes
    ----------
    text
        As it was asked for.
    name
        Short.
    meaning
        In words.
    unit
        Unit of the effect: log2 expression, per what.
    rows
        (K, P).
    columns
        Columns of the metadata that are compared.
    """

    text: ContrastText
    name: str
    meaning: str
    unit: str
    rows: NDArray[np.float64]
    columns: tuple[str, ...]

    @property
    def is_single(self) -> bool:
        """Whether there is one effect, with a sign, and not several tested together."""
        return len(self.rows) == 1


Asked = str | tuple[str, str, str]
"""A contrast: a term (``age``, ``group:sex``), or column, cases and controls."""


def read_contrast(asked: Asked, columns: Collection[str]) -> ContrastText:
    """Find the columns of a contrast that is asked for.

    Raises
    ------
    SelectionError
        If it names no column.
    """
    if isinstance(asked, str):
        return ContrastText(parse_term(asked, columns))
    column, case, control = asked
    return ContrastText(parse_term(column, columns), (case, control))


def contrast_of(
    asked: ContrastText,
    terms: Sequence[Term],
    places: Mapping[Term, tuple[int, ...]],
    names: Sequence[str],
    levels: Mapping[Factor, tuple[str, ...]],
    values: pd.DataFrame,
) -> Contrast:
    """Return the rows of a contrast, and what it is in words.

    Raises
    ------
    SelectionError
        If its term is not in the formula, or its groups are not of the column.
    """
    term = _found(asked.term, terms)
    at = ""
    others = [other for other in terms if set(term) < set(other)]
    if others:
        beside = dict.fromkeys(f for other in others for f in other if f not in term)
        at = ", at " + ", ".join(
            f"{f.column} {levels[f][0]}"
            if f in levels
            else f"{f.column} {values[f.column].mean():.4g}"
            for f in beside
        )
    columns = tuple(factor.column for factor in term)
    if asked.groups is not None:
        return _of_groups(asked, term, places[term], names, levels, at, columns)
    own = places[term]
    rows = np.eye(len(names))[list(own)]
    name = term_text(term)
    if len(term) > 1:
        between = " and ".join(repr(column) for column in columns)
        return Contrast(asked, name, f"interaction of {between}{at}", "", rows, columns)
    factor = term[0]
    if factor not in levels:
        unit = f"for 1 of {factor.column}"
        return Contrast(asked, name, f"change with {factor.column}{at}", unit, rows, columns)
    first, *rest = levels[factor]
    if len(rest) == 1:
        return Contrast(asked, name, f"{rest[0]} against {first}{at}", "", rows, columns)
    meaning = f"any difference between the {len(rest) + 1} groups of {factor.column}{at}"
    return Contrast(asked, name, meaning, "", rows, columns)


def _found(term: Term, terms: Sequence[Term]) -> Term:
    by_columns = {frozenset(f.column for f in own): own for own in terms}
    found = by_columns.get(frozenset(f.column for f in term))
    if found is None:
        raise SelectionError(
            f"the contrast {term_text(term)!r} is not a term of the formula, which has"
            f" {', '.join(term_text(own) for own in terms)}. Choose one of these, or add it to the"
            " formula."
        )
    return found


def _of_groups(
    asked: ContrastText,
    term: Term,
    own: Sequence[int],
    names: Sequence[str],
    levels: Mapping[Factor, tuple[str, ...]],
    at: str,
    columns: tuple[str, ...],
) -> Contrast:
    assert asked.groups is not None
    factor = term[0]
    if len(term) > 1 or factor not in levels:
        raise SelectionError(
            f"{term_text(term)!r} has no groups to compare: it is"
            f" {'an interaction' if len(term) > 1 else 'read as numbers'}. Test it as a whole"
            f" ({term_text(term)})"
            + ("." if len(term) > 1 else f", or write C({factor.column}) in the formula.")
        )
    case, control = (level_named(name, levels[factor]) for name in asked.groups)
    if case == control:
        raise SelectionError(f"{case!r} is compared with itself. Choose two different groups.")
    row = np.zeros((1, len(names)))
    for level, sign in ((case, 1), (control, -1)):
        place = levels[factor].index(level)
        if place:  # the reference has no coefficient
            row[0, own[place - 1]] = sign
    meaning = f"{case} against {control}"
    return Contrast(asked, f"{factor.column}: {meaning}", f"{meaning}{at}", "", row, columns)
