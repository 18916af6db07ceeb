"""Words on columns: why they were set aside or doubted, and why none of them is a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from mtm_core.data.files.raw_table import RawTable, to_numbers
from mtm_core.data.notes import Level, Note, counted, name_some, they_were
from mtm_core.errors import ExpressionError

LEFT_OUT = "you left it out"
WORDS = "it holds words"
EMPTY = "it is empty"
NUMBERS = "it numbers the rows"
_PUT_BACK = "To put one back: --take-back NAME (Columns, on the Upload page)."
_LEAVE_OUT = "To leave one out: --leave-out NAME (Columns, on the Upload page)."
NO_EXPRESSION = (
    "Expected a table of expression. If this is a table of age, sex or groups, give the expression"
    " first, and this as metadata (Metadata page, --metadata)."
)
"""Next step for a table without numbers."""


def describe_columns(
    aside: dict[str, str], doubted: dict[str, str], kind: str = "column"
) -> list[Note]:
    """Say which columns or rows were set aside, by reason, and which doubtful ones left in."""
    empty = [name for name, why in aside.items() if why == EMPTY]
    words = [name for name, why in aside.items() if why in (WORDS, NUMBERS)]
    others = {name: why for name, why in aside.items() if why not in (EMPTY, WORDS, NUMBERS)}
    kinds: tuple[tuple[Level, list[str], str, str, str], ...] = (
        ("warning", empty, "is empty", "are empty", "If one of them is a sample, find out why."),
        ("info", words, "holds no expression", "hold no expression", ""),
    )
    notes = [
        Note(
            level,
            f"{counted(len(names), f'column {one}', f'columns {many}')}: {name_some(names)}.",
            they_were(len(names), "set aside"),
            do,
        )
        for level, names, one, many, do in kinds
        if names
    ]
    for columns, one, many, done, do in (
        (others, "is not a sample", "are not samples", "set aside", _PUT_BACK),
        (doubted, "may not be a sample", "may not be samples", "left in", _LEAVE_OUT),
    ):
        if columns:
            how_many = counted(len(columns), f"{kind} {one}", f"{kind}s {many}")
            found = f"{how_many}: {with_reasons(columns, 8)}."
            notes.append(Note("warning", found, they_were(len(columns), done), do))
    return notes


def refuse_all_rows(aside: dict[str, str]) -> NoReturn:
    """Say why no row of a table with samples in rows is one.

    Raises
    ------
    ExpressionError
        Always.
    """
    raise ExpressionError(
        f"no row is a sample: {with_reasons(aside, 3)}. Expected counts, CPM or TPM, one row per "
        f"sample. On the command line, --take-back NAME reads a row nevertheless."
    )


def check_any_taken(raw: RawTable, names: Mapping[int, str], aside: Mapping[int, str]) -> None:
    """Say why no column is a sample, where there is more to say than that there is none.

    Raises
    ------
    ExpressionError
        Then.
    """
    first, why = next(iter(aside.items()), (0, ""))
    others = {i: why for i, why in aside.items() if why not in (WORDS, EMPTY, LEFT_OUT)}
    if others:
        shown = with_reasons({names[i]: why for i, why in others.items()}, 3)
        raise ExpressionError(
            f"no column is a sample: {shown}. Expected counts, CPM or TPM, one column per "
            f"sample. If this is a table of age, sex or groups, give the expression first, and "
            f"this as metadata (Metadata page, --metadata). On the command line, --take-back "
            f"NAME reads a column nevertheless."
        )
    if why == WORDS:
        raise ExpressionError(
            f"no column holds numbers: {names[first]!r} holds"
            f" {first_cell(raw, first)!r}. {NO_EXPRESSION}"
        )
    if why == EMPTY and raw.format == "xlsx":
        raise ExpressionError(
            f"no column holds numbers: {names[first]!r} is empty. If it holds formulas,"
            " open the workbook in a spreadsheet program and save it, so that it holds their"
            " results too."
        )


def with_reasons(columns: dict[str, str], most: int) -> str:
    """Name columns with why each was set aside or doubted; a reason that all share, once."""
    reasons = set(columns.values())
    if len(columns) > 1 and len(reasons) == 1:
        return f"{name_some(columns)} ({reasons.pop()})"
    shown = [f"{name!r} ({why})" for name, why in list(columns.items())[:most]]
    return ", ".join(shown) + (", …" if len(columns) > most else "")


def first_cell(raw: RawTable, column: int) -> str:
    """Return the first cell that is not a number, '' if all are."""
    cells = raw.cells[column].dropna()
    return next((str(cell) for cell in cells[to_numbers(cells).isna()]), "")
