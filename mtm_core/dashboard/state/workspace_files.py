"""The files of a workspace: parquet that gives tables back to the last digit, put in place at once.

Names of rows and columns stand beside the columns, as they need not be unique.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mtm_core.errors import InputFileError
from mtm_core.safe_output import replacing


def put(path: Path, data: bytes) -> None:
    """Put ``data`` in the place of ``path`` at once.

    Raises
    ------
    OutputError
        If there is no room.
    """
    with replacing(path) as place:
        place.touch(mode=0o600)
        place.write_bytes(data)


def write_parquet(path: Path, table: pa.Table) -> str:
    """Put ``table`` in the place of ``path``, and return the SHA-256 of the file."""
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    data = buffer.getvalue().to_pybytes()
    put(path, data)
    return hashlib.sha256(data).hexdigest()


def read_parquet(folder: Path, file: Mapping[str, str]) -> pa.Table:
    """Read the ``name`` of ``folder``, if it is what ``sha256`` says.

    Raises
    ------
    InputFileError
        If it is not, or lies elsewhere.
    OSError
        If it is not there.
    """
    name = file["name"]
    if Path(name).name != name:
        raise InputFileError(f"it refers to a file outside its folder, {name!r}")
    data = (folder / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != file["sha256"]:
        raise InputFileError(f"{name} is damaged")
    return pq.read_table(pa.BufferReader(data))


def expression_to_arrow(values: pd.DataFrame) -> pa.Table:
    """Lay (samples, genes) out with a column a sample: genes may share a name, and are many."""
    numbers = values.to_numpy(dtype=np.float64)
    columns = [pa.array(row) for row in np.ascontiguousarray(numbers)]
    return _named(
        [pa.array(values.columns.astype(str)), *columns],
        {"samples": values.index.astype(str).tolist()},
    )


def expression_from_arrow(table: pa.Table) -> pd.DataFrame:
    """Undo :func:`expression_to_arrow`."""
    names = _names_of(table)
    genes, *columns = table.columns
    return pd.DataFrame(
        np.stack([column.to_numpy() for column in columns]),
        index=pd.Index(names["samples"], name="sample", dtype=object),
        columns=pd.Index(genes.to_pylist(), name="gene", dtype=object),
    )


def metadata_to_arrow(values: pd.DataFrame) -> pa.Table:
    """Lay a table of numbers and text out as it is, its rows' names first."""
    columns = [pa.array(values[name], from_pandas=True) for name in values]
    return _named(
        [pa.array(values.index.astype(str)), *columns], {"columns": [str(name) for name in values]}
    )


def metadata_from_arrow(table: pa.Table) -> pd.DataFrame:
    """Undo :func:`metadata_to_arrow`."""
    samples, *columns = table.columns
    values = {}
    for name, column in zip(_names_of(table)["columns"], columns, strict=True):
        series = column.to_pandas()
        # A column without any value has no type of its own; text has NaN where it is blank.
        values[name] = (
            series.to_numpy()
            if pa.types.is_floating(column.type)
            else series.astype(object).where(series.notna(), np.nan).to_numpy()
        )
    return pd.DataFrame(values, index=pd.Index(samples.to_pylist(), name="sample", dtype=object))


def _named(arrays: list[pa.Array], names: Mapping[str, list[str]]) -> pa.Table:
    """Make a table of ``arrays``, with what they are called beside."""
    table = pa.Table.from_arrays(arrays, [str(i) for i in range(len(arrays))])
    return table.replace_schema_metadata({"names": json.dumps(names)})


def _names_of(table: pa.Table) -> dict[str, list[str]]:
    names: dict[str, list[str]] = json.loads(table.schema.metadata[b"names"])
    return names
