"""Units of a user's values: one table of them, and the way from each to a linear scale.

Every choice of a unit, on pages and on the command line, its words and its arithmetic come from
:data:`UNIT_TABLE`. Which of them a table is in, :mod:`mtm_core.data.tables.unit_guess` judges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.notes import counted, name_some
from mtm_core.errors import ExpressionError

Unit = Literal[
    "counts", "tpm", "cpm", "fpkm",
    "log2", "ln", "log10", "log2-0.001", "log2-0.01", "log2-0", "logcpm", "vst",
]  # fmt: skip
"""Names of units, as the command line takes them; :data:`UNIT_TABLE` says what each is."""
UNITS: tuple[Unit, ...] = get_args(Unit)
UnitChoice = Literal["auto", Unit]
"""A unit, or ``"auto"``: the table itself decides, and where it does not, nothing is predicted."""

LARGEST_LOG2 = 25.0
LARGEST = 1e15
"""No count and no intensity is larger; sums of such values lose the others."""
"""log2(1 + x) of TPM ends at 19.9 (a million), of counts at 25 (33 million reads of one gene)."""
_TINY = np.finfo(np.float64).tiny
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class UnitKind:
    """A unit: its name, its words and its arithmetic.

    Attributes
    ----------
    unit
        As in settings and on the command line.
    label
        As on pages.
    meaning
        Meaning of the unit, and which programs write it.
    base
        Base of the logarithm; ``None`` for a linear scale.
    added
        Number that is added before the logarithm is taken; ``None`` if it differs from table to
        table and shows in each sample's least values, which are its zeros.
    stabilised
        Whether it is DESeq2's variance-stabilising transformation, near to a logarithm.
    per_million
        Whether a sample of all genes sums to a million. Of a logarithm it differs: the sums tell.
    by_length
        Whether values may have been divided by the length of the gene.
    columns
        How programs head a column of it, in lower case without punctuation; of two quantities of
        one sample, that of the unit that comes first in the table is read.
    near
        Caveat, a sentence; empty for most units.
    better
        A better unit to provide instead, if there is one.
    """

    unit: Unit
    label: str
    meaning: str
    base: float | None = None
    added: float | None = 0.0
    stabilised: bool = False
    per_million: bool = False
    by_length: bool = True
    columns: tuple[str, ...] = ()
    near: str = ""
    better: str = ""

    @property
    def is_log(self) -> bool:
        """Whether it is a logarithm."""
        return self.base is not None

    @property
    def low(self) -> float:
        """Least value it can have."""
        if self.base is None:
            return 0.0
        return math.log(self.added, self.base) if self.added else -math.inf

    @property
    def high(self) -> float:
        """Greatest value that can be undone: beyond it there is no such expression."""
        return math.inf if self.base is None else 2 * LARGEST_LOG2 / math.log2(self.base)

    def transform(self, linear: Floats) -> Floats:
        """Bring linear values to this unit; what it is by formula.

        Raises
        ------
        ValueError
            If what was added differs from table to table.
        """
        if self.base is None:
            return linear
        if self.added is None:
            raise ValueError(f"{self.unit} has no formula of one value alone")
        with np.errstate(divide="ignore"):
            values: Floats = np.log2(linear + self.added) / math.log2(self.base)
        return values

    def inverse(self, values: Floats, floors: Floats | None = None) -> Floats:
        """Bring ``values`` (N, G) in this unit to a linear scale; what is below 0 there stays so.

        Parameters
        ----------
        floors
            (N,) what a zero is in each sample, NaN where it is not known: of :func:`zero_levels`.
            Only read where ``added`` is ``None``.

        Notes
        -----
        DESeq2's vst of a normalised count q is log2((s + 2 a q + 2 sqrt(a q (s + a q))) / 4 a), of
        two numbers a and s of the whole table. With f, what it is of 0, it is undone without either
        of them: q = (2**v - 2**f)**2 / 2**v.
        """
        if self.base is None:
            return values
        linear: Floats = np.exp2(values * math.log2(self.base))
        if self.added is None:
            assert floors is not None
            zero = np.nan_to_num(np.exp2(floors * math.log2(self.base)))[:, None]
            above = np.maximum(linear - zero, 0)
            linear = above**2 / np.maximum(linear, _TINY) if self.stabilised else above
        else:
            linear -= self.added
        return linear


_KINDS = (
    UnitKind(
        "counts",
        "Counts",
        "read counts, also estimated ones (RSEM, salmon)",
        by_length=False,
        columns=(
            *("unstranded", "expectedcount", "numreads", "estcounts", "estcount", "rawcounts"),
            *("rawcount", "readcounts", "readcount", "rawreads", "counts", "count", "reads", "raw"),
            *("htseqcounts", "totalgenereads", "totalexonreads", "uniquegenereads"),
            "uniqueexonreads",
        ),
    ),
    UnitKind(
        "tpm",
        "TPM",
        "transcripts per million",
        per_million=True,
        columns=("tpm", "tpmunstranded", "abundance"),
    ),
    UnitKind(
        "cpm",
        "CPM",
        "counts per million reads",
        per_million=True,
        by_length=False,
        columns=("cpm",),
    ),
    UnitKind(
        "fpkm",
        "FPKM",
        "FPKM or RPKM; scaled to a sum of a million they are TPM",
        columns=("fpkm", "fpkmunstranded", "rpkm"),
    ),
    UnitKind("log2", "log2(1 + x)", "of any of the above; the most common logarithm", 2.0, 1.0),
    UnitKind("ln", "ln(1 + x)", "natural logarithm: scanpy's and numpy's log1p", math.e, 1.0),
    UnitKind("log10", "log10(1 + x)", "decimal logarithm", 10.0, 1.0),
    UnitKind("log2-0.001", "log2(x + 0.001)", "TPM of UCSC Xena (toil)", 2.0, 0.001),
    UnitKind("log2-0.01", "log2(x + 0.01)", "with a hundredth added", 2.0, 0.01),
    UnitKind("log2-0", "log2(x)", "nothing added; zeros were left out before", 2.0, 0.0),
    UnitKind(
        "logcpm",
        "log CPM (voom, edgeR)",
        "log2 of CPM with about half a read added, as limma's voom and edgeR's cpm(log=TRUE) give"
        " it",
        2.0,
        None,
        by_length=False,
    ),
    UnitKind(
        "vst",
        "vst or rlog (DESeq2)",
        "variance-stabilised; close to log2, and read as log2 if no zeros show",
        2.0,
        None,
        stabilised=True,
        by_length=False,
        near="vst and rlog are near to log2 of counts, not the same.",
        better="Better use the counts that they were computed from.",
    ),
)
UNIT_TABLE: Mapping[Unit, UnitKind] = MappingProxyType({kind.unit: kind for kind in _KINDS})
"""Every unit that is read, in the order in which it is offered."""
LINEAR: tuple[Unit, ...] = tuple(
    sorted((kind.unit for kind in _KINDS if not kind.is_log), key=lambda unit: unit == "counts")
)
"""Units of a linear scale, counts last: they are the only ones that show in the values."""
UNIT_HELP = "Unit of the values. " + ". ".join(
    f"{kind.unit}: {kind.label + ', ' if kind.is_log else ''}{kind.meaning}" for kind in _KINDS
)
"""The table in sentences, for the command line."""
HOW_TO_CHOOSE = "Say which it is: --unit (Unit of the values, on the Upload page; unit= in Python)."


def name_units(units: tuple[Unit, ...]) -> str:
    """Return ``units`` as the command line takes them, with what each is."""
    return ", ".join(f"{unit} ({UNIT_TABLE[unit].label})" for unit in units)


def check_range(values: pd.DataFrame, unit: Unit) -> None:
    """Refuse values (samples, genes) that ``unit`` cannot have.

    Give only genes that are used: what is wrong elsewhere changes nothing.

    Raises
    ------
    ExpressionError
        If a linear value is negative, or a logarithm too large to undo.
    """
    kind, x = UNIT_TABLE[unit], values.to_numpy(dtype=np.float64)
    bad = x > kind.high if kind.is_log else x < 0
    if not bad.any():
        return
    row, column = np.argwhere(bad)[0]
    where = f"sample {values.index[row]!r}, gene {values.columns[column]!r}: {x[row, column]:.6g}"
    if kind.is_log:
        raise ExpressionError(
            f"expected {kind.label}, which ends at about {kind.high / 2:.0f}; {int(bad.sum())}"
            f" values are far larger, the first in {where}. They are not such logarithms. If "
            f"they are linear, give the unit as one of {', '.join(LINEAR)}."
        )
    raise ExpressionError(
        f"expected {kind.label}, 0 or more; {int(bad.sum())} values are negative, the first in"
        f" {where}. If the values are logarithms, give the unit as log2, logcpm or another"
        f" logarithm. {NOT_CENTRED}"
    )


def check_magnitude(values: pd.DataFrame) -> None:
    """Refuse values (samples, genes) beyond what any instrument measures.

    Raises
    ------
    ExpressionError
        If one is larger than 1e15, or less than its negative.
    """
    x = values.to_numpy(dtype=np.float64)
    if not x.size or (x.max() <= LARGEST and x.min() >= -LARGEST):
        return
    bad = (x > LARGEST) | (x < -LARGEST)
    row, column = np.argwhere(bad)[0]
    raise ExpressionError(
        f"{counted(int(bad.sum()), 'value is', 'values are')} beyond {LARGEST:g}, the first in"
        f" sample {values.index[row]!r}, gene {values.columns[column]!r}: {x[row, column]:.6g}. No"
        " expression is so large: correct them."
    )


def check_possible(values: pd.DataFrame) -> None:
    """Refuse values (samples, genes) that no unit can have: negative ones on a linear scale.

    Raises
    ------
    ExpressionError
        If some are negative, and some too far from 0 for a logarithm.
    """
    x = values.to_numpy(dtype=np.float64)
    if not x.size or x.min() >= 0 or np.abs(x).max() <= 2 * LARGEST_LOG2:
        return
    row, column = np.argwhere(x < 0)[0]
    raise ExpressionError(
        f"{int((x < 0).sum())} values are negative, the first in sample {values.index[row]!r}, gene"
        f" {values.columns[column]!r}: {x[row, column]:.6g}. No logarithm reaches from"
        f" {x.min():.6g} to {x.max():.6g}, and linear values"
        f" ({', '.join(UNIT_TABLE[unit].label for unit in LINEAR)}) are 0 or more: correct the"
        " values."
    )


NOT_CENTRED = (
    "z-scores, centred logarithms, log ratios and values centred by batch correction cannot be "
    "used, because they no longer hold the level of each gene. Use the table from before that "
    "step, best as counts."
)


def to_linear(values: pd.DataFrame, unit: Unit, floors: Floats | None = None) -> pd.DataFrame:
    """Bring ``values`` (samples, genes) in ``unit`` to a linear scale, 0 or more.

    A logarithm is undone; what is negative then is set to 0.

    Parameters
    ----------
    floors
        (N,) what a zero is in each sample, for ``"logcpm"``; by default found in ``values``.

    Raises
    ------
    ExpressionError
        As :func:`check_range`.
    """
    check_range(values, unit)
    kind = UNIT_TABLE[unit]
    if not kind.is_log:
        return values
    x = values.to_numpy(dtype=np.float64)
    if kind.added is None and floors is None:
        floors = zero_levels(x)
    return pd.DataFrame(np.maximum(kind.inverse(x, floors), 0), values.index, values.columns)


def zero_levels(values: Floats) -> Floats:
    """Return (N,) what a zero count is in each sample of ``values`` (N, G), NaN where none shows.

    A zero is the least value there can be, and several genes have it: a least value of one gene
    alone is that gene's level.
    """
    low = values.min(axis=1)
    repeated = (values <= low[:, None] + 1e-9 * np.maximum(1, np.abs(low[:, None]))).sum(axis=1) > 1
    return np.where(repeated, low, np.nan)


def per_million(linear: pd.DataFrame, totals: pd.Series | None = None) -> pd.DataFrame:
    """Scale each sample of ``linear`` (samples, genes) to a sum of a million.

    For models in TPM that are given counts or FPKM: library size must go before genes are dropped.

    Parameters
    ----------
    totals
        Total of each sample over all genes of its table; by default the sums of ``linear``.

    Raises
    ------
    ExpressionError
        If a sample is all zeros.
    """
    sums = linear.sum(axis=1) if totals is None else totals
    check_totals(sums)
    return linear.mul(1e6 / sums, axis=0)


def check_totals(totals: pd.Series) -> None:
    """Refuse samples whose ``totals`` (by sample) leave nothing to divide by.

    Raises
    ------
    ExpressionError
        If a total is 0.
    """
    empty = totals.index[totals == 0]
    if len(empty):
        raise ExpressionError(
            f"{len(empty)} of {len(totals)} samples have no expression in any gene that is used:"
            f" {name_some(empty)}. Remove them from the table."
        )
