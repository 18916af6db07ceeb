"""How much of a difference between groups alignment by batch removes, or further tables may make.

Aligned by itself, each batch has the same mean in every gene. Where batches hold cases and controls
in different shares, part of the difference between the two goes. For a column of 0 and 1 that part
is R squared of the column on the batches, whatever the gene: 0 where every batch has the same
share of cases, 1 where each batch holds cases or controls only. A batch of one or two samples is
aligned with all samples together, which takes nothing away.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mtm_core.data.notes import Note
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.inference.batch_parameters import LEAST_OF_BATCH
from mtm_core.inference.together import Together
from mtm_core.studies.sample_labels import groups_of

SHARE_TO_WARN = 0.2
_ALL = 0.999


def share_removed(groups: pd.Series, batch: pd.Series) -> pd.Series:
    """Return what share of each group's difference from the others alignment by batch removes.

    Parameters
    ----------
    groups, batch
        Group and batch of each sample, NaN if unknown; samples without both are ignored.

    Returns
    -------
    pandas.Series
        By group, 0 to 1; groups that all samples or none are of are left out.
    """
    both = pd.DataFrame({"group": groups, "batch": batch}).dropna()
    sizes = batch.astype(str).value_counts()
    has_own = both["batch"].astype(str).map(sizes) >= LEAST_OF_BATCH
    shares = {}
    for name in sorted(both["group"].astype(str).unique()):
        is_in = (both["group"].astype(str) == name).astype(np.float64)
        total = ((is_in - is_in.mean()) ** 2).sum()
        if total > 0:
            of_batch = is_in.groupby(both["batch"].astype(str)).transform("mean")
            of_batch = of_batch.where(has_own, is_in.mean())
            shares[name] = float(((of_batch - is_in.mean()) ** 2).sum() / total)
    return pd.Series(shares, dtype=np.float64, name="share_removed")


def batches_and_groups(known: SampleMetadata, column: str) -> pd.DataFrame:
    """Return what alignment by the batches of ``column`` takes from every other column's groups.

    Returns
    -------
    pandas.DataFrame
        One row a group: ``column``, ``group``, ``share_removed``; the largest first.

    Raises
    ------
    SelectionError
        If there is no such column.
    """
    batch = known.text(column)
    parts = [
        share_removed(known.groups(name), batch)
        .rename_axis("group")
        .reset_index()
        .assign(column=name)
        for name in groups_of(known)
        if name != column
    ]
    names = ["column", "group", "share_removed"]
    rows = pd.concat(parts) if parts else pd.DataFrame(columns=names)
    return rows[names].sort_values("share_removed", ascending=False, ignore_index=True)


def describe_batches_and_groups(known: SampleMetadata, column: str) -> list[Note]:
    """Warn of columns whose groups coincide with the batches of ``column``, or nearly so."""
    rows = batches_and_groups(known, column)
    notes = []
    for name, part in rows.groupby("column", sort=False):
        most = part.iloc[0]
        share = float(most["share_removed"])
        if share < SHARE_TO_WARN:
            continue
        if share > _ALL:
            found = (
                f"The batches of {column!r} and the groups of {str(name)!r} coincide: every batch"
                f" holds only {most['group']!r}, or none of it."
            )
            done = (
                "Alignment by batch removes the whole difference between these groups from what is"
                " predicted: these data cannot separate the two."
            )
        else:
            found = (
                f"The batches of {column!r} hold the groups of {str(name)!r} in different shares."
            )
            done = (
                f"Alignment by batch removes {share:.0%} of the difference between"
                f" {most['group']!r} and the others from what is predicted."
            )
        notes.append(
            Note(
                "warning",
                found,
                done,
                f"If you compare the groups of {str(name)!r}, look at the measured tissue, which is"
                " not aligned, or predict without batches.",
            )
        )
    return notes


def describe_tables_and_groups(known: SampleMetadata, people: Together) -> list[Note]:
    """Warn of columns whose groups have further tables in different shares, such as cases alone.

    Who has more tables is predicted from more: the predictions vary more, and each table is aligned
    by itself, which takes away what its people have in common.

    Parameters
    ----------
    known
        Metadata of the people of the first table.
    people
        The people of all tables.
    """
    given = pd.DataFrame(people.is_given, list(people.samples), list(people.sources))
    notes = []
    for name in groups_of(known):
        groups = known.groups(name).dropna()
        groups.index = groups.index.astype(str)
        own = given.reindex(groups.index.intersection(given.index))
        groups = groups.reindex(own.index)
        for tissue in people.sources[1:]:
            share = share_removed(groups, own[tissue]).max()
            if not share >= SHARE_TO_WARN:
                continue
            counts = own.groupby(groups.astype(str))[tissue]
            shown = ", ".join(
                f"{int(has.sum())} of {len(has)} of {group!r}" for group, has in counts
            )
            notes.append(
                Note(
                    "warning",
                    f"The groups of {str(name)!r} have {tissue} in different shares: {shown}.",
                    "Who has it is predicted from more, and it is aligned among those who have it:"
                    " both alone can make differences between these groups in predicted tissues, or"
                    " hide them.",
                    f"If you compare the groups of {str(name)!r}, predict from the first table"
                    " alone, or take only people with all tables.",
                )
            )
    return notes
