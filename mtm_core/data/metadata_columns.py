"""Columns of a table of sample metadata: what each holds, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mtm_core.data.phenotypes import plain_name
from mtm_core.data.raw_table import RawTable, to_numbers
from mtm_core.data.report import Note, name_some

ColumnKind = Literal["number", "two groups", "several groups", "one value", "free text"]

MOST_GROUPS = 20
"""Levels up to which a column is taken to name groups."""


@dataclass(frozen=True)
class MetadataColumn:
    """What a column holds.

    Attributes
    ----------
    name
        As in the file.
    kind
        ``"number"``: to correlate; groups: to compare.
    n_known
        Rows with a value.
    levels
        Rows of each group, the largest first; empty where there are too many to be groups.
    """

    name: str
    kind: ColumnKind
    n_known: int
    levels: Mapping[str, int]

    @property
    def has_groups(self) -> bool:
        """Whether there are groups to compare."""
        return len(self.levels) > 1


def read_column(raw: RawTable, i: int) -> tuple[pd.Series, MetadataColumn, list[Note]]:
    """Give a column's values as numbers or text, what it holds, and what was done."""
    name = raw.name_of(i)
    text = pd.Series(raw.labels(i), name=name, dtype=object)
    text = text.mask(text == "")
    numbers = to_numbers(raw.cells[i]).astype(np.float64)
    numbers = numbers.where(np.isfinite(numbers))
    n_known, n_numbers = int(text.notna().sum()), int(numbers.notna().sum())
    if n_numbers > n_known / 2 and numbers.nunique() > 2:
        other = text[numbers.isna() & text.notna()]
        notes = []
        if len(other):
            notes.append(
                Note(
                    "warning",
                    f"{len(other)} of {n_known} cells in column {name!r} are not numbers:"
                    f" {name_some(other.unique())}.",
                    "They count as unknown.",
                    "If the column names groups, write them as words.",
                )
            )
        column = MetadataColumn(name, "number", n_numbers, _levels(as_labels(numbers)))
        return numbers.rename(name), column, notes
    levels = _levels(text)
    n_levels = int(text.nunique())
    kind: ColumnKind = "free text"
    if n_levels == 1:
        kind = "one value"
    elif n_levels == 2:
        kind = "two groups"
    elif n_levels <= min(MOST_GROUPS, n_known / 2):
        kind = "several groups"
    column = MetadataColumn(name, kind, n_known, {} if kind == "free text" else levels)
    return text, column, _describe_levels(name, column.levels)


def _levels(labels: pd.Series) -> dict[str, int]:
    counts = labels.value_counts()
    if len(counts) > MOST_GROUPS:
        return {}
    return {str(level): int(n) for level, n in counts.items()}


def as_labels(values: pd.Series) -> pd.Series:
    """Give numbers as text ("2", not "2.0"); text as it is."""
    if not pd.api.types.is_numeric_dtype(values):
        return values
    return values.map(lambda value: f"{value:.12g}", na_action="ignore").astype(object)


def _describe_levels(name: str, levels: Mapping[str, int]) -> list[Note]:
    """Warn of groups that may be one, told apart by writing alone."""
    by_form: dict[str, list[str]] = {}
    for level in levels:
        by_form.setdefault(plain_name(level), []).append(level)
    return [
        Note(
            "warning",
            f"Column {name!r} has groups that are written nearly alike: {name_some(alike)}.",
            "They were kept apart.",
            "If they are one group, write them alike in the file.",
        )
        for alike in by_form.values()
        if len(alike) > 1
    ]
