"""Read parquet, without running or unpickling anything in it."""

from __future__ import annotations

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from pyarrow import ArrowException

from mtm_core.data.raw_table import RawTable, too_large
from mtm_core.data.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.self_contained import check_parquet
from mtm_core.errors import InputFileError

_DAMAGE = (
    *(ArrowException, OSError, EOFError, LookupError, ValueError, TypeError),
    *(AttributeError, RuntimeError, ArithmeticError),
)
"""What Arrow and pandas raise on bytes that are not what their first ones promise."""


def read_parquet(data: bytes, max_bytes: int, options: ReadingOptions = AS_IT_LIES) -> RawTable:
    """Read a parquet file; an index that pandas wrote becomes the first column."""
    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data), pre_buffer=False)
        check_parquet(file.metadata, file.schema_arrow)
        if 8 * file.metadata.num_rows * file.metadata.num_columns > max_bytes:
            raise too_large("the table", max_bytes)
        # One thread: a process that is shut off may start none.
        table = _without_zones(file.read(use_threads=False)).to_pandas(use_threads=False)
    except _DAMAGE as error:
        raise InputFileError(f"the parquet file is damaged: {error}") from error
    if not isinstance(table.index, pd.RangeIndex):
        index = table.index.to_frame(index=False).astype(str)
        table = pd.concat([index, table.reset_index(drop=True)], axis=1)
    header = tuple("" if name is None else str(name).strip() for name in table.columns)
    return RawTable(header, table.set_axis(range(len(header)), axis=1), "parquet")


def _without_zones(table: pa.Table) -> pa.Table:
    """Give times of a zone as text, in UTC: what zones are stands in files of the system."""
    for i, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            utc = pa.timestamp("s", "UTC")
            text = table.column(i).cast(utc, safe=False).cast(pa.string())
            table = table.set_column(i, field.with_type(text.type), text)
    return table
