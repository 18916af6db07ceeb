"""Long tables of genes, read by group and column, from a file or from memory.

A table of 48 tissues x 19,291 genes x several methods has millions of rows. In its file every group
(a method and tissue; a trait, its adjustment and a tissue) lies in row groups of its own, a few
thousand genes each, so that one tissue, or one gene in all tissues, is read in milliseconds and the
rest stays on disk. Written by :mod:`mtm_core.grouped_writing`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mtm_core.errors import InputFileError

GENE = "gene_id"
LAYOUT = b"mtm_groups"
"""Under which the footer says what a file is grouped by."""

Names = str | Sequence[str]


class GroupedTable(Protocol):
    """A long table of genes in groups."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that a group is known by."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        ...

    @property
    def genes(self) -> pd.Index:
        """Ids of the genes, in their order."""
        ...

    def __len__(self) -> int:
        """Count the rows."""
        ...

    def groups(self) -> pd.DataFrame:
        """Return one row a group, its keys, in the table's order."""
        ...

    def read(
        self,
        where: Mapping[str, Names] | None = None,
        *,
        columns: Sequence[str] | None = None,
        genes: Names | None = None,
    ) -> pd.DataFrame:
        """Read some rows and columns, in the table's order.

        Parameters
        ----------
        where
            By key, the value or values wanted; keys that are not named do not matter.
        columns
            Those wanted, of which the table may lack some; ``None``: all.
        genes
            Ids wanted; ``None``: all.
        """
        ...


@dataclass(frozen=True)
class TableInMemory:
    """A data frame as a :class:`GroupedTable`."""

    frame: pd.DataFrame
    keys: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(str(name) for name in self.frame.columns)

    @cached_property
    def genes(self) -> pd.Index:
        """Ids of the genes, in their order."""
        ids = self.frame[GENE].unique() if GENE in self.frame else []
        return pd.Index(np.asarray(ids, dtype=object), name=GENE)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.frame)

    def groups(self) -> pd.DataFrame:
        """Return one row a group, its keys, in the table's order."""
        there = [name for name in self.keys if name in self.frame]
        return self.frame[there].drop_duplicates().astype(object).reset_index(drop=True)

    def read(
        self,
        where: Mapping[str, Names] | None = None,
        *,
        columns: Sequence[str] | None = None,
        genes: Names | None = None,
    ) -> pd.DataFrame:
        """Read as :meth:`GroupedTable.read` says."""
        chosen = np.ones(len(self.frame), dtype=bool)
        wanted = dict(where or {}) | ({} if genes is None else {GENE: genes})
        for name, values in wanted.items():
            column = self.frame[name]
            chosen &= (
                column == values if isinstance(values, str) else column.isin(list(values))
            ).to_numpy()
        return self.frame.loc[chosen, _there(self.columns, columns)]


