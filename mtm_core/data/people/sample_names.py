"""Match the samples of one table with those of another, by name.

Names are the same or they are not: a name that is nearly another is proposed, never taken for it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

_SPACES = re.compile(r"\s+")
_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])[^0-9a-z]+(?=[0-9])")
_PUNCTUATION = re.compile(r"[^0-9a-z_]+|(?<![0-9])_+|_+(?![0-9])")
_DECIMAL_ZERO = re.compile(r"^([0-9]+)\.0+$")
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_R_PREFIX = re.compile(r"^x(?=[0-9.])")
Rules = tuple[tuple[str, Callable[[str], str]], ...]


def _without_spaces(name: str) -> str:
    return _SPACES.sub("", re.sub(r"(?<=[0-9])\s+(?=[0-9])", "_", name)).casefold()


def _without_punctuation(name: str) -> str:
    """Return letters and digits; numbers stay apart, or ``1.0`` would be ``10``."""
    return _PUNCTUATION.sub("", _BETWEEN_DIGITS.sub("_", name.casefold()))


def _without_decimals(name: str) -> str:
    """Return ``7`` for ``7.0``, as programs write whole numbers among blanks."""
    return _DECIMAL_ZERO.sub(r"\1", name.casefold())


RULES: Rules = (
    ("upper and lower case", str.casefold),
    ("a decimal zero", _without_decimals),
    ("spaces", _without_spaces),
    ("punctuation", _without_punctuation),
    (
        "the X that R puts before a digit",
        lambda name: _without_punctuation(_R_PREFIX.sub("", name.casefold())),
    ),
    ("leading zeros", lambda name: _without_punctuation(_ZEROS.sub("", name.casefold()))),
)
"""Differences between two names of one sample, smallest first, with the form that ignores them."""


@dataclass(frozen=True)
class NearMatch:
    """Two names that differ in ``difference`` alone."""

    metadata: str
    expression: str
    difference: str


@dataclass(frozen=True)
class SampleMatch:
    """Samples of a metadata table against those of an expression table.

    Attributes
    ----------
    matched
        In both, in the order of the expression table.
    metadata_only, expression_only
        In one of them, in its order; those of ``near`` among them.
    near
        Pairs of the two that may be one sample.
    """

    matched: tuple[str, ...]
    metadata_only: tuple[str, ...]
    expression_only: tuple[str, ...]
    near: tuple[NearMatch, ...]


def with_sample_column(table: pd.DataFrame) -> pd.DataFrame:
    """Put the names of the samples, the index, before the columns of ``table`` as ``sample``.

    Where a column of the user's is called so, as ``sample_name``, or that with a number.
    """
    taken = {str(column).casefold() for column in table.columns}
    names = ("sample", "sample_name", *(f"sample_name_{i}" for i in range(2, len(taken) + 3)))
    name = next(name for name in names if name not in taken)
    return table.rename_axis(index=name).reset_index()


def match_samples(
    metadata: Sequence[str], expression: Sequence[str], *, rules: Rules = RULES
) -> SampleMatch:
    """Compare the names of two tables, each without duplicates.

    A near match is proposed where exactly one name that is left over on each side has the form.
    """
    described, measured = set(metadata), set(expression)
    metadata_only = [name for name in metadata if name not in measured]
    expression_only = [name for name in expression if name not in described]
    near: list[NearMatch] = []
    left, right = list(metadata_only), list(expression_only)
    for difference, form in rules:
        pairs = _unique_pairs(left, right, form)
        near += [NearMatch(a, b, difference) for a, b in pairs]
        taken_left, taken_right = {a for a, _ in pairs}, {b for _, b in pairs}
        left = [name for name in left if name not in taken_left]
        right = [name for name in right if name not in taken_right]
    return SampleMatch(
        matched=tuple(name for name in expression if name in described),
        metadata_only=tuple(metadata_only),
        expression_only=tuple(expression_only),
        near=tuple(near),
    )


def _unique_pairs(
    left: Sequence[str], right: Sequence[str], form: Callable[[str], str]
) -> list[tuple[str, str]]:
    """Return the pairs whose form no other name on either side has; an empty form names nothing."""
    n_left, n_right = Counter(map(form, left)), Counter(map(form, right))
    of_right = {form(name): name for name in right}
    return [
        (name, of_right[key])
        for name in left
        if (key := form(name)) and n_left[key] == n_right[key] == 1
    ]
