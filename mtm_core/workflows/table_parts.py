"""The files of a result: tables, also in parts that are never in memory together, and settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mtm_core.escaping import in_cells

TableFormat = Literal["csv", "parquet"]


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write ``table`` without its index, to six figures, its names harmless for spreadsheets."""
    in_cells(table).to_csv(path, index=False, float_format="%.6g")


def write_settings(settings: Mapping[str, object], folder: Path) -> None:
    """Write ``settings.json``, which says how the tables of ``folder`` were made."""
    text = json.dumps(settings, indent=1) + "\n"
    (folder / "settings.json").write_text(text, encoding="utf-8")


class TableInParts:
    """Writes tables of the same columns below each other, as one file.

    Parameters
    ----------
    path
        File, whose ending is that of ``table_format``.
    table_format
        CSV to six figures, its names made harmless for spreadsheets; or parquet.
    """

    def __init__(self, path: Path, table_format: TableFormat) -> None:
        self.path, self.table_format = path, table_format
        self._writer: pq.ParquetWriter | None = None
        self._begun = False

    def add(self, part: pd.DataFrame) -> None:
        """Write ``part`` below what was written before."""
        if self.table_format == "csv":
            in_cells(part).to_csv(
                self.path,
                mode="a" if self._begun else "w",
                header=not self._begun,
                index=False,
                float_format="%.6g",
            )
        else:
            if self._writer is None:
                schema = pa.Table.from_pandas(part, preserve_index=False).schema
                self._writer = pq.ParquetWriter(self.path, schema)
            schema = self._writer.schema
            self._writer.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))
        self._begun = True

    def __enter__(self) -> TableInParts:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()
