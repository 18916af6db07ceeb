"""The groups that a command compares: ``COLUMN=CASE,CONTROL``, and ``COLUMN=GROUP`` for one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from mtm_core.data.notes import counted
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.errors import SelectionError
from mtm_core.reporting.name_lists import split_column, split_names, two_names


def group_option(option: str) -> tuple[str, str]:
    """Get column and groups of ``COLUMN=CASE,CONTROL``; the groups are read with the metadata."""
    column, text = split_column(option)
    if "," not in text:
        two_names(text)
    return column, text


def pair_of_groups(known: SampleMetadata, column: str, text: str) -> tuple[str, str, str]:
    """Return column, cases and controls, as the metadata write them."""
    levels = [str(level) for level in known.groups(column).dropna().unique()]
    case, control = two_names(text, levels)
    return column, known.level(column, case), known.level(column, control)


def reference_option(option: str) -> tuple[str, str]:
    """Get column and group of ``COLUMN=GROUP``; the group is read with the metadata."""
    return split_column(option, "--reference", "COLUMN=GROUP")


def references_of(
    options: Sequence[str], known: SampleMetadata, used: Collection[str]
) -> dict[str, str]:
    """Return the reference group of each column that ``options`` name, as the metadata write it.

    Raises
    ------
    SelectionError
        If a column is not among ``used``, is named twice, or does not have the group.
    """
    found: dict[str, str] = {}
    for column, text in map(reference_option, options):
        if column not in used:
            raise SelectionError(
                f"--reference names {column!r}, which is neither a trait nor in the formula."
            )
        if column in found:
            raise SelectionError(f"--reference names {column!r} twice. Give it one group.")
        names = split_names(text)
        found[column] = known.level(column, names[0] if len(names) == 1 else text.strip())
    return found


def counts_in_words(groups: pd.Series, case: str, control: str) -> str:
    """Say how many samples each group has, and how many take no part."""
    n = {name: int((groups == name).sum()) for name in (case, control)}
    unknown = int(groups.isna().sum())
    others = len(groups) - sum(n.values()) - unknown
    words = f"Comparing {n[case]} samples of {case!r} with {n[control]} of {control!r}"
    elsewhere = counted(others, "sample is", "samples are")
    return f"{words}; {elsewhere} of other groups, {counted(unknown, 'has', 'have')} no value."
