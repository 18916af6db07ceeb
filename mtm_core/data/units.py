"""Units of a user's values: guess them, and bring them to a linear scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.report import Note
from mtm_core.errors import ExpressionError

Unit = Literal["counts", "cpm", "tpm", "log2"]
"""``"log2"`` is log2(1 + x) of any of the others."""
UNITS: tuple[Unit, ...] = get_args(Unit)

LARGEST_LOG2 = 25.0
"""log2(1 + x) of TPM ends at 19.9 (a million), of counts at 25 (33 million reads of one gene)."""
_SUM_TOLERANCE = 0.02


@dataclass(frozen=True)
class UnitGuess:
    """A guess and, in words, what it rests on."""

    unit: Unit
    reason: str


@dataclass(frozen=True)
class ValueSummary:
    """What the guess of a unit rests on, of a table or of a part of one.

    Attributes
    ----------
    low, high
        Least and greatest value.
    whole
        Whether all are whole numbers.
    n_values, n_negative
        Values; those below 0.
    sums
        (N,) of each sample.
    """

    low: float
    high: float
    whole: bool
    n_values: int
    n_negative: int
    sums: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> ValueSummary:
        """Summarise ``values`` (samples, genes), finite."""
        return cls(
            float(values.min()),
            float(values.max()),
            bool((values == np.floor(values)).all()),
            values.size,
            int((values < 0).sum()),
            values.sum(axis=1),
        )

    @classmethod
    def joined(cls, parts: Sequence[ValueSummary]) -> ValueSummary:
        """Give the summary of the samples of ``parts`` together."""
        return cls(
            min(part.low for part in parts),
            max(part.high for part in parts),
            all(part.whole for part in parts),
            sum(part.n_values for part in parts),
            sum(part.n_negative for part in parts),
            np.concatenate([part.sums for part in parts]),
        )


def guess_unit(values: pd.DataFrame) -> UnitGuess:
    """Guess the unit of ``values`` (samples, genes), finite.

    The user is asked to confirm it: a table cut to a few genes can be anything.
    """
    return guess_unit_of(ValueSummary.of(values.to_numpy(dtype=np.float64)))


def guess_unit_of(summary: ValueSummary) -> UnitGuess:
    """Guess the unit of the values that ``summary`` is of."""
    low, high, sums = summary.low, summary.high, summary.sums
    if low >= 0 and summary.whole:
        return UnitGuess("counts", "All values are whole numbers, 0 or more.")
    if low >= 0 and (abs(sums / 1e6 - 1) < _SUM_TOLERANCE).all():
        return UnitGuess(
            "tpm",
            "Every sample sums to about a million. Sums do not tell TPM from CPM; both are read"
            " the same way.",
        )
    if high <= LARGEST_LOG2:
        share = summary.n_negative / summary.n_values
        sign = f"{share:.0%} of them negative" if low < 0 else "none negative"
        return UnitGuess(
            "log2", f"Values are fractions between {low:.3g} and {high:.3g}, {sign}: log2(1 + x)."
        )
    if np.median(sums) > 1e6 * (1 + _SUM_TOLERANCE):
        return UnitGuess(
            "counts",
            f"Values are fractions up to {high:.4g}, and samples sum to {np.median(sums):.3g}, more"
            " than the million of TPM: estimated counts, as RSEM or salmon write them.",
        )
    return UnitGuess(
        "tpm",
        f"Values are fractions up to {high:.4g}, too large for a logarithm, and samples sum to"
        f" {np.median(sums):.3g}: TPM or CPM of some of the genes. This is a guess.",
    )


def check_range(values: pd.DataFrame, unit: Unit) -> None:
    """Refuse values (samples, genes) that ``unit`` cannot have.

    Raises
    ------
    ExpressionError
        If a linear value is negative, or a logarithm too large to undo.
    """
    x = values.to_numpy(dtype=np.float64)
    bad = x > 2 * LARGEST_LOG2 if unit == "log2" else x < 0
    if not bad.any():
        return
    row, column = np.argwhere(bad)[0]
    where = f"sample {values.index[row]!r}, gene {values.columns[column]!r}: {x[row, column]:.6g}"
    if unit == "log2":
        raise ExpressionError(
            f"expected log2(1 + x), which ends at about {LARGEST_LOG2:.0f}; {int(bad.sum())} values"
            f" are far larger, the first in {where}. Choose counts, CPM or TPM as the unit."
        )
    raise ExpressionError(
        f"expected {unit}, 0 or more; {int(bad.sum())} values are negative, the first in {where}."
        " If the values are logarithms, choose log2 as the unit; z-scores, log ratios and"
        " batch-corrected values cannot be used: give counts, CPM or TPM."
    )


def to_linear(values: pd.DataFrame, unit: Unit) -> tuple[pd.DataFrame, tuple[Note, ...]]:
    """Bring ``values`` (samples, genes) in ``unit`` to a linear scale, 0 or more.

    log2 becomes 2**x - 1; what is negative there is set to 0, and noted.

    Raises
    ------
    ExpressionError
        As :func:`check_range`.
    """
    check_range(values, unit)
    if unit != "log2":
        return values, ()
    linear = np.exp2(values) - 1
    n_negative = int((linear.to_numpy() < 0).sum())
    if not n_negative:
        return linear, ()
    return linear.clip(lower=0), (negative_log2_note(n_negative, linear.size),)


def negative_log2_note(n_negative: int, n_values: int) -> Note:
    """Say what was done about values below 0 on a log2(1 + x) scale."""
    share = n_negative / n_values
    return Note(
        "warning",
        f"{n_negative} values ({share:.1%}) are negative, which log2(1 + x) never is.",
        "They were read as no expression.",
        "If these are z-scores, log ratios or batch-corrected values, give counts, CPM or TPM"
        " instead.",
    )


def counts_per_million(values: pd.DataFrame) -> pd.DataFrame:
    """Scale each sample of ``values`` (samples, genes), linear, to a sum of a million.

    For models in TPM that are given counts: library size must go before genes are dropped.

    Raises
    ------
    ExpressionError
        If a sample is all zeros.
    """
    totals = values.sum(axis=1)
    check_totals(totals)
    return values.mul(1e6 / totals, axis=0)


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
            f"{len(empty)} of {len(totals)} samples have no expression in any gene that is used,"
            f" the first is {empty[0]!r}. Take them out of the table."
        )
