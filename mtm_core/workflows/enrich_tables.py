"""Tables of results read from files, of any format, a bounded number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from mtm_core.data.files.table_bytes import GZIP
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.grouped_table import TableOnDisk
from mtm_core.workflows.enrich_options import EnrichOptions

MOST_ROWS = 3_000_000
"""Rows of a table that are read at a time: 48 tissues x 19,291 genes are 926,000."""
_ROWS_LOOKED_AT = 1_000
_COMMA = r"-?\d+,\d+(?:[eE][+-]?\d+)?"
"""A number with a decimal comma."""
_SELECTED_BY = ("tissue", "trait", "method", "contrast")


def tables_of(options: EnrichOptions) -> Iterator[pd.DataFrame]:
    """Read the rows that are asked for; of a table in groups, a trait at a time.

    Raises
    ------
    InputFileError
        If it is no table, or has too many rows to be read at a time.
    SelectionError
        If it has no row of what is asked for.
    """
    where = {
        name: list(names)
        for name, names in zip(
            _SELECTED_BY,
            (options.tissues, options.traits, options.methods, options.contrasts),
            strict=True,
        )
        if names
    }
    path = options.table
    try:
        with path.open("rb") as file:
            start = file.read(4)
        stored = TableOnDisk.open(path) if start == b"PAR1" else None
        if stored is not None:
            yield from _stored(stored, where)
            return
        table = _parquet(path, where) if start == b"PAR1" else _text(path, start)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputFileError(
            f"{path.name} cannot be read as a table of results ({reason}). Expected csv, tsv or"
            " parquet."
        ) from error
    yield _chosen(table, where)


def _stored(stored: TableOnDisk, where: Mapping[str, list[str]]) -> Iterator[pd.DataFrame]:
    outer = [name for name in stored.keys if name != "tissue"]
    groups = stored.groups()
    for name, names in where.items():
        _check_known(groups, name, names)
        groups = groups[groups[name].isin(names)]
    for key in dict.fromkeys(groups[outer].itertuples(index=False, name=None)):
        named = dict(zip(outer, key, strict=True))
        inner = {name: where[name] for name in where if name not in named}
        yield stored.read({**named, **inner})


def _parquet(path: Path, where: Mapping[str, list[str]]) -> pd.DataFrame:
    n_rows = pq.read_metadata(path).num_rows
    if n_rows > MOST_ROWS and not where:
        raise InputFileError(
            f"{path.name} has {n_rows:,} rows; at most {MOST_ROWS:,} are read at a time. Choose"
            " tissues, traits or a method (--tissues, --traits, --methods)."
        )
    names = pq.read_schema(path).names
    filters = [(name, "in", values) for name, values in where.items() if name in names]
    return pq.read_table(path, filters=filters or None).to_pandas(ignore_metadata=True)


def _text(path: Path, start: bytes) -> pd.DataFrame:
    compression = "gzip" if start.startswith(GZIP) else None
    head = pd.read_csv(path, sep="\x01", header=None, nrows=1, dtype=str, compression=compression)
    line = str(head.iloc[0, 0])
    separator = max("\t,;", key=line.count)
    if not line.count(separator):
        raise ValueError("its first line has one column")
    read = partial(pd.read_csv, path, sep=separator, compression=compression, low_memory=False)
    first = read(nrows=_ROWS_LOOKED_AT, dtype=str)
    has_commas = first.apply(lambda column: column.str.fullmatch(_COMMA, na=False).any())
    table = read(
        decimal="," if separator != "," and has_commas.any() else ".",
        nrows=MOST_ROWS + 1,
        dtype=dict.fromkeys(
            ("tissue", "gene_id", "gene", "contrast", "origin", "scale"), "category"
        ),
    )
    if len(table) > MOST_ROWS:
        raise ValueError(f"it has more than {MOST_ROWS:,} rows: give one trait or method")
    if not isinstance(table.index, pd.RangeIndex):  # R's write.table: no name above the genes
        return table.reset_index(names="gene_id")
    if str(table.columns[0]).startswith("Unnamed"):  # R's write.csv
        return table.rename(columns={table.columns[0]: "gene_id"})
    return table


def _chosen(table: pd.DataFrame, where: Mapping[str, list[str]]) -> pd.DataFrame:
    for name, names in where.items():
        _check_known(table, name, names)
        table = table[table[name].isin(names)]
    if "method" in table and len(table["method"].unique()) > 1:
        known = [str(method) for method in table["method"].unique()]
        raise SelectionError(
            f"the table has results of several methods ({', '.join(known[:6])}). Name one"
            " (--methods)."
        )
    return table


def _check_known(table: pd.DataFrame, name: str, names: Sequence[str]) -> None:
    if name not in table:
        raise SelectionError(f"rows cannot be chosen by {name}: the table has no such column.")
    known = [str(value) for value in table[name].unique()]
    unknown = [value for value in names if value not in known]
    if unknown:
        raise SelectionError.unknown(name, unknown, known)
