"""Numbers as people write them: decimal commas, and signs between thousands.

``1.234`` is a thousand in one file and a little more than one in another; no cell tells which, but
the table does. Signs that can only be between thousands (blanks, apostrophes) are taken out
wherever they do. For points and commas every column votes:

- one that comes before one, two, four or more digits, after a zero, or after more than three
  digits separates decimals; one that is repeated separates thousands, and so does one that the
  other follows;
- a column in which each comes before exactly three digits, a zero as the last among them, beside
  whole numbers without it, has thousands: who writes ``1.230`` for decimals writes ``5.000``, too;
- a table in which all numbers have three digits behind the sign has decimals: no table of counts
  is without one below a thousand.

A column that does not tell follows those that do. Where none does, the user is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mtm_core.data.files.raw_table import is_text, to_numbers, with_columns
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.notes import Note, counted, name_some
from mtm_core.errors import InputFileError

Decimal = Literal["point", "comma"]
Written = Callable[[Sequence[int]], pd.DataFrame]
"""Returns columns as they are written in the file."""

_BLANK_SIGNS = " \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000'\u2019\u02bc\u00b4`_"
"""Blanks of every width, apostrophes, and what programmers write between thousands."""
_EDGE = r"\s" + "\u00a0\u2007\u202f\ufeff"
_EDGES = rf"\A[{_EDGE}']+|[{_EDGE}]+\z"
_GROUPED_BY_BLANKS = rf"\A[-+]?\d{{1,3}}([{_BLANK_SIGNS}]\d{{3}})+([.,]\d+)?\z"
_EXPONENT = r"([eE][-+]?\d{1,3})?"
_LIKE_A_NUMBER = rf"\A[-+]?\d[\d.,]*{_EXPONENT}\z"
_WHOLE = r"\A[-+]?\d{1,3}\z"
_ZERO = r"\A[-+]?0+\z"
_LARGE_WHOLE = r"\A[-+]?\d{4,}\z"
_MANY_CELLS = 200
"""So many counts, all of a thousand or more, are no counts of genes."""
_FIRST_ROWS = 2000
_LEAST_SHARE = 0.5
"""Share of cells that are written as numbers in a column of numbers."""


def _patterns(decimal: str, thousands: str) -> tuple[str, str, str]:
    """Get what proves ``decimal``, what may be ``thousands``, and the latter with a last zero."""
    d, t = rf"\{decimal}", rf"\{thousands}"
    groups = rf"\d{{1,3}}({t}\d{{3}})"
    proof = "|".join(
        (
            rf"[-+]?\d*{d}(\d{{0,2}}|\d{{4,}}){_EXPONENT}",  # 1.5, 1.2345
            rf"[-+]?\d*{d}\d+[eE][-+]?\d{{1,3}}",  # 1.234e3
            rf"[-+]?(0\d*|\d{{4,}}|){d}\d+",  # 0.123, 1234.567
            rf"[-+]?{groups}{{2,}}({d}\d+)?",  # 1,234,567
            rf"[-+]?{groups}+{d}\d+",  # 1,234.5
            rf"[-+]?\d{{1,2}}({t}\d{{2}})+{t}\d{{3}}({d}\d+)?",  # 12,34,567
        )
    )
    return rf"\A({proof})\z", rf"\A[-+]?[1-9]\d{{0,2}}{t}\d{{3}}\z", rf"\A[-+]?\d+{t}\d\d0\z"


_PATTERNS: dict[Decimal, tuple[str, str, str]] = {
    "point": _patterns(".", ","),
    "comma": _patterns(",", "."),
}
_OTHER: dict[Decimal, Decimal] = {"point": "comma", "comma": "point"}


@dataclass(frozen=True)
class _Votes:
    """Evidence on the number format of each column of a table; (columns,) bool and counts each.

    Attributes
    ----------
    proof
        By sign: a cell proves that it separates decimals.
    thousands, last_zero
        By what separates decimals: cells that may be thousands; some that end with a zero.
    small, large
        Whole numbers of one to three digits, without zeros; some of four or more.
    n_whole, n_cells
        Whole numbers, zeros included; filled cells.
    """

    proof: dict[Decimal, NDArray[np.bool_]]
    thousands: dict[Decimal, NDArray[np.int64]]
    last_zero: dict[Decimal, NDArray[np.bool_]]
    small: NDArray[np.int64]
    large: NDArray[np.bool_]
    n_whole: NDArray[np.int64]
    n_cells: NDArray[np.int64]

    @classmethod
    def of(cls, text: NDArray[np.object_]) -> _Votes:
        proof: dict[Decimal, NDArray[np.bool_]] = {}
        thousands: dict[Decimal, NDArray[np.int64]] = {}
        last_zero: dict[Decimal, NDArray[np.bool_]] = {}
        for decimal, (proves, may_be, with_zero) in _PATTERNS.items():
            proof[decimal] = np.any(_tell(text, proves), axis=0)
            thousands[decimal] = _tell(text, may_be).sum(axis=0)
            last_zero[decimal] = np.any(_tell(text, with_zero), axis=0)
        whole, zero = _tell(text, _WHOLE), _tell(text, _ZERO)
        large = _tell(text, _LARGE_WHOLE)
        return cls(
            proof,
            thousands,
            last_zero,
            (whole & ~zero).sum(axis=0),
            np.any(large, axis=0),
            (whole | zero | large).sum(axis=0),
            (~pd.isna(text)).sum(axis=0),
        )

    def says(self, decimal: Decimal) -> NDArray[np.bool_]:
        """Tell which columns, by themselves, have ``decimal`` between decimals."""
        other = _OTHER[decimal]
        by_zero = (self.thousands[decimal] > 0) & self.last_zero[decimal] & (self.small > 0)
        if (self.proof[other] & self.last_zero[decimal]).any():  # 1.230 beside 1.5
            by_zero[:] = False
        by_zero &= ~self.large
        return self.proof[decimal] | (by_zero & ~self.proof[other])

    def together(self, columns: NDArray[np.bool_]) -> Decimal | None:
        """Return what ``columns``, none of which tells, say when they are taken together."""
        for decimal in _PATTERNS:
            n = int(self.thousands[decimal][columns].sum())
            if not n or self.thousands[_OTHER[decimal]][columns].any():
                continue
            if (
                self.last_zero[decimal][columns].any()
                and self.small[columns].sum()
                and not self.large[columns].any()
            ):
                return decimal
            if n >= _MANY_CELLS and not self.n_whole[columns].any():
                return _OTHER[decimal]
        return None


def read_numbers(
    header: Sequence[str],
    cells: pd.DataFrame,
    options: ReadingOptions = AS_IT_LIES,
    written: Written | None = None,
) -> tuple[pd.DataFrame, tuple[Note, ...]]:
    """Read the columns of ``cells`` that are written as numbers with signs between digits.

    Parameters
    ----------
    header
        Name of each column; the first column, which names rows, is left as it is.
    cells
        Columns numbered from 0: numbers, or text as in the file.
    written
        Gives columns of fractions as they are written, where the file is text.

    Returns
    -------
    tuple
        The cells, with numbers in the place of text; and what was done.

    Raises
    ------
    InputFileError
        If numbers can be read in two ways and ``options.numbers`` is ``"auto"``.
    """
    if options.contents == "text":
        return cells, ()
    fractions, n_points = _may_be_thousands(cells, options)
    if written is not None and fractions:
        cells = with_columns(cells, written(fractions).set_axis(fractions, axis=1))
    names = [name for name in cells.columns[1:] if is_text(cells[name])]
    columns = np.array(names, dtype=np.int64)
    if not len(columns):
        return cells, ()
    # All columns at once: one by one takes minutes for a row of 20,000 genes.
    text = cells[names].to_numpy(dtype=object)
    as_written = text
    text, by_blanks = _without_blanks(text)
    like = _tell(text, _LIKE_A_NUMBER)
    share = like.sum(axis=0) / np.maximum((~pd.isna(text)).sum(axis=0), 1)
    changed = by_blanks.any(axis=0) | _tell(as_written, f"[.,'\u2212{_EDGE}]").any(axis=0)
    number = (share > _LEAST_SHARE) & changed
    if not number.any():
        return cells, ()
    columns, text, as_written = columns[number], text[:, number], as_written[:, number]
    by_blanks = by_blanks[:, number]
    decimal = _decide(header, columns, text, n_points, options)
    numbers, shown = _numbers(text, decimal)
    cells = with_columns(cells, _put(text, numbers, columns, cells.index))
    return cells, tuple(_describe(header, columns, by_blanks, shown, decimal, as_written))


def _may_be_thousands(cells: pd.DataFrame, options: ReadingOptions) -> tuple[list[int], int]:
    """Return columns of fractions all of which may be thousands, and the number of the others.

    Thousandths are whole, none lies between 0 and 1, and what has a fraction is below 1,000.
    """
    if options.contents != "expression" or options.numbers == "point":
        return [], 0
    floats = [
        column for column, dtype in cells.dtypes.items() if pd.api.types.is_float_dtype(dtype)
    ]
    found, n_others = [], 0
    for start in range(0, len(floats), 64):
        some = floats[start : start + 64]
        for n_rows in (_FIRST_ROWS, None):  # most columns show it in their first rows
            has, may_be = _thousandths(cells[some].iloc[:n_rows])
            n_others += int((has & ~may_be).sum())
            keep = may_be if n_rows is None else may_be | ~has
            some = [column for column, yes in zip(some, keep, strict=True) if yes]
        found += some
    return found, n_others


def _thousandths(cells: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which columns have fractions, and in which of them all may be thousands."""
    x = np.abs(cells.to_numpy(dtype=np.float64, na_value=np.nan))
    fraction = (x != np.floor(x)) & np.isfinite(x)
    has = fraction.any(axis=0)
    may_be = has & ~(fraction & ((x < 1) | (x >= 1000))).any(axis=0)
    for place in np.flatnonzero(may_be):
        thousandths = x[fraction[:, place], place] * 1000
        may_be[place] = bool((np.abs(thousandths - np.round(thousandths)) < 1e-6).all())
    return has, may_be


