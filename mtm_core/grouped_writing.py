"""Write long tables of genes so that they are read by group and column.

Of a long table numbers keep ``STORED_BITS`` of their fraction, four digits, and each group lies in
row groups of its own (:mod:`mtm_core.grouped_table`). Short tables are stored to the last digit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mtm_core.bit_rounding import rounded
from mtm_core.grouped_table import GENE, LAYOUT, GroupedTable, TableInMemory, as_grouped

LONGEST_EXACT = 250_000
"""Rows up to which a table is stored to the last digit and read whole."""
STORED_BITS = 12
"""Bits of the fraction of a number stored compactly: it moves by at most 1 part in 8,192."""
ROWS_A_GROUP = 4096
"""Genes of one row group: what reading a single gene decodes."""
_DOUBLE = frozenset({"p", "fdr"})
"""The smallest p-values are below the least number of single precision."""


def save_grouped(
    table: pd.DataFrame | GroupedTable, path: Path, keys: Sequence[str], *, genes_vary: bool = False
) -> None:
    """Write a table to ``path``: to the last digit where it is short, else compactly, in groups.

    Parameters
    ----------
    keys
        Columns that a group is known by.
    genes_vary
        Whether groups may have different genes.
    """
    if isinstance(table, pd.DataFrame) and len(table) <= LONGEST_EXACT:
        table.to_parquet(path, index=False, compression="zstd")
        return
    source = as_grouped(table, keys)
    with write_grouped(path, keys, genes_vary=genes_vary) as writer:
        if isinstance(source, TableInMemory):
            for _, part in source.frame.groupby(list(keys), sort=False, observed=True):
                writer.add(part)
        else:
            for group in source.groups().to_dict("records"):
                writer.add(source.read({str(key): str(value) for key, value in group.items()}))


class GroupWriter:
    """Writes one group after another."""

    def __init__(
        self,
        path: Path,
        keys: Sequence[str],
        rows_a_group: int,
        *,
        genes_vary: bool,
        step: float | None,
    ) -> None:
        self._path, self._keys, self._rows = path, list(keys), rows_a_group
        self._genes_vary, self._step = genes_vary, step
        self._writer: pq.ParquetWriter | None = None
        self._first: NDArray[np.object_] | None = None

    def add(self, rows: pd.DataFrame) -> None:
        """Write the rows of one group; every group has the same columns.

        Raises
        ------
        ValueError
            If they are of several groups, or the genes differ from the first group's.
        """
        for key in self._keys:
            values = rows[key].unique()
            if len(values) != 1:
                raise ValueError(f"expected rows of one {key}, got {len(values)}")
        genes = rows[GENE].to_numpy(dtype=object)
        if self._first is None:
            self._first = genes
        if not self._genes_vary and not np.array_equal(genes, self._first):
            raise ValueError("expected the same genes, in the same order, in every group")
        if self._writer is None:
            self._writer = self._open(rows)
        schema = self._writer.schema
        columns = [
            pa.array(self._compact(rows[name], pa_type), type=pa_type, from_pandas=True)
            for name, pa_type in zip(schema.names, schema.types, strict=True)
        ]
        table = pa.table(columns, schema=schema)
        self._writer.write_table(table, row_group_size=self._rows)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()

    def _compact(self, column: pd.Series, pa_type: pa.DataType) -> object:
        if pa.types.is_floating(pa_type):
            dtype = np.float64 if pa.types.is_float64(pa_type) else np.float32
            values = column.to_numpy(dtype)
            if self._step is None:
                return rounded_bits(values)
            return np.rint(values / self._step) * self._step
        if pa.types.is_dictionary(pa_type):
            return pd.Categorical(column.astype(object))
        return cast("object", column.to_numpy())

    def _open(self, rows: pd.DataFrame) -> pq.ParquetWriter:
        types = {str(name): _type_of(str(name), rows[name]) for name in rows}
        order = [*self._keys, GENE, *(n for n in types if n not in {*self._keys, GENE})]
        layout = {"keys": self._keys, "same_genes": not self._genes_vary}
        schema = pa.schema(
            [(name, types[name]) for name in order],
            metadata={LAYOUT: json.dumps(layout).encode()},
        )
        coded = {GENE: "DELTA_BYTE_ARRAY"}
        split = [name for name in order if pa.types.is_floating(types[name])]
        return pq.ParquetWriter(
            self._path,
            schema,
            compression="zstd",
            compression_level=6,
            use_dictionary=[n for n in order if n not in {*split, *coded}],
            use_byte_stream_split=split,
            column_encoding=coded,
            write_statistics=self._keys,
        )


@contextmanager
def write_grouped(
    path: Path,
    keys: Sequence[str],
    *,
    rows_a_group: int = ROWS_A_GROUP,
    genes_vary: bool = False,
    step: float | None = None,
) -> Iterator[GroupWriter]:
    """Write a table group by group, compactly; at least one group must come.

    Parameters
    ----------
    keys
        Columns that a group is known by.
    rows_a_group
        Genes of one row group.
    genes_vary
        Whether groups may have different genes.
    step
        Step to round numbers to multiples of, instead of their own ``STORED_BITS``.
    """
    writer = GroupWriter(path, keys, rows_a_group, genes_vary=genes_vary, step=step)
    try:
        yield writer
    finally:
        writer.close()


class HeldRows:
    """Rows of groups, held in memory in the order that they are given, not that they come in."""

    def __init__(self) -> None:
        self._parts: list[tuple[tuple[int, ...], pd.DataFrame]] = []
        self.n_rows = 0

    def add(self, rows: pd.DataFrame, order: tuple[int, ...]) -> None:
        """Take the rows of one group; ``order`` is its place among the others."""
        self._parts.append((order, rows))
        self.n_rows += len(rows)

    def take(self) -> list[pd.DataFrame]:
        """Return the groups that have rows, or else all, and hold none any more."""
        parts = [rows for _, rows in sorted(self._parts, key=lambda part: part[0])]
        self._parts, self.n_rows = [], 0
        return [rows for rows in parts if len(rows)] or parts

    def table(self) -> pd.DataFrame:
        """Return all rows as one table, and hold none any more."""
        parts = self.take()
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


class GrowingTable(HeldRows):
    """A table written as its groups come: no more than a short one is ever held.

    A table that stays short is stored as :func:`save_grouped` does. Of a long one the groups lie in
    the order that they came in.
    """

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        super().__init__()
        self._path, self._keys = path, list(keys)
        self._writer: GroupWriter | None = None

    def add(self, rows: pd.DataFrame, order: tuple[int, ...]) -> None:
        """Write the rows of one group, or hold them while the table is short."""
        super().add(rows, order)
        if self._writer is None and self.n_rows > LONGEST_EXACT:
            self._writer = GroupWriter(
                self._path, self._keys, ROWS_A_GROUP, genes_vary=True, step=None
            )
        if self._writer is not None:
            for part in self.take():
                if len(part):
                    self._writer.add(part)

    def close(self) -> None:
        """Finish the file."""
        if self._writer is None:
            save_grouped(self.table(), self._path, self._keys, genes_vary=True)
        else:
            self._writer.close()


@contextmanager
def growing_table(path: Path, keys: Sequence[str]) -> Iterator[GrowingTable]:
    """Write a table to ``path`` as its groups come; genes may vary between them."""
    table = GrowingTable(path, keys)
    try:
        yield table
    finally:
        table.close()


def rounded_bits(values: NDArray[np.floating], bits: int = STORED_BITS) -> NDArray[np.floating]:
    """Round to ``bits`` of the fraction, to nearest even; whole numbers and NaN stay."""
    with np.errstate(invalid="ignore"):
        if not (np.isfinite(values) & (values != np.rint(values))).any():
            return values
    return rounded(values, bits)


def _type_of(name: str, column: pd.Series) -> pa.DataType:
    if name == GENE:
        return pa.string()
    if pd.api.types.is_bool_dtype(column):
        return pa.bool_()
    if pd.api.types.is_integer_dtype(column):
        return pa.int32()
    if pd.api.types.is_float_dtype(column):
        return pa.float64() if name in _DOUBLE else pa.float32()
    return pa.dictionary(pa.int32(), pa.string())
