"""A table as the bytes of a file."""

from __future__ import annotations

import io

import openpyxl
import pandas as pd


def as_xlsx(table: pd.DataFrame) -> bytes:
    """Return a workbook of one sheet, without the index."""
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in [list(table.columns), *table.to_numpy(dtype=object).tolist()]:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


def as_parquet(table: pd.DataFrame, *, index: bool | None = False) -> bytes:
    """Return a parquet file; ``index`` as of :meth:`pandas.DataFrame.to_parquet`."""
    file = io.BytesIO()
    table.to_parquet(file, index=index)
    return file.getvalue()