def _without_blanks(
    text: NDArray[np.object_],
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Take blanks from the edges and, where they separate thousands, from within."""
    flat = pa.array(text.ravel(), pa.large_string(), from_pandas=True)
    flat = pc.replace_substring_regex(flat, _EDGES, "")
    flat = pc.replace_substring(flat, "\u2212", "-")
    grouped = pc.match_substring_regex(flat, _GROUPED_BY_BLANKS).fill_null(False)
    if pc.any(grouped).as_py():
        bare = pc.replace_substring_regex(flat, f"[{_BLANK_SIGNS}]", "")
        flat = pc.if_else(grouped, bare, flat)
    found = flat.to_numpy(zero_copy_only=False).astype(object)
    found[pd.isna(found)] = np.nan
    is_grouped = np.asarray(grouped.to_numpy(zero_copy_only=False), dtype=np.bool_)
    return found.reshape(text.shape), is_grouped.reshape(text.shape)


def _decide(
    header: Sequence[str],
    columns: NDArray[np.int64],
    text: NDArray[np.object_],
    n_points: int,
    options: ReadingOptions,
) -> NDArray[np.object_]:
    """Return what separates decimals in each column: "point" or "comma"."""
    if options.numbers != "auto":
        return np.full(len(columns), options.numbers, dtype=object)
    votes = _Votes.of(text)
    point, comma = votes.says("point"), votes.says("comma")
    result = np.full(len(columns), "point", dtype=object)
    result[comma & ~point] = "comma"
    unclear = ~point & ~comma & ((votes.thousands["point"] + votes.thousands["comma"]) > 0)
    if unclear.any():
        n_point, n_comma = int(point.sum()) + n_points, int((comma & ~point).sum())
        said: Decimal | None
        if (n_point == 0) != (n_comma == 0):
            said = "point" if n_point else "comma"
        else:
            said = votes.together(unclear)
        if said is None and n_comma > n_point:
            said = "comma"
        if said is None:
            raise _ask(header, columns[unclear], text[:, unclear])
        result[unclear] = said
    return result


def _ask(
    header: Sequence[str], columns: NDArray[np.int64], text: NDArray[np.object_]
) -> InputFileError:
    signs = _tell(text, r"\d[.,]\d")
    row, column = np.argwhere(signs)[0]
    example = str(text[row, column])
    return InputFileError(
        f"{example!r} in column {header[columns[column]]!r} may be a number with a thousands"
        " separator or with a decimal comma or point, and nothing in the table shows which. "
        "Choose the decimal separator: --numbers point or --numbers comma (Numbers, on the Upload"
        " page)."
    )


def _numbers(
    text: NDArray[np.object_], decimal: NDArray[np.object_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Get ``text`` as numbers, NaN where it is none; and where a sign was taken for thousands."""
    numbers = np.full(text.shape, np.nan)
    thousands = np.zeros(text.shape, dtype=np.bool_)
    for name, sign, other in (("point", ".", ","), ("comma", ",", ".")):
        which = np.flatnonzero(decimal == name)
        if not len(which):
            continue
        part = text[:, which]
        has = _tell(part, rf"\{other}")
        groups = (
            rf"\A[-+]?(\d{{1,3}}(\{other}\d{{3}})+|\d{{1,2}}(\{other}\d{{2}})+\{other}\d{{3}})"
            rf"(\{sign}\d+)?\z"
        )
        fits = _tell(part, groups)
        flat = pd.Series(part.ravel(), dtype=object)
        if name == "comma" or has.any():
            flat = flat.str.replace(other, "", regex=False).str.replace(sign, ".", regex=False)
        values = to_numbers(flat).to_numpy(dtype=np.float64, na_value=np.nan).reshape(part.shape)
        values = np.where(has & ~fits, np.nan, values)
        numbers[:, which] = values
        thousands[:, which] = has & fits
    return numbers, thousands


def _put(
    text: NDArray[np.object_],
    numbers: NDArray[np.float64],
    columns: NDArray[np.int64],
    index: pd.Index,
) -> pd.DataFrame:
    """Return columns of numbers; one with a cell that is none stays text, in plain form."""
    unread = np.isnan(numbers) & ~pd.isna(text)
    is_read = ~unread.any(axis=0)
    plain = text[:, ~is_read].copy()
    is_number = ~np.isnan(numbers[:, ~is_read])
    plain[is_number] = [repr(float(value)) for value in numbers[:, ~is_read][is_number]]
    parts = (
        pd.DataFrame(numbers[:, is_read], index, columns[is_read]),
        pd.DataFrame(plain, index, columns[~is_read], dtype=object),
    )
    return pd.concat([part for part in parts if part.shape[1]], axis=1)


def _describe(
    header: Sequence[str],
    columns: NDArray[np.int64],
    by_blanks: NDArray[np.bool_],
    thousands: NDArray[np.bool_],
    decimal: NDArray[np.object_],
    text: NDArray[np.object_],
) -> list[Note]:
    notes = []
    has_comma = _tell(text, ",")
    kinds = (
        (by_blanks, "blanks or apostrophes between thousands", "They were taken out"),
        (
            thousands & (decimal == "comma"),
            "points between thousands",
            "They were removed: '1.234' was read as 1234",
        ),
        (
            thousands & (decimal == "point"),
            "commas between thousands",
            "They were removed: '1,234' was read as 1234",
        ),
        (
            has_comma & (decimal == "comma"),
            "decimal commas",
            "They were read as decimal points",
        ),
    )
    for where, what, done in kinds:
        if not where.any():
            continue
        found = columns[where.any(axis=0)]
        row, column = np.argwhere(where)[0]
        notes.append(
            Note(
                "warning",
                f"{counted(len(found), 'column has', 'columns have')} {what}, such as"
                f" {str(text[row, column])!r}.",
                f"{done}.",
                f"Columns: {name_some((header[i] for i in found), 3)}.",
            )
        )
    return notes


def _tell(text: NDArray[np.object_], pattern: str) -> NDArray[np.bool_]:
    """Tell in which cells ``pattern`` (RE2) is found, (rows, columns) as ``text``; not in blanks.

    Arrow searches two million cells in half a second, Python's ``re`` in two.
    """
    written = pa.array(text.ravel(), pa.large_string(), from_pandas=True)
    found = pc.match_substring_regex(written, pattern).fill_null(False)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_).reshape(text.shape)
