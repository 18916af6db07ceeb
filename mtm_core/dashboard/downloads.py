"""Bytes to download, each file named so that its use is not forgotten."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import xarray as xr

from mtm_core.inference.export import write_prediction

RESEARCH_USE = "For research use, not for diagnosis."


def file_name(stem: str, ending: str) -> str:
    """Give ``stem`` as the name of a file that says what it is for."""
    safe = "".join(c if c.isalnum() or c in "-." else "_" for c in stem)
    while "__" in safe:
        safe = safe.replace("__", "_")
    return f"{safe.strip('_')}.research_use_only{ending}"


def csv_bytes(table: pd.DataFrame, *, index: bool = False) -> bytes:
    """Give ``table`` as CSV, to six figures."""
    text: str = table.to_csv(index=index, float_format="%.6g")
    return text.encode()


def parquet_bytes(table: pd.DataFrame, *, index: bool = False) -> bytes:
    """Give ``table`` as parquet; its pandas attributes say what it is for."""
    marked = table.copy(deep=False)
    marked.attrs = {"use": RESEARCH_USE}
    buffer = BytesIO()
    marked.to_parquet(buffer, index=index)
    return buffer.getvalue()


def prediction_bytes(prediction: xr.Dataset, ending: str) -> bytes:
    """Give the whole prediction as the command line writes it: .csv, .parquet or .h5ad."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"prediction{ending}"
        write_prediction(prediction, path)
        return path.read_bytes()
