"""Which rows and columns a table of metadata has: samples in rows, named by one of the columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mtm_core.data.files.raw_table import RawTable
from mtm_core.data.notes import counted, name_some
from mtm_core.data.people.phenotypes import plain_name
from mtm_core.data.people.sample_names import match_samples
from mtm_core.errors import InputFileError

_MOST_COLUMNS = 1_000
_SAMPLE_NAMES = frozenset(
    {"sample", "sample_id", "sampleid", "sample_name", "id", "name", "subject", "sampid"}
)


def check_shape(raw: RawTable, samples: Sequence[str]) -> None:
    """Refuse a table that is no metadata, or has samples in columns.

    Raises
    ------
    InputFileError
        If it is.
    """
    if raw.format.removesuffix(".gz") in ("gct", "h5ad") or len(raw.header) > _MOST_COLUMNS:
        raise InputFileError(
            f"a {raw.format} with {len(raw.header):,} columns looks like an expression table."
            " Expected metadata: one row per sample, with columns such as age, sex and group, as "
            "csv, tsv,"
            " xlsx or parquet."
        )
    if len(raw.header) < 2:
        raise InputFileError(
            f"the table has one column, {raw.name_of(0)!r}. Expected a column with the samples'"
            " names and at least one column with information about them."
        )
    known = set(samples)
    across = sum(name in known for name in raw.header)
    down = max(sum(label in known for label in raw.labels(i)) for i in range(len(raw.header)))
    if across > max(1, down):
        raise InputFileError(
            f"samples are in the columns ({across} names of the expression table are in the"
            " header). Transpose the table, so that each row is a sample."
        )


def sample_column(raw: RawTable, samples: Sequence[str]) -> int:
    """Return the column with most of ``samples``, near matches counted; else one so named."""

    def evidence(column: int) -> tuple[int, int, int]:
        labels = list(dict.fromkeys(raw.labels(column)))
        match = match_samples(labels, samples)
        return (
            len(match.matched),
            len(match.near),
            plain_name(raw.header[column]) in _SAMPLE_NAMES,
        )

    return max(range(len(raw.header)), key=lambda i: (*evidence(i), -i))


def check_names(index: pd.Index, raw: RawTable, label: int) -> None:
    """Refuse a sample without a name, and two samples or two columns of one name.

    Raises
    ------
    InputFileError
        If there is one.
    """
    if (index == "").any():
        raise InputFileError(
            f"row {int(np.argmax(index == '')) + 1} has no name in column {raw.name_of(label)!r}."
            " Name every sample."
        )
    if index.has_duplicates:
        twice = index[index.duplicated()].unique()
        raise InputFileError(
            f"{counted(len(twice), 'sample is', 'samples are')} duplicated in column"
            f" {raw.name_of(label)!r}: {name_some(twice)}. Keep one row per sample."
        )
    names = pd.Index([raw.name_of(i) for i in range(len(raw.header))])
    if names.has_duplicates:
        raise InputFileError(
            f"two columns are named {names[names.duplicated()][0]!r}. Give each its own name."
        )
