"""Read parquet, without running or unpickling anything in it."""

from __future__ import annotations

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from pyarrow import ArrowException

from mtm_core.data.files.raw_table import RawTable, too_large
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.files.self_contained import check_parquet_columns, check_parquet_types
from mtm_core.errors import InputFileError

_DAMAGE = (
    *(ArrowException, OSError, EOFError, LookupError, ValueError, TypeError),
    *(AttributeError, RuntimeError, ArithmeticError),
)
"""Exceptions of Arrow and pandas on damaged files."""


def read_parquet(data: bytes, max_bytes: int, options: ReadingOptions = AS_IT_LIES) -> RawTable:
    """Read a parquet file; an index that pandas wrote becomes the first column."""
    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data), pre_buffer=False)
        check_parquet_types(file.schema_arrow)
        if 8 * file.metadata.num_rows * file.metadata.num_columns > max_bytes:
            raise too_large("the table", max_bytes)
        # One thread: a process that is shut off may start none.
        stored = file.read(use_threads=False)
        for i in range(file.num_row_groups):
            check_parquet_columns(file.metadata.row_group(i))
        table = _as_plain(stored).to_pandas(use_threads=False)
    except MemoryError:  # Arrow's is one of its other errors too
        raise
    except _DAMAGE as error:
        raise InputFileError(f"the parquet file is damaged: {error}") from error
    if isinstance(table.columns, pd.MultiIndex):
        table.columns = _one_level(table.columns)
    if not isinstance(table.index, pd.RangeIndex):
        index = table.index.to_frame(index=False).astype(str)
        table = pd.concat([index, table.reset_index(drop=True)], axis=1)
    header = tuple("" if name is None else str(name).strip() for name in table.columns)
    return RawTable(header, table.set_axis(range(len(header)), axis=1), "parquet")


def _one_level(names: pd.MultiIndex) -> pd.Index:
    """Return the last level that names every column, such as samples below groups; else all."""
    for level in reversed(range(names.nlevels)):
        found = names.get_level_values(level)
        if found.is_unique:
            return found
    return pd.Index(["_".join(map(str, parts)) for parts in names])


def _as_plain(table: pa.Table) -> pa.Table:
    """Get bytes as text, and times of a zone as text in UTC: zones are in the system's files."""
    fields, columns = list(table.schema), list(table.columns)
    for i, field in enumerate(fields):
        kind = field.type
        if pa.types.is_dictionary(kind) and _is_bytes(kind.value_type):
            columns[i], kind = columns[i].cast(kind.value_type), kind.value_type
        if _is_bytes(kind):
            text = [b and b.decode(errors="replace") for b in columns[i].to_pylist()]
            columns[i] = pa.chunked_array([pa.array(text, pa.large_string())])
        elif pa.types.is_timestamp(kind) and kind.tz is not None:
            columns[i] = columns[i].cast(pa.timestamp("s", "UTC"), safe=False).cast(pa.string())
        fields[i] = field.with_type(columns[i].type)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, table.schema.metadata))


def _is_bytes(kind: pa.DataType) -> bool:
    types = pa.types
    is_one_of = (
        *(types.is_binary, types.is_large_binary),
        *(types.is_fixed_size_binary, types.is_binary_view),
    )
    return any(is_bytes(kind) for is_bytes in is_one_of)
