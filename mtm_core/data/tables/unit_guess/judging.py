"""Judge the unit of a table by its values, and say where they do not tell.

A wrong unit gives numbers that look right: after alignment a logarithm of another base, or linear
values taken for one, lie as near to the reference as the right unit does. So a unit is only taken
where something speaks for it that does not for others; else the user is asked.

What speaks for a unit, in this order:

- whole numbers: counts;
- samples that sum to a million, as they are or once a logarithm is undone; or all to one sum;
- a logarithm of counts, undone, gives whole numbers, or multiples of what one read is;
- the floor: zeros under log2(x + 0.001) are all -9.97, under vst all one number above 0, under voom
  one number a sample;
- the shape. Linear values have a long tail, and each gene's SD grows with its mean; logarithms have
  neither. How far genes are spread, against the reference, tells the base.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.tables.unit_guess.shape import (
    FEWEST_GENES,
    LOG_PEAK,
    MOST_NEGATIVE,
    describe_centred,
    judge_shape,
)
from mtm_core.data.tables.unit_guess.traces import (
    SUM_TOLERANCE,
    are_whole,
    have_one_sum,
    judge_floor,
    judge_multiples,
    sum_to_million,
    sums_of_scales,
)
from mtm_core.data.tables.unit_guess.verdict import WITH_NEGATIVES, UnitGuess
from mtm_core.data.tables.value_summary import BASES, LOWS, GeneColumns, ValueSummary
from mtm_core.data.units import (
    LARGEST_LOG2,
    LINEAR,
    NOT_CENTRED,
    UNIT_TABLE,
    Unit,
    check_magnitude,
    check_possible,
)

WHOLE_TRANSCRIPTOME = 15_000
"""Fewest known genes of a whole transcriptome."""
_SUM_OF_ALL = (1.5e5, 1.1e6)
"""Sums of FPKM, CPM and TPM of a whole transcriptome lie in here."""


def guess_unit(
    values: pd.DataFrame,
    known: GeneIndex | None = None,
    typical: ArrayLike | None = None,
    stated: Unit | None = None,
) -> UnitGuess:
    """Judge the unit of ``values`` (samples, ids), finite.

    Parameters
    ----------
    known
        The model's genes: ranges are judged on them alone.
    typical
        Mean linear expression of each of them in the reference, which tells logarithms apart.
    stated
        Unit that the file itself states.
    """
    _, summary = _summarised(values, known)
    return guess_unit_of(summary, typical, stated)


def judge(
    values: pd.DataFrame,
    known: GeneIndex | None = None,
    typical: ArrayLike | None = None,
    stated: Unit | None = None,
) -> UnitGuess:
    """Judge as :func:`guess_unit`, and refuse values that no unit can have.

    Raises
    ------
    ExpressionError
        As :func:`mtm_core.data.units.check_magnitude`, and
        :func:`mtm_core.data.units.check_possible`, of genes that count.
    """
    check_magnitude(values)
    columns, summary = _summarised(values, known)
    if not describe_centred(summary):
        check_possible(values.iloc[:, columns.judged])
    return guess_unit_of(summary, typical, stated)


def _summarised(values: pd.DataFrame, known: GeneIndex | None) -> tuple[GeneColumns, ValueSummary]:
    names = [str(name) for name in values.columns]
    columns = GeneColumns.of(names, None if known is None else known.match(names).gene_of)
    return columns, ValueSummary.of(values.to_numpy(dtype=np.float64), columns)


def guess_unit_of(
    summary: ValueSummary, typical: ArrayLike | None = None, stated: Unit | None = None
) -> UnitGuess:
    """Judge the unit of the values that ``summary`` is of; see :func:`guess_unit`."""
    centred = describe_centred(summary)
    if centred:
        return UnitGuess(None, centred)
    low, high = summary.low, summary.high
    if low >= 0 and summary.whole:
        return UnitGuess("counts", "All values of known genes are whole numbers, 0 or more.")
    if stated is not None and low >= UNIT_TABLE[stated].low and high <= UNIT_TABLE[stated].high:
        return UnitGuess(stated, f"The file says so: its values are {UNIT_TABLE[stated].label}.")
    if low >= 0 and sum_to_million(summary, summary.sums):
        return UnitGuess(
            "tpm",
            "Every sample sums to about a million. Sums cannot distinguish TPM from CPM; both "
            "are read the same way.",
        )
    signature = None if high > LARGEST_LOG2 else judge_floor(summary)
    if signature is not None:
        return signature
    slightly = summary.share_below(0.0) <= MOST_NEGATIVE / 4 and low > -1
    if low < 0 and not slightly:
        return _of_negative(summary)
    if high > LARGEST_LOG2:
        return _of_large(summary)
    return _of_small(summary, typical)


def _of_large(summary: ValueSummary) -> UnitGuess:
    """Judge fractions too large for a logarithm."""
    high, middle = summary.high, float(np.median(summary.sums))
    if summary.low < 0:
        return UnitGuess(
            None,
            f"Values of known genes lie between {summary.low:.4g} and {high:.4g}: too large for"
            f" logarithms, and {summary.n_below[LOWS.index(0.0)]} of them negative, which no linear"
            " value is.",
            LINEAR,
        )
    positive = summary.mean[summary.mean > 0]
    peak = float(positive.max() / np.median(positive)) if len(positive) else 0.0
    if summary.low > 0 and len(positive) >= FEWEST_GENES and peak < LOG_PEAK:
        return UnitGuess(
            None,
            f"Values lie between {summary.low:.4g} and {high:.4g}, and the greatest mean of a gene"
            f" is only {peak:.2g} times the median: rather logarithms of large numbers, such as"
            " intensities of proteins, than linear values.",
            ("log2-0", "log2", *LINEAR),
        )
    if middle > 1e6 * (1 + SUM_TOLERANCE):
        return UnitGuess(
            "counts",
            f"Values have decimals, up to {high:.4g}, and samples sum to {middle:.3g}, more than"
            " the million of TPM: estimated counts, as RSEM or salmon write them.",
        )
    return UnitGuess(
        "tpm",
        f"Values have decimals, up to {high:.4g}, too large for a logarithm, and samples sum to"
        f" {middle:.3g}: TPM, CPM or FPKM of some of the genes. This is a guess.",
    )


def _of_negative(summary: ValueSummary) -> UnitGuess:
    """Judge logarithms of which many are negative."""
    share = f"{summary.share_below(0.0):.0%}"
    shown = f"Values lie between {summary.low:.4g} and {summary.high:.4g}, {share} negative."
    if summary.high > LARGEST_LOG2:
        return UnitGuess(None, f"{shown} {NOT_CENTRED}")
    return UnitGuess(
        None,
        f"{shown} If they are z-scores or centred in any other way, they cannot be used.",
        WITH_NEGATIVES,
    )


def _of_small(summary: ValueSummary, typical: ArrayLike | None) -> UnitGuess:
    """Judge fractions that may be a logarithm or small linear values."""
    alike = [unit for unit, sums in sums_of_scales(summary).items() if have_one_sum(sums)]
    if alike == ["tpm"]:
        return UnitGuess(
            "tpm", f"As they are, samples all sum to {float(np.median(summary.sums)):.3g}: linear."
        )
    for place, (unit, sums) in enumerate(zip(BASES, summary.undone.T, strict=True)):
        label = UNIT_TABLE[unit].label
        if sum_to_million(summary, sums) or alike == [unit]:
            return UnitGuess(
                unit,
                f"Taken as {label} and undone, every sample sums to {float(np.median(sums)):.3g}.",
            )
        if are_whole(summary, place):
            return UnitGuess(unit, f"Taken as {label} and undone, values are whole numbers.")
    multiples = judge_multiples(summary) if len(alike) < 2 else None  # ranks are multiples too
    if multiples is not None:
        return multiples
    if summary.n_genes >= WHOLE_TRANSCRIPTOME:
        middle = np.median(summary.undone, axis=0)
        fit = [
            unit
            for unit, total in zip(BASES, middle, strict=True)
            if _SUM_OF_ALL[0] < total < _SUM_OF_ALL[1]
        ]
        if len(fit) == 1 and np.median(summary.sums) < _SUM_OF_ALL[0]:
            return UnitGuess(
                fit[0],
                f"Taken as {UNIT_TABLE[fit[0]].label} and undone, samples sum to"
                f" {middle[list(BASES).index(fit[0])]:.3g}, as whole transcriptomes do.",
            )
    return judge_shape(summary, typical)