@dataclass(frozen=True)
class TableOnDisk:
    """A parquet file in groups; nothing but its footer is held."""

    path: Path
    keys: tuple[str, ...]
    footer: pq.FileMetaData = field(repr=False)
    row_groups: Mapping[tuple[str, ...], list[int]] = field(repr=False)
    same_genes: bool
    """Whether every group has the same genes in the same order."""
    stamp: tuple[int, int]
    """Size and time of the file when it was opened."""
    stored: Mapping[str, str] = field(repr=False)
    """Name of each column in the file."""

    @classmethod
    def open(cls, path: Path, current: Callable[[str], str] = str) -> TableOnDisk | None:
        """Open a file; ``None`` if it has no groups, but is an ordinary table.

        Parameters
        ----------
        current
            Returns today's name of a column, other than a key, that is written in the file.

        Raises
        ------
        ValueError
            If its groups are not what it says.
        """
        footer = pq.read_metadata(path)
        if LAYOUT not in (footer.metadata or {}):
            return None
        layout = json.loads(footer.metadata[LAYOUT])
        keys = tuple(str(name) for name in layout["keys"])
        names = footer.schema.to_arrow_schema().names
        places = [names.index(name) for name in (*keys, GENE)][:-1]
        groups: dict[tuple[str, ...], list[int]] = {}
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            statistics = [group.column(place).statistics for place in places]
            if any(part is None or part.min != part.max for part in statistics):
                raise ValueError(f"row group {number} of {path.name} is not of one group")
            groups.setdefault(tuple(str(part.min) for part in statistics), []).append(number)
        stored = {current(name): name for name in names}
        return cls(path, keys, footer, groups, bool(layout["same_genes"]), _stamp(path), stored)

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self.footer.schema.to_arrow_schema()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(self.stored)

    @cached_property
    def genes(self) -> pd.Index:
        """Ids of the genes, in their order."""
        numbers = list(self.row_groups.values())
        of_first = numbers[:1] if self.same_genes else numbers
        ids = self._table([n for part in of_first for n in part], [GENE])[GENE]
        return pd.Index(pc.unique(ids).to_numpy(zero_copy_only=False), dtype=object, name=GENE)

    def __len__(self) -> int:
        """Count the rows."""
        return int(self.footer.num_rows)

    def groups(self) -> pd.DataFrame:
        """Return one row a group, its keys, in the table's order."""
        return pd.DataFrame(list(self.row_groups), columns=list(self.keys), dtype=object)

    def read(
        self,
        where: Mapping[str, Names] | None = None,
        *,
        columns: Sequence[str] | None = None,
        genes: Names | None = None,
    ) -> pd.DataFrame:
        """Read as :meth:`GroupedTable.read` says.

        Raises
        ------
        InputFileError
            If the file was written anew since it was opened.
        ValueError
            If it is not what its footer says.
        """
        groups = self._groups_of(where or {})
        ids = None if genes is None else {genes} if isinstance(genes, str) else set(genes)
        names = _there(self.columns, columns)
        if self.same_genes:
            return self._read_known(groups, ids, names)
        numbers = [n for part in groups.values() for n in part]
        table = self._table(numbers, [*names, *({GENE, *self.keys} - set(names))])
        self._check(table, groups)
        if ids is not None:
            table = table.filter(
                pc.is_in(table[GENE], value_set=pa.array(sorted(ids), pa.string()))
            )
        frame = table.select(names).to_pandas(ignore_metadata=True)
        text = frame.select_dtypes("category").columns
        return frame.astype(dict.fromkeys([n for n in text if n in self.keys], object))

    def _read_known(
        self, groups: Mapping[tuple[str, ...], list[int]], ids: set[str] | None, names: list[str]
    ) -> pd.DataFrame:
        """Read all or some genes of a table whose groups have the same genes: their rows are known.

        Keys and gene ids are not decoded: of one gene in all groups that took most of the time.
        """
        genes = self.genes.to_numpy()
        places = np.arange(len(genes))
        if ids is not None:
            places = np.sort(self.genes.get_indexer(sorted(ids)))
            places = places[places >= 0]
        numbers: list[int] = []
        rows: list[NDArray[np.intp]] = []
        n_before = 0  # rows of the row groups that are read
        for group in groups.values():
            start = 0
            for number in group:
                stop = start + self.footer.row_group(number).num_rows
                within = places[(start <= places) & (places < stop)]
                if len(within):
                    numbers.append(number)
                    rows.append(n_before + within - start)
                    n_before += stop - start
                start = stop
            if start != len(genes):
                raise ValueError(f"{self.path.name} holds other genes in one group than in another")
        known: dict[str, object] = {
            key: np.repeat(np.array([group[i] for group in groups], dtype=object), len(places))
            for i, key in enumerate(self.keys)
        }
        known[GENE] = np.tile(genes[places], len(groups))
        read = [name for name in names if name not in known]
        if read:
            table = self._table(numbers, read)
            if ids is not None:
                at = np.concatenate(rows) if rows else np.empty(0, dtype=np.intp)
                table = table.take(pa.array(at, pa.int64()))
            known |= table.to_pandas(ignore_metadata=True).to_dict("series")
        return pd.DataFrame({name: known[name] for name in names})

    def matrix(self, where: Mapping[str, Names], column: str) -> NDArray[np.generic]:
        """Read one column of some groups of the same genes: (groups, genes), in the table's order.

        Raises
        ------
        InputFileError
            If the file was written anew since it was opened.
        """
        numbers = [n for part in self._groups_of(where).values() for n in part]
        values = self._table(numbers, [column])[column].to_numpy()
        return np.asarray(values.reshape(-1, len(self.genes)))

    def _groups_of(self, where: Mapping[str, Names]) -> dict[tuple[str, ...], list[int]]:
        wanted = {
            self.keys.index(name): {values} if isinstance(values, str) else set(values)
            for name, values in where.items()
        }
        return {
            key: numbers
            for key, numbers in self.row_groups.items()
            if all(key[place] in values for place, values in wanted.items())
        }

    def _table(self, numbers: list[int], names: list[str]) -> pa.Table:
        if _stamp(self.path) != self.stamp:
            raise InputFileError(
                f"{self.path} was rewritten while it was in use. Start the program again, or"
                " load the model again."
            )
        # A file of its own for each read: readers of a server's threads do not share a place.
        with pq.ParquetFile(self.path, metadata=self.footer) as file:
            written = [self.stored[name] for name in names]
            table = file.read_row_groups(numbers, columns=written, use_threads=False)
            return table.select(written).rename_columns(names)

    def _check(self, table: pa.Table, groups: Mapping[tuple[str, ...], object]) -> None:
        """Hold what was read to what the footer says of it."""
        for place, name in enumerate(self.keys):
            known = {key[place] for key in groups}
            if not set(pc.unique(table[name]).to_pylist()) <= known:
                raise ValueError(f"{self.path.name} holds another {name} than its footer says")


def open_grouped(
    path: Path, keys: Sequence[str], current: Callable[[str], str] = str
) -> pd.DataFrame | TableOnDisk:
    """Open a table: read whole where it is short or was not written in groups, else left on disk.

    Parameters
    ----------
    current
        Returns today's name of a column that is written in the file.

    Raises
    ------
    ValueError, OSError
        If it is no such table.
    """
    stored = TableOnDisk.open(path, current)
    if stored is None:
        return pd.read_parquet(path).rename(columns=current)
    if stored.keys != tuple(keys):
        raise ValueError(f"{path.name} is grouped by {', '.join(stored.keys)}")
    return stored


def as_grouped(table: pd.DataFrame | GroupedTable, keys: Sequence[str]) -> GroupedTable:
    """Return a data frame as a grouped table; a grouped table as it is."""
    return TableInMemory(table, tuple(keys)) if isinstance(table, pd.DataFrame) else table


def whole(table: pd.DataFrame | GroupedTable) -> pd.DataFrame:
    """Read all of a table: at full width gigabytes."""
    return table if isinstance(table, pd.DataFrame) else table.read()


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _there(known: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    return list(known) if wanted is None else [name for name in wanted if name in known]
