"""Metadata cut to what its page shows."""

from __future__ import annotations

import pandas as pd

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.sample_names import SampleMatch

_MOST_NAMED = 6


def near_table(match: SampleMatch) -> pd.DataFrame:
    """Return the pairs of names that may be one sample."""
    return pd.DataFrame(
        [(near.metadata, near.expression, near.difference) for near in match.near],
        columns=["in the metadata", "in the expression table", "they differ in"],
    )


def difference_table(match: SampleMatch) -> pd.DataFrame:
    """Return the names that stand in one of the two tables only."""
    parts = {
        "metadata only": match.metadata_only,
        "expression table only": match.expression_only,
    }
    return pd.DataFrame(
        [(name, where) for where, names in parts.items() for name in names],
        columns=["sample", "found in"],
    )


def columns_table(metadata: SampleMetadata) -> pd.DataFrame:
    """Return what each column holds, in words."""
    rows = []
    for column in metadata.columns:
        named = [f"{level} ({n})" for level, n in list(column.levels.items())[:_MOST_NAMED]]
        more = ", …" if len(column.levels) > _MOST_NAMED else ""
        role = {metadata.age_column: "age", metadata.sex_column: "sex"}.get(column.name, "")
        is_groups = column.kind in ("two groups", "several groups", "one value")
        rows.append(
            (column.name, column.kind, column.n_known, ", ".join(named) + more, role)
            if is_groups
            else (column.name, column.kind, column.n_known, "", role)
        )
    return pd.DataFrame(rows, columns=["column", "holds", "known", "groups", "used as"])


def words_for_none(metadata: SampleMetadata) -> list[str]:
    """Return the groups that other files write for no value, and those that the user has named."""
    markers = (marker for column in metadata.columns for marker in column.markers)
    return list(dict.fromkeys([*metadata.unknown, *markers]))
