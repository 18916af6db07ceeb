"""Tables of expression too large for memory, read a few samples at a time.

Samples are rows here: what a table is too large for is memory, and a matrix by gene would have
to be read whole for its first sample. Everything else that :mod:`mtm_core.data.tables.expression`
finds out about a table is found out here too, from its names, or by whoever reads the parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from mtm_core.data.files.raw_table import MAX_BYTES
from mtm_core.data.files.self_contained import (
    check_hdf5,
    check_parquet_columns,
    check_parquet_types,
)
from mtm_core.data.files.zarr_store import open_zarr
from mtm_core.data.formats.given_files import is_store
from mtm_core.data.formats.h5ad_table import unit_of_log1p
from mtm_core.data.formats.row_blocks import HELD_BYTES, RowBlocks
from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.layout.taking import is_metadata_column
from mtm_core.data.notes import counted, name_some
from mtm_core.data.units import Unit
from mtm_core.errors import ExpressionError, InputFileError

_LARGEST_ROW_GROUP = 4 * 1024**3
_READABLE = ".h5ad, a zarr store of AnnData, or parquet (a file, or a folder of part files)"


class _Rows(Protocol):
    """Rows of numbers, read by position."""

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return samples ``start`` to ``stop``, with every gene."""
        ...

    def take(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """Return the samples at ``rows``, one or more in ascending order, with every gene."""
        ...


@dataclass(frozen=True)
class StoredTable:
    """A table on disk, samples in rows.

    Attributes
    ----------
    path
        File or folder.
    samples, genes
        Names, trimmed; sample names are unique.
    stated_unit
        Unit that the file itself states; ``None`` if it states none.
    """

    path: Path
    samples: tuple[str, ...]
    genes: tuple[str, ...]
    rows: _Rows
    stated_unit: Unit | None = None

    def read(self, start: int, stop: int) -> pd.DataFrame:
        """Read samples ``start`` to ``stop``: (samples, genes) float64.

        Raises
        ------
        ExpressionError
            If a value is missing or infinite.
        InputFileError
            If the file is damaged there.
        """
        return self._values(lambda: self.rows.read(start, stop), self.samples[start:stop])

    def take(self, rows: NDArray[np.intp]) -> pd.DataFrame:
        """Read the samples at ``rows``, one or more in any order: (samples, genes) float64.

        Raises
        ------
        ExpressionError, InputFileError
            As :meth:`read`.
        """
        if (np.diff(rows) == 1).all():
            return self.read(int(rows[0]), int(rows[-1]) + 1)
        order = np.argsort(rows)
        names = [self.samples[row] for row in rows[order].tolist()]
        return self._values(lambda: self.rows.take(rows[order]), names).iloc[np.argsort(order)]

    def _values(self, read: Callable[[], NDArray[Any]], samples: Sequence[str]) -> pd.DataFrame:
        try:
            values = np.ascontiguousarray(read(), dtype=np.float64)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise InputFileError(f"{self.path}: cannot read its values: {error}") from error
        if not np.isfinite(values).all():
            row, column = np.argwhere(~np.isfinite(values))[0]
            raise ExpressionError(
                f"{self.path.name}: expected finite numbers, got {values[row, column]} in sample"
                f" {samples[row]!r}, gene {self.genes[column]!r}."
            )
        index = pd.Index(samples, name="sample", dtype=object)
        return pd.DataFrame(values, index=index, columns=pd.Index(self.genes, dtype=object))

    @property
    def names_sha256(self) -> str:
        """Hash of the names of samples and genes, in order."""
        return hashlib.sha256(json.dumps([self.samples, self.genes]).encode()).hexdigest()

    @property
    def state(self) -> tuple[int, ...]:
        """Size and time of change of the file, or of all files of the folder together.

        Where it is as it was, the values need not be read again to know that they are the same.
        """
        files = [self.path] if self.path.is_file() else self.path.rglob("*")
        stats = [file.stat() for file in files if file.is_file()]
        return len(stats), sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats)


