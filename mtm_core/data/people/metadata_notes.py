"""Notes on a table of metadata: its columns, which samples match, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtm_core.data.notes import Note, counted, name_some
from mtm_core.data.people.metadata_columns import ColumnValues
from mtm_core.data.people.sample_names import SampleMatch


def describe_columns(read: Mapping[str, ColumnValues]) -> list[Note]:
    """Return the notes on each column, and on those that hold no value."""
    notes = [note for column in read.values() if column.column.n_known for note in column.notes]
    empty = [name for name, column in read.items() if not column.column.n_known]
    if empty:
        notes.append(Note("info", f"No value in {name_some(empty)}.", "They were set aside."))
    if len(empty) == len(read):
        notes.append(Note("warning", "No column holds a value.", "", "Fill in age, sex or groups."))
    return notes


def describe_match(match: SampleMatch) -> list[Note]:
    """Say which samples have metadata."""
    n = len(match.matched) + len(match.expression_only)
    found = f"{len(match.matched)} of {n} samples of the expression table have metadata."
    if not match.matched:
        return [
            Note(
                "warning",
                f"No sample of the metadata is in the expression table:"
                f" {name_some(match.metadata_only, 3)} against"
                f" {name_some(match.expression_only, 3)}.",
                "No sample has metadata.",
                (
                    "Confirm the proposed names, or write the expression table's names into the "
                    "file."
                    if match.near
                    else "Write the expression table's names into a column of the file. The"
                    " template has them."
                ),
            )
        ]
    if not match.expression_only and not match.metadata_only:
        return [Note("info", found, "")]
    return [
        Note(
            "warning" if match.expression_only else "info",
            f"{found} Without: {name_some(match.expression_only)}."
            if match.expression_only
            else found,
            counted(
                len(match.metadata_only),
                "row of the metadata does not match a sample and was set aside.",
                "rows of the metadata do not match a sample and were set aside.",
            )
            if match.metadata_only
            else "Samples without metadata are not used in comparisons.",
        )
    ]


def describe_missing(read: Mapping[str, ColumnValues], samples: Sequence[str]) -> list[Note]:
    """Say how many of the samples that have metadata lack a value, column by column."""
    lacking = {
        name: int(values.text.reindex(list(samples)).isna().sum())
        for name, values in read.items()
        if values.column.n_known
    }
    shown = [f"{name} ({n})" for name, n in lacking.items() if n]
    if not shown:
        return []
    return [
        Note(
            "info",
            f"Samples without a value, of {len(samples)}: {name_some(shown, 20)}.",
            "They are not used in analyses of that column.",
        )
    ]


def describe_no_roles(roles: Mapping[str, str | None], columns: Sequence[str]) -> list[Note]:
    """Say if no column is of age or of sex: they may be named in another language."""
    lacking = [name for name, column in roles.items() if column is None]
    if not lacking or not columns:
        return []
    return [
        Note(
            "info",
            f"No column is chosen for {' or '.join(lacking)}, of {name_some(columns, 8)}.",
            f"{' and '.join(lacking).capitalize()} of these samples"
            f" {'are' if len(lacking) > 1 else 'is'} not known.",
            "If one of the columns holds it, choose it (on the command line: "
            + ", ".join(f"--{name}-column" for name in lacking)
            + ").",
        )
    ]
