"""A user's choices about a table of metadata that can be read in more than one way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from mtm_core.data.people.phenotypes import Sex
from mtm_core.errors import SelectionError


@dataclass(frozen=True)
class MetadataOptions:
    """How to read metadata where they can be read in more than one way.

    Attributes
    ----------
    age_column, sex_column
        Columns that tell the model age and sex: ``None`` finds them by their names, ``""`` is none.
    sex_codes
        Codes of ``sex_column``, each with its sex.
    unknown
        Words that mean no value, in every column.
    near_names
        Take sample names that differ in writing alone for the same.
    sheet
        Sheet of a workbook; by default the first that holds a table.

    Raises
    ------
    SelectionError
        If a code is said to mean something other than female or male.
    """

    age_column: str | None = None
    sex_column: str | None = None
    sex_codes: tuple[tuple[str, Sex], ...] = ()
    unknown: tuple[str, ...] = ()
    near_names: bool = False
    sheet: str = ""

    def __post_init__(self) -> None:
        wrong = [str(sex) for _, sex in self.sex_codes if sex not in get_args(Sex)]
        if wrong:
            raise SelectionError.unknown("sex", wrong, get_args(Sex))


AS_FOUND = MetadataOptions()
"""Columns are found by their names, and nothing else is said."""