def open_stored_table(path: Path, known_genes: GeneIndex | None = None) -> StoredTable:
    """Open a table of expression without reading its values.

    Parameters
    ----------
    path
        ``.h5ad``, a zarr store of AnnData, or parquet: a file, or a folder of part files.
    known_genes
        The model's: to tell a table that lies the other way.

    Raises
    ------
    InputFileError
        If it is none of these, or damaged.
    ExpressionError
        If genes are in rows, or a sample has no name or the name of another.
    """
    with ExitStack() as opened:
        try:
            if path.is_dir() and any((path / name).exists() for name in ("zarr.json", ".zgroup")):
                table = _open_anndata(path, open_zarr(path))
            elif path.is_file() and h5py.is_hdf5(path):
                file = opened.enter_context(h5py.File(path, "r"))
                check_hdf5(file)
                table = _open_anndata(path, file)
            elif parts := _parquet_parts(path):
                table = _open_parquet(path, parts)
            elif not path.exists():
                raise InputFileError(f"cannot open {path}: there is no such file or folder.")
            else:
                raise InputFileError(
                    f"{path}: a table that is predicted in chunks must be {_READABLE}. Text and"
                    " xlsx are read whole. Store the table as one of these ('mtm data store' does"
                    " so for GCT)."
                )
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise InputFileError(f"{path}: expected {_READABLE}: {error}") from error
        _check_names(table, known_genes)
        opened.pop_all()  # a table that is read later stays open
    return table


def is_stored_in_parts(path: Path) -> bool:
    """Tell whether ``path`` is a table that only :func:`open_stored_table` can read.

    A store of zarr is, a folder of parquet, and a file larger than what is read whole; a folder of
    other files holds samples.
    """
    return is_store(path) or (path.is_file() and path.stat().st_size > MAX_BYTES)


def _check_names(table: StoredTable, known: GeneIndex | None) -> None:
    where, samples = table.path.name, pd.Index(table.samples)
    if not (table.samples and table.genes):
        raise ExpressionError(
            f"{where}: the table is empty: {len(table.samples)} samples, {len(table.genes)} genes."
        )
    if known is not None and not (known.find(table.genes) >= 0).any():
        if (known.find(table.samples) >= 0).any():
            raise ExpressionError(
                f"{where}: genes are in rows ({name_some(table.samples, 3)}). A table that is "
                f"predicted in chunks must have samples in rows: transpose it."
            )
        raise ExpressionError(
            f"{where}: none of its {len(table.genes):,} columns is a gene of the model:"
            f" {name_some(table.genes, 3)}."
        )
    if (samples == "").any():
        raise ExpressionError(f"{where}: sample {int(np.argmax(samples == '')) + 1} has no name.")
    if samples.has_duplicates:
        twice = samples[samples.duplicated()].unique()
        raise ExpressionError(
            f"{where}: {counted(len(twice), 'sample name is', 'sample names are')} duplicated:"
            f" {name_some(twice)}."
        )


