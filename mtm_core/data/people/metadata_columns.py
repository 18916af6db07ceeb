"""Columns of a table of sample metadata: what each holds, and what can be done with it.

A cell stays as it is written. Whether ``NA`` or ``None`` is a group or no value depends on the
column, is said, and can be said otherwise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mtm_core.data.files.raw_table import to_numbers
from mtm_core.data.notes import Note, name_some
from mtm_core.data.people.phenotypes import AGE_NAMES, plain_name
from mtm_core.errors import SelectionError

ColumnKind = Literal["number", "two groups", "several groups", "one value", "free text"]

MOST_GROUPS = 20
"""Levels up to which a column is taken to name groups."""
_MARKERS = frozenset(
    {"na", "n/a", "#n/a", "nan", "null", "none", "<na>", "nat", ".", "#null!", "-", "--", "?"}
    | {"n.a.", "n.d.", "n/d", "unk", "unknown", "missing", "not known", "not available"}
    | {"not applicable", "not reported", "not collected", "not determined"}
)
"""Texts that are written for a missing value, in lower case. Some are also names of groups."""
_SENTINELS = (-9.0, -99.0, -999.0, -9999.0, 999.0, 9999.0, 99999.0)
"""Numbers that are written for a missing value."""
_FAR = 2.0
"""So many times the largest other value and more, ``999`` is no such value."""
_WITH_UNIT = re.compile(r"[-+]?\d+([.,]\d+)?\s*([^\d\s.,]\S*)")
_TRUTH = frozenset({"true", "false"})
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+")


@dataclass(frozen=True)
class MetadataColumn:
    """A column of metadata.

    Attributes
    ----------
    name
        As in the file.
    kind
        ``"number"``: to correlate; groups: to compare.
    n_known
        Rows with a value.
    levels
        Rows of each group, the largest first; empty if there are too many to be groups.
    markers
        Groups and numbers of it that other files write for no value, such as ``NA`` and ``-9``.
    """

    name: str
    kind: ColumnKind
    n_known: int
    levels: Mapping[str, int]
    markers: tuple[str, ...] = ()

    @property
    def has_groups(self) -> bool:
        """Whether there are groups to compare."""
        return len(self.levels) > 1


@dataclass(frozen=True)
class ColumnValues:
    """A column with its values, by row of the file.

    Attributes
    ----------
    column
        The column and its values.
    text
        As written, NaN where there is no value.
    numbers
        float64, NaN where there is none; only of a column of numbers.
    notes
        Findings, and what was done about them.
    """

    column: MetadataColumn
    text: pd.Series
    numbers: pd.Series | None
    notes: tuple[Note, ...]


def read_column(name: str, text: pd.Series, unknown: Collection[str] = ()) -> ColumnValues:
    """Find out what a column holds.

    Parameters
    ----------
    name
        Name of the column.
    text
        Its cells as written, trimmed, NaN where blank.
    unknown
        Words that the user has said mean no value.
    """
    text = text.mask(text.isin(list(unknown)))
    is_marker = text.map(_is_marker, na_action="ignore").eq(True)
    filled = text[~is_marker & text.notna()]
    numbers, number_notes = _numbers(name, text.mask(is_marker))
    n_numbers = int(numbers.notna().sum())
    notes: list[Note] = list(number_notes)
    if n_numbers and n_numbers > len(filled) / 2 and (n_numbers == len(filled) or _many(numbers)):
        notes += _say_markers_unknown(name, text[is_marker], len(text))
        text = text.mask(is_marker)
        if _many(numbers):
            return _number_column(name, text, numbers, notes)
    elif filled.empty:
        text = text.mask(is_marker)
    elif is_marker.any():
        notes += _say_markers_read(name, text[is_marker])
    levels = _levels(text)
    n_levels, n_known = int(text.nunique()), int(text.notna().sum())
    kind: ColumnKind = "free text"
    if n_levels == 1:
        kind = "one value"
    elif n_levels == 2:
        kind = "two groups"
    elif n_levels <= min(MOST_GROUPS, n_known / 2):
        kind = "several groups"
    if kind == "free text":
        levels = {}
        notes += _describe_units(name, filled)
    markers = tuple(level for level in levels if _is_marker(level))
    column = MetadataColumn(name, kind, n_known, levels, markers)
    return ColumnValues(column, text, None, (*notes, *_describe_levels(name, levels)))


def level_named(asked: str, levels: Collection[str]) -> str:
    """Return the one of ``levels`` that ``asked`` names.

    The same text is; and where no level is, ``true`` for ``TRUE``, ``1`` for ``1.0``, and the same
    text but for spaces around it, where exactly one level is meant.

    Raises
    ------
    SelectionError
        If there is none.
    """
    if asked in levels:
        return asked
    for form in (str.strip, _truth, _number):
        alike = [level for level in levels if (key := form(level)) and key == form(asked)]
        if len(alike) == 1:
            return alike[0]
    raise SelectionError.unknown("group", [asked], sorted(levels))


def in_order(levels: Iterable[str]) -> list[str]:
    """Sort groups: numbers by size, ``2`` before ``10``, where all are numbers; else as text."""
    every = list(levels)
    return (
        sorted(every, key=lambda one: (float(one), one))
        if all(map(_number, every))
        else sorted(every)
    )


def _truth(level: str) -> str:
    word = level.strip().casefold()
    return word if word in _TRUTH else ""


def _number(level: str) -> str:
    try:
        return f"{float(level):.15g}"
    except ValueError:
        return ""


def _is_marker(cell: str) -> bool:
    return cell.casefold() in _MARKERS


def _many(numbers: pd.Series) -> bool:
    return bool(numbers.nunique() > 2)


def _numbers(name: str, text: pd.Series) -> tuple[pd.Series, list[Note]]:
    """Get the cells that are numbers as float64; commas are decimal ones where all can only be."""
    numbers = to_numbers(text).astype(np.float64)
    left = text[numbers.isna() & text.notna()]
    commas = left[left.map(lambda cell: _DECIMAL_COMMA.fullmatch(cell) is not None)]
    notes = []
    if len(commas) and len(commas) == len(left):
        if commas.map(lambda cell: _THOUSANDS.fullmatch(cell) is not None).all():
            notes.append(
                Note(
                    "warning",
                    f"Cells of column {name!r}, such as {commas.iloc[0]!r}, may have a thousands"
                    " separator or a decimal comma.",
                    "They were not read as numbers.",
                    "Write numbers without thousands separators and with decimal points.",
                )
            )
        else:
            numbers = numbers.fillna(to_numbers(commas.str.replace(",", ".")))
            notes.append(
                Note(
                    "info",
                    f"Column {name!r} has decimal commas, such as {commas.iloc[0]!r}.",
                    "They were read as decimal points.",
                )
            )
    return numbers.where(np.isfinite(numbers)).rename(name), notes


def _number_column(
    name: str, text: pd.Series, numbers: pd.Series, notes: list[Note]
) -> ColumnValues:
    other = text[numbers.isna() & text.notna()]
    if len(other):
        notes.append(
            Note(
                "warning",
                f"{len(other)} of {int(text.notna().sum())} cells in column {name!r} are not"
                f" numbers: {name_some(other.unique())}.",
                "They are read as unknown.",
                "If the column names groups, write them as words.",
            )
        )
        text = text.mask(numbers.isna())
    sentinels = () if plain_name(name) in AGE_NAMES else _sentinels(text, numbers)
    if sentinels:
        notes.append(_say_sentinels(name, text, numbers, sentinels))
    n_known = int(numbers.notna().sum())
    column = MetadataColumn(name, "number", n_known, _levels(text), sentinels)
    return ColumnValues(column, text, numbers, tuple(notes))


def _sentinels(text: pd.Series, numbers: pd.Series) -> tuple[str, ...]:
    """Return the cells that may be written for no value: ``-9`` where all others are 0 or more."""
    others = numbers[~numbers.isin(_SENTINELS)].dropna()
    if others.empty:
        return ()
    low, high = float(others.min()), float(others.max())
    found = [
        number
        for number in _SENTINELS
        if (number < 0 <= low or number > max(0.0, high) * _FAR) and (numbers == number).any()
    ]
    return tuple(str(cell) for cell in text[numbers.isin(found)].unique())


def _say_sentinels(
    name: str, text: pd.Series, numbers: pd.Series, sentinels: Sequence[str]
) -> Note:
    others = numbers[~text.isin(sentinels)]
    n = int(text.isin(sentinels).sum())
    return Note(
        "warning",
        f"{n} of {len(numbers)} cells in column {name!r} read {name_some(sentinels)}, which many"
        f" write for no value; all others lie between {others.min():g} and {others.max():g}.",
        "They were read as numbers.",
        "If they mean that nothing is known, say so (on the command line:"
        f" --unknown={','.join(sentinels)}), or leave the cells blank.",
    )


def _describe_units(name: str, cells: pd.Series) -> list[Note]:
    """Say where text is numbers with one unit behind them, such as ``5 %``."""
    found = [_WITH_UNIT.fullmatch(cell) for cell in cells]
    units = {match.group(2) for match in found if match is not None}
    if len(units) != 1 or not all(found):
        return []
    return [
        Note(
            "info",
            f"Column {name!r} has numbers with a unit, such as {cells.iloc[0]!r}.",
            "They were read as text.",
            "To use them as numbers, write them without the unit.",
        )
    ]


def _say_markers_unknown(name: str, markers: pd.Series, n: int) -> list[Note]:
    if markers.empty:
        return []
    return [
        Note(
            "info",
            f"{len(markers)} of {n} cells in column {name!r}, of numbers, are"
            f" {name_some(markers.unique())}.",
            "They are read as unknown.",
        )
    ]


def _say_markers_read(name: str, markers: pd.Series) -> list[Note]:
    counts = markers.value_counts()
    shown = ", ".join(f"{marker!r} ({n})" for marker, n in counts.items())
    return [
        Note(
            "warning",
            f"Column {name!r} has cells that read {shown}: a group, or no value.",
            "They were read as a group of that name.",
            "If they mean that nothing is known, say so (on the command line: --unknown"
            f" {counts.index[0]}), or leave the cells blank.",
        )
    ]


def _levels(labels: pd.Series) -> dict[str, int]:
    counts = labels.value_counts()
    if len(counts) > MOST_GROUPS:
        return {}
    return {str(level): int(n) for level, n in counts.items()}


def _describe_levels(name: str, levels: Mapping[str, int]) -> list[Note]:
    """Warn of groups that may be one, distinguished by spelling alone."""
    by_form: dict[str, list[str]] = {}
    for level in levels:
        by_form.setdefault(_writing(level), []).append(level)
    return [
        Note(
            "warning",
            f"Column {name!r} has groups with nearly the same spelling: {name_some(alike)}.",
            "They were read as different groups.",
            "If they are the same group, spell them the same way in the file.",
        )
        for alike in by_form.values()
        if len(alike) > 1
    ]


def _writing(level: str) -> str:
    """Return what is left of a name without case, width, and what separates words."""
    plain = unicodedata.normalize("NFKC", level).casefold()
    if number := _number(plain):
        return number
    return re.sub(r"[\s_-]+(?=\w)|[\s_]+", "", plain) or plain


def describe_spaces(name: str, written: Sequence[str]) -> list[Note]:
    """Say where cells are one group only because spaces around them are not counted."""
    by_name: dict[str, set[str]] = {}
    for cell in written:
        by_name.setdefault(cell.strip(), set()).add(cell)
    merged = [forms for cell, forms in by_name.items() if cell and len(forms) > 1]
    if not merged:
        return []
    return [
        Note(
            "info",
            f"Column {name!r} has cells that differ only in spaces around them, such as"
            f" {name_some(sorted(merged[0]), 2)}.",
            "They were read as the same value.",
        )
    ]
