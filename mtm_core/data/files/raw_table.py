"""The cells of a file, before anyone asks which way they lie."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mtm_core.data.notes import Choice, FileRead, Note
from mtm_core.data.units import Unit
from mtm_core.errors import InputFileError

MAX_BYTES = 2 * 1024**3
"""Cap on the size of a table, decompressed: 20,000 genes of 10,000 samples as text."""

BLANKS = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None")
"""Texts that programs write for a missing value."""
_LONG_EXPONENT = r"[eE][+-]?\d{4}"


@dataclass(frozen=True)
class RawTable:
    """The cells of a file under its column names.

    Attributes
    ----------
    header
        Name of each column, ``""`` where it has none.
    cells
        (rows, columns), columns numbered from 0; numbers where a whole column is numeric, else
        text; blank cells are NaN.
    format, delimiter
        As in :class:`mtm_core.data.tables.ingest_report.IngestReport`.
    notes
        Remarks on how the file was read.
    choices
        Other ways in which the file can be read.
    stated_unit
        Unit that the file itself states; ``None`` if it states none.
    files
        Files that it was joined from, where they are several.
    sample_of_file
        Whether it holds one sample, the second column, which the name of the file names.
    """

    header: tuple[str, ...]
    cells: pd.DataFrame
    format: str
    delimiter: str = ""
    notes: tuple[Note, ...] = ()
    choices: tuple[Choice, ...] = ()
    stated_unit: Unit | None = None
    files: tuple[FileRead, ...] = ()
    sample_of_file: bool = False

    def __post_init__(self) -> None:
        blank = self.cells.isna().all(axis=1)  # below tables of spreadsheets
        if blank.all():
            raise InputFileError("the table has a header and no filled rows below it.")
        cells = self.cells[~blank] if blank.any() else self.cells
        cells = cells.reset_index(drop=True)
        numeric = {dtype: _is_number(dtype) for dtype in cells.dtypes.unique()}
        other = [
            column
            for column, dtype in cells.dtypes.items()
            if not numeric[dtype] and not is_text(cells[column])
        ]
        if other:
            cells = with_columns(cells, _as_text(cells[other]))
        object.__setattr__(self, "cells", cells)

    def is_numeric(self, column: int) -> bool:
        """Tell whether every filled cell of ``column`` is a number."""
        return _holds_numbers(self.cells[column])

    def is_words(self, column: int) -> bool:
        """Tell a column of words, or an empty one, from numbers with a wrong cell among them."""
        cells = self.cells[column].dropna()
        if self.is_numeric(column):
            return bool(cells.empty)
        return bool(to_numbers(cells).isna().mean() > 0.5)

    def labels(self, column: int) -> list[str]:
        """Return ``column`` as trimmed text, whole numbers without a point, '' where blank."""
        cells = self.cells[column]
        if pd.api.types.is_float_dtype(cells) and (cells.dropna() % 1 == 0).all():
            cells = cells.astype("Int64")
        labels: list[str] = cells.astype("string").fillna("").str.strip().tolist()
        return labels

    def name_of(self, column: int) -> str:
        """Return the name of ``column``, or its place where it has none."""
        return self.header[column] or f"column {column + 1}"


def to_numbers(cells: pd.Series) -> pd.Series:
    """Return ``cells`` as numbers, NaN where one is blank or no number.

    pandas before 3.0 crashes the interpreter on an exponent above 2**31, as in the id
    ``8e2569614270`` (https://github.com/pandas-dev/pandas/issues/63650): those never reach it.
    """
    if _holds_numbers(cells):
        return cells
    return pd.to_numeric(cells.mask(cells.str.contains(_LONG_EXPONENT, na=False)), errors="coerce")


def is_text(cells: pd.Series) -> bool:
    """Tell a column of text and blanks, as text files give it."""
    is_object = pd.api.types.is_object_dtype(cells.dtype)
    return bool(is_object and pd.api.types.infer_dtype(cells, skipna=True) == "string")


def with_columns(cells: pd.DataFrame, columns: pd.DataFrame) -> pd.DataFrame:
    """Put ``columns`` in the place of those of their names, all at once.

    One by one costs the square of their number: minutes for a row of 20,000 genes.
    """
    others = cells.drop(columns=columns.columns)
    return pd.concat([others, columns], axis=1)[cells.columns.tolist()]


def too_large(what: str, max_bytes: int) -> InputFileError:
    """Return the error for ``what`` that is over the cap."""
    return InputFileError(
        f"{what} is larger than {max_bytes / 1024**3:.3g} GB. Split the samples over several files,"
        " keep only the model's genes, or predict in chunks (docs/scale.md)."
    )


def _holds_numbers(cells: pd.Series) -> bool:
    return _is_number(cells.dtype)


def _is_number(dtype: object) -> bool:
    return bool(pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype))


def _as_text(cells: pd.DataFrame) -> pd.DataFrame:
    """Return dates, truth values and mixtures as text, blanks as NaN."""
    text = cells.astype(object)
    return text.where(text.isna(), text.astype(str))
