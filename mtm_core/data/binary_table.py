"""Read Excel workbooks, parquet and h5ad, without running or unpickling anything in them."""

from __future__ import annotations

import io
import zipfile
import zlib

import h5py
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray
from pyarrow import ArrowException
from scipy import sparse

from mtm_core.data.raw_table import BLANKS, RawTable, too_large
from mtm_core.data.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.report import Note, name_some, skipped_titles
from mtm_core.data.self_contained import check_hdf5, check_parquet
from mtm_core.errors import InputFileError

_DAMAGE = (
    *(ArrowException, zipfile.BadZipFile, zlib.error, OSError, EOFError, SyntaxError, LookupError),
    *(ValueError, TypeError, AttributeError, RuntimeError, ArithmeticError),
)
"""What the libraries raise on bytes that are not what their first ones promise."""


def read_xlsx(data: bytes, max_bytes: int, options: ReadingOptions = AS_IT_LIES) -> RawTable:
    """Read the first worksheet of an Excel workbook that has cells."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # A member cannot give more than this size when it is read.
            size = sum(member.file_size for member in archive.infolist())
            _check_members(archive.namelist())
        if size > max_bytes:
            raise too_large("the decompressed workbook", max_bytes)
        workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheets = workbook.worksheets
        for sheet in sheets:
            rows = [row for row in sheet.iter_rows(values_only=True) if any(map(_filled, row))]
            if rows:
                break
        else:
            raise InputFileError("the workbook has no cells.")
    except _DAMAGE as error:
        raise InputFileError(f"the Excel workbook is damaged: {error}") from error
    notes = []
    if len(sheets) > 1:
        notes.append(
            Note("warning", f"The workbook has {len(sheets)} sheets.", f"{sheet.title!r} was read.")
        )
    n_titles = next(i for i, row in enumerate(rows) if sum(map(_filled, row)) > 1 or i > 20)
    if n_titles:
        notes.append(skipped_titles(n_titles))
    header = [str(name).strip() if _filled(name) else "" for name in rows[n_titles]]
    cells = pd.DataFrame(
        [[_plain(value) for value in row] for row in rows[n_titles + 1 :]],
        columns=range(len(header)),
    )
    named = [i for i, name in enumerate(header) if name or cells[i].notna().any()]
    cells = cells[named].set_axis(range(len(named)), axis=1)
    return RawTable(tuple(header[i] for i in named), cells, "xlsx", notes=tuple(notes))


def _check_members(names: list[str]) -> None:
    """Refuse zip files that are no workbook of the kind that is read."""
    if "xl/workbook.bin" in names:
        raise InputFileError("the file is a binary workbook (.xlsb). Save it as xlsx or csv.")
    if "content.xml" in names:
        raise InputFileError("the file is an OpenDocument (.ods). Save it as xlsx or csv.")
    if not any(name.startswith("xl/") for name in names):
        raise InputFileError("the file is a zip archive. Unpack it, or compress with gzip.")


def _filled(value: object) -> bool:
    return value is not None and str(value).strip() != ""


def _plain(value: object) -> object:
    """Give a cell as number or text, NaN where it is blank; dates as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return np.nan if value is None or str(value).strip() in BLANKS else str(value)
    return value


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


def read_h5ad(data: bytes, max_bytes: int, options: ReadingOptions = AS_IT_LIES) -> RawTable:
    """Read ``X``, the names of samples and genes, and nothing else of an ``.h5ad``."""
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            check_hdf5(file)
            if "X" not in file:
                raise InputFileError(
                    f"the file has no matrix X; it holds {name_some(file)}. Expected an .h5ad"
                    " (AnnData) with the expression in X: adata.X = adata.layers['counts']."
                )
            x = file["X"]
            shape = x.shape if isinstance(x, h5py.Dataset) else tuple(x.attrs["shape"])
            stored = x.size if isinstance(x, h5py.Dataset) else x["data"].size
            if 8 * max(int(shape[0]) * int(shape[1]), stored) > max_bytes:
                raise too_large("the matrix", max_bytes)
            samples, genes = (
                _h5ad_names(file[axis], n) for axis, n in zip(("obs", "var"), shape, strict=True)
            )
            values = _h5ad_matrix(x, shape)
    except _DAMAGE as error:
        raise InputFileError(
            f"the .h5ad is damaged, cut short, or lacks X, obs or var ({error}). Give it again,"
            " whole, or write it anew: adata.write_h5ad(...)."
        ) from error
    cells = pd.concat([pd.Series(samples), pd.DataFrame(values)], axis=1)
    return RawTable(("", *genes), cells.set_axis(range(len(genes) + 1), axis=1), "h5ad")


def _h5ad_names(table: h5py.Group, expected: int) -> list[str]:
    names = table[table.attrs["_index"]]
    if names.shape != (expected,):
        raise ValueError(f"{table.name} has {names.shape} names for {expected} in X")
    return [str(name) for name in (names.asstr() if names.dtype == object else names)[()]]


def _h5ad_matrix(x: h5py.Dataset | h5py.Group, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Give ``X`` dense, from either of AnnData's layouts."""
    if isinstance(x, h5py.Dataset):
        return np.asarray(x[()], dtype=np.float64)
    layout = {"csr_matrix": sparse.csr_matrix, "csc_matrix": sparse.csc_matrix}
    parts = (x["data"][()], x["indices"][()], x["indptr"][()])
    matrix = layout[x.attrs["encoding-type"]](parts, shape=shape)
    matrix.check_format(full_check=True)  # an index outside the matrix would write past its end
    dense: NDArray[np.float64] = matrix.toarray()
    return dense