@dataclass(frozen=True)
class _Matrix:
    """``X`` of an AnnData whose rows are read alone: not in chunks, or a backed sparse matrix."""

    x: Any

    def read(self, start: int, stop: int) -> NDArray[Any]:
        part = self.x[start:stop]
        return np.asarray(part.toarray() if hasattr(part, "toarray") else part)

    def take(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        return np.concatenate([self.read(int(run[0]), int(run[-1]) + 1) for run in runs])


def _rows_of(x: Any) -> _Rows:  # noqa: ANN401 - of HDF5 or of zarr
    """Return the rows of a dense matrix: alone, or in blocks where its chunks hold several."""
    size = (getattr(x, "shards", None) or x.chunks or (1,))[0]
    if size == 1 or size * x.shape[1] * x.dtype.itemsize > HELD_BYTES:
        return _Matrix(x)

    def block(start: int, stop: int) -> NDArray[Any]:
        return np.asarray(x[start:stop])

    ends = np.minimum(np.arange(size, x.shape[0] + size, size), x.shape[0])
    return RowBlocks(ends, lambda i: block(i * size, int(ends[i])))


def _open_anndata(path: Path, group: Any) -> StoredTable:  # noqa: ANN401 - of HDF5 or of zarr
    x = group["X"]
    if x.attrs.get("encoding-type") == "csc_matrix":
        raise InputFileError(
            f"{path.name}: X is stored gene by gene (csc). Store it sample by sample:"
            " adata.X = adata.X.tocsr()."
        )
    samples, genes = (_names(group[axis]) for axis in ("obs", "var"))
    dense = hasattr(x, "dtype")
    matrix = x if dense else ad.io.sparse_dataset(x)
    shape = tuple(matrix.shape)
    if shape != (len(samples), len(genes)):
        raise InputFileError(
            f"{path.name}: X is {shape}, obs and var name {len(samples)} samples and"
            f" {len(genes)} genes."
        )
    rows = _rows_of(x) if dense else _Matrix(matrix)
    return StoredTable(path, samples, genes, rows, unit_of_log1p(group))


def _names(table: Any) -> tuple[str, ...]:  # noqa: ANN401 - of HDF5 or of zarr
    names = ad.io.read_elem(table[table.attrs["_index"]])
    return tuple(str(name).strip() for name in np.asarray(names))


def _parquet_parts(path: Path) -> list[Path]:
    if path.is_dir():
        parts = sorted(path.glob("*.parquet"))
        for part in parts:
            if part.is_symlink():
                raise InputFileError(f"{path}: {part.name!r} is a link. Expected files.")
        return parts
    if path.is_file():
        with path.open("rb") as file:
            return [path] if file.read(4) == b"PAR1" else []
    return []


@dataclass(frozen=True)
class _RowGroups:
    """Row groups of parquet files, and the columns that are read of them."""

    groups: tuple[tuple[Path, int], ...]
    columns: tuple[str, ...]

    def __call__(self, i: int) -> NDArray[Any]:
        """Read row group ``i``."""
        path, number = self.groups[i]
        file = pyarrow.parquet.ParquetFile(path)
        table = file.read_row_group(number, list(self.columns))
        check_parquet_columns(file.metadata.row_group(number))
        return np.column_stack([column.to_numpy() for column in table.columns])


def _open_parquet(path: Path, parts: Sequence[Path]) -> StoredTable:
    groups: list[tuple[Path, int]] = []
    sizes: list[int] = []
    names: list[str] = []
    schema = pyarrow.parquet.read_schema(parts[0])
    index = _index_column(schema, path)
    chosen = [
        field.name
        for field in schema
        if (pa.types.is_integer(field.type) or pa.types.is_floating(field.type))
        and field.name != index
        and not is_metadata_column(field.name)
    ]
    for part in parts:
        file = pyarrow.parquet.ParquetFile(part)
        check_parquet_types(file.schema_arrow)
        if set(chosen) - set(file.schema_arrow.names):
            raise InputFileError(f"{path.name}: {part.name} lacks columns of {parts[0].name}.")
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            if group.total_byte_size > _LARGEST_ROW_GROUP:
                raise InputFileError(
                    f"{part.name}: a row group has {group.total_byte_size / 1e9:.0f} GB, which must"
                    " be read at once. Write it with row_group_size=1024."
                )
            groups.append((part, number))
            sizes.append(group.num_rows)
        names += [str(name).strip() for name in file.read([index]).column(0).to_pylist()]
    rows = RowBlocks(np.cumsum(sizes), _RowGroups(tuple(groups), tuple(chosen)))
    return StoredTable(path, tuple(names), tuple(name.strip() for name in chosen), rows)


def _index_column(schema: pa.Schema, path: Path) -> str:
    """Return the column that names the samples: pandas' index, or the first of text."""
    stored = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    for name in stored:
        if isinstance(name, str):
            return name
    for field in schema:
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            return str(field.name)
    raise InputFileError(f"{path.name}: no column names the samples; expected one of text.")
