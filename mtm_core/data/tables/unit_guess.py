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

The bounds on shape rest on real blood and sorted cells (GSE152641, GSE127530, GSE60424: nine groups
of samples, as CPM and FPKM, the panel's 59 genes; benchmarks/units.py, docs/units.md):

================================================  ============  =============
figure                                            linear        log(1 + x)
================================================  ============  =============
greatest over median of the genes' means          7 to 82       1.6 to 4.1
slope of log SD on log mean over genes            0.51 to 0.75  -0.27 to 0.30
SD of genes' means over that of log2(1 + mean)                  log2 0.84 to 1.09
of the reference                                                ln 0.58 to 0.76
                                                                log10 0.25 to 0.33
================================================  ============  =============
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.notes import Note
from mtm_core.data.tables.value_summary import BASES, LOWS, GeneColumns, ValueSummary
from mtm_core.data.units import (
    HOW_TO_CHOOSE,
    LARGEST_LOG2,
    LINEAR,
    NOT_CENTRED,
    UNIT_TABLE,
    Floats,
    Unit,
    check_magnitude,
    check_possible,
    name_units,
)
from mtm_core.errors import ExpressionError

MOST_NEGATIVE = 0.2
"""Share of values below the least of a scale from which they are not on it."""
SUM_TOLERANCE = 0.02
_SAME_SUM = 0.002
"""Relative SD of samples' sums that are one number: what was divided by its sum has it."""
_FEWEST_FOR_SUMS, _FEWEST_FOR_SHAPE, _FEWEST_GENES = 3, 3, 15
_FEWEST_WHOLE = 8
_ALMOST_ALL = 0.98
_LOG_PEAK, _LINEAR_PEAK = 5.0, 6.0
_LOG_SLOPE, _LINEAR_SLOPE = 0.4, 0.5
_LOG2_SPREAD = 0.93
_LARGEST_LN = 14.0
"""ln(1 + x) of TPM ends at 13.8."""
_FLOORS: dict[Unit, float] = {unit: UNIT_TABLE[unit].low for unit in ("log2-0.001", "log2-0.01")}
_FLOOR_TOLERANCE = 0.005
LEAST_VST = 0.5
"""vst of 0 is 1 and more; rlog of genes without reads is 0."""
_CENTRED, _CENTRED_OF_FEW = 0.005, 0.001
_FLAT = 1.0
WHOLE_TRANSCRIPTOME, _MANY_GENES = 15_000, 5_000
_SUM_OF_ALL = (1.5e5, 1.1e6)
"""Sums of FPKM, CPM and TPM of a whole transcriptome lie in here."""
_OTHER_FLOORS = tuple(
    (f"{name}(x + {10.0**-k:g})", -k * per_decade)
    for name, per_decade in (("ln", np.log(10)), ("log10", 1.0))
    for k in range(1, 7)
)
_WITH_NEGATIVES: tuple[Unit, ...] = ("logcpm", "log2-0.001", "log2-0.01", "log2-0", "log2")


@dataclass(frozen=True)
class UnitGuess:
    """Unit of a table as judged by its values, with the evidence in words.

    Attributes
    ----------
    unit
        ``None`` if they do not tell.
    reason
        A sentence or two.
    possible
        Possible units if the values do not decide, the likeliest first; empty if none fits.
    """

    unit: Unit | None
    reason: str
    possible: tuple[Unit, ...] = ()

    def known(self) -> Unit:
        """Return the unit.

        Raises
        ------
        ExpressionError
            If the values do not tell it.
        """
        if self.unit is not None:
            return self.unit
        if not self.possible:
            raise ExpressionError(self.reason)
        raise ExpressionError(
            f"the unit of the values is not clear. {self.reason} They may be"
            f" {name_units(self.possible)}. {HOW_TO_CHOOSE}"
        )

    def note(self) -> Note:
        """Say what the unit was taken to be, or that it has to be chosen."""
        if self.unit is None:
            return Note("warning", self.reason, "The unit is not clear.", HOW_TO_CHOOSE)
        return Note(
            "info",
            self.reason,
            f"The unit is assumed to be {self.unit}.",
            "If it is wrong, choose the unit (--unit, or 'Unit of the values' on the Upload page).",
        )


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
    if low >= 0 and _sum_to(summary, summary.sums):
        return UnitGuess(
            "tpm",
            "Every sample sums to about a million. Sums cannot distinguish TPM from CPM; both "
            "are read the same way.",
        )
    signature = None if high > LARGEST_LOG2 else _of_floor(summary)
    if signature is not None:
        return signature
    slightly = summary.share_below(0.0) <= MOST_NEGATIVE / 4 and low > -1
    if low < 0 and not slightly:
        return _of_negative(summary)
    if high > LARGEST_LOG2:
        return _of_large(summary)
    return _of_small(summary, typical)


def describe_centred(summary: ValueSummary) -> str:
    """Say that values are centred, and why they are refused; empty if they are not.

    Genes differ in level far more than samples do in one gene: on any logarithmic scale the SD of
    the genes' means is 2.5 to 10 times that within genes. Where it is smaller than that within
    genes, and values are on both sides of 0, each gene's own level was taken out.
    """
    few, spread = summary.n_samples < _FEWEST_FOR_SHAPE, summary.spreads > 0
    if spread.all() and summary.n_genes >= _FEWEST_GENES:
        off = float(np.abs(summary.means / summary.spreads).max())
        if off < (_CENTRED_OF_FEW if few else _CENTRED):
            return f"The values of every sample have a mean of 0: {NOT_CENTRED}"
    share = summary.share_below(0.0)
    if few or share <= MOST_NEGATIVE / 2:
        return ""
    within = float(np.sqrt(np.mean(summary.sd**2)))
    between = float(summary.mean.std())
    if within > 0 and between < _FLAT * within:
        return (
            f"{share:.0%} of the values are negative, and genes have about one level (their means"
            f" have an SD of {between:.2g}, the samples of a gene one of {within:.2g}):"
            f" {NOT_CENTRED}"
        )
    return ""


def _sum_to(summary: ValueSummary, sums: Floats) -> bool:
    """Tell whether all ``sums`` are a million, and not by chance, as one sample of few may be."""
    enough = summary.n_samples >= _FEWEST_FOR_SUMS or summary.n_genes >= _MANY_GENES
    return enough and bool((np.abs(sums / 1e6 - 1) < SUM_TOLERANCE).all())


def _have_one_sum(sums: Floats) -> bool:
    if len(sums) < _FEWEST_FOR_SUMS or not np.isfinite(sums).all() or sums.mean() <= 0:
        return False
    return bool(sums.std() / sums.mean() < _SAME_SUM)


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
    if summary.low > 0 and len(positive) >= _FEWEST_GENES and peak < _LOG_PEAK:
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
        _WITH_NEGATIVES,
    )


def _of_floor(summary: ValueSummary) -> UnitGuess | None:
    """Judge by what a zero is: the lowest value, where several genes have it."""
    floor = common_floor(summary)
    shown = f"The lowest value, which several genes have, is {floor:.2f}"
    for unit, zero in _FLOORS.items():
        if abs(floor - zero) < _FLOOR_TOLERANCE:
            return UnitGuess(unit, f"{shown}: that is {UNIT_TABLE[unit].label} of 0.")
    if _is_logcpm(summary):
        return UnitGuess(
            "logcpm",
            "Each sample's lowest values are what 0, 1, 2, ... reads give after half a read is"
            " added: log2 CPM as voom writes it.",
        )
    for name, zero in _OTHER_FLOORS:
        if abs(floor - zero) < _FLOOR_TOLERANCE:
            if zero in (-1, -2):  # log10 of a tenth is log2 of a half
                reason = (
                    f"{shown}: as log2(x + {2.0**zero:g}) of 0 is, and {name}, which is not read."
                )
                return UnitGuess(None, reason, _WITH_NEGATIVES)
            return UnitGuess(
                None,
                f"{shown}: as {name} of 0 is. No such unit is read: undo the logarithm, or give"
                " counts, CPM or TPM.",
            )
    if floor < -_FLOOR_TOLERANCE and summary.n_samples >= _FEWEST_FOR_SHAPE:
        return UnitGuess(
            "logcpm", f"{shown}: log2 CPM with a little added, as edgeR's cpm(log=TRUE) writes it."
        )
    if floor > LEAST_VST and not any(_are_whole(summary, place) for place in range(len(BASES))):
        return UnitGuess("vst", f"{shown}, not 0: DESeq2's vst.")
    return None


def _are_whole(summary: ValueSummary, place: int) -> bool:
    n_small, n_whole = summary.n_small[place], summary.n_whole[place]
    return bool(n_small >= _FEWEST_WHOLE and n_whole >= _ALMOST_ALL * n_small)


def common_floor(summary: ValueSummary) -> float:
    """Return the least value, if several genes have it in most of the samples."""
    floors = summary.floors[np.isfinite(summary.floors)]
    if not len(floors):
        return float("nan")
    lowest = float(floors.min())
    one = (floors < lowest + _FLOOR_TOLERANCE).mean() > 0.5  # two genes may be equal above it
    return lowest if one and summary.low > lowest - _FLOOR_TOLERANCE else float("nan")


def _is_logcpm(summary: ValueSummary) -> bool:
    n_looked_at, n_found = summary.n_lattice[-1], summary.n_multiples[-1]
    return bool(n_looked_at and n_found >= _ALMOST_ALL * n_looked_at)


def _of_small(summary: ValueSummary, typical: ArrayLike | None) -> UnitGuess:
    """Judge fractions that may be a logarithm or small linear values."""
    alike = [unit for unit, sums in _sums(summary).items() if _have_one_sum(sums)]
    if alike == ["tpm"]:
        return UnitGuess(
            "tpm", f"As they are, samples all sum to {float(np.median(summary.sums)):.3g}: linear."
        )
    for place, (unit, sums) in enumerate(zip(BASES, summary.undone.T, strict=True)):
        label = UNIT_TABLE[unit].label
        if _sum_to(summary, sums) or alike == [unit]:
            return UnitGuess(
                unit,
                f"Taken as {label} and undone, every sample sums to {float(np.median(sums)):.3g}.",
            )
        if _are_whole(summary, place):
            return UnitGuess(unit, f"Taken as {label} and undone, values are whole numbers.")
    multiples = _of_multiples(summary) if len(alike) < 2 else None  # ranks are multiples too
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
    return _of_shape(summary, typical)


def _sums(summary: ValueSummary) -> dict[Unit, Floats]:
    """Return each sample's sum as it is and undone; alike in all, they are of a quantile's kind."""
    return {"tpm": summary.sums, **dict(zip(BASES, summary.undone.T, strict=True))}


def _of_multiples(summary: ValueSummary) -> UnitGuess | None:
    """Judge by what one read is: values of a sample are multiples of it on one scale alone."""
    names: list[Unit] = ["log2", "ln", "log10", "cpm"]
    looked_at, found = summary.n_lattice[:4], summary.n_multiples[:4]
    fit = [
        unit
        for unit, n, m in zip(names, looked_at, found, strict=True)
        if n >= _FEWEST_FOR_SHAPE and m > _ALMOST_ALL * n
    ]
    if len(fit) != 1:
        return None
    (unit,) = fit
    scale = "As they are" if unit == "cpm" else f"Taken as {UNIT_TABLE[unit].label} and undone"
    return UnitGuess(
        unit,
        f"{scale}, each sample's low values are multiples of one number, as counts divided by a"
        " library are.",
    )


def _of_shape(summary: ValueSummary, typical: ArrayLike | None) -> UnitGuess:
    """Judge by how values are spread over genes and samples."""
    shown = f"Values have decimals, between {summary.low:.3g} and {summary.high:.3g}"
    logs: tuple[Unit, ...] = ("log2", "ln", "log10")
    positive = summary.mean[summary.mean > 0]
    if len(positive) < _FEWEST_GENES:
        return UnitGuess(None, f"{shown}, of too few known genes to judge by.", (*logs, *LINEAR))
    peak = float(positive.max() / np.median(positive))
    slope = _slope(summary)
    if peak > _LINEAR_PEAK and (np.isnan(slope) or slope > _LINEAR_SLOPE):
        reason = (
            f"{shown}, with a long tail (the greatest mean of a gene is {peak:.0f} times the"
            " median): rather small linear values than logarithms."
        )
        return UnitGuess(None, reason, (*LINEAR, *logs))
    if peak > _LOG_PEAK or slope > _LOG_SLOPE:
        return UnitGuess(None, f"{shown}: low logarithms or small linear values.", logs + LINEAR)
    if summary.high > _LARGEST_LN:
        return UnitGuess(
            "log2",
            f"{shown}, spread as logarithms are, and too large for ln(1 + x) or log10(1 + x).",
        )
    spread = _spread(summary, typical)
    if spread >= _LOG2_SPREAD:
        return UnitGuess(
            "log2",
            f"{shown}, and genes are spread as far as log2(1 + x) of the reference"
            f" ({spread:.2f} times).",
        )
    if np.isnan(spread):
        return UnitGuess(None, f"{shown}: logarithms, and their base is not clear.", logs)
    first: Unit = "log10" if spread < np.sqrt(np.log10(2) * np.log(2)) else "ln"
    return UnitGuess(
        None,
        f"{shown}: logarithms, and their base is not clear (genes are spread {spread:.2f} times as"
        " far as log2(1 + x) of the reference).",
        (first, *(unit for unit in logs if unit != first)),
    )


def _slope(summary: ValueSummary) -> float:
    """Return the slope of log SD on log mean over genes: about 1 on a linear scale, 0 on a log."""
    if summary.n_samples < _FEWEST_FOR_SHAPE:
        return float("nan")
    varies = (summary.mean > 0) & (summary.sd > 0)
    if varies.sum() < _FEWEST_GENES:
        return float("nan")
    mean, sd = np.log(summary.mean[varies]), np.log(summary.sd[varies])
    return float(np.polyfit(mean, sd, 1)[0])


def _spread(summary: ValueSummary, typical: ArrayLike | None) -> float:
    """Return the SD of genes' means over that of log2(1 + reference) of the same genes."""
    if typical is None or summary.of_model is None or len(summary.of_model) < _FEWEST_GENES:
        return float("nan")
    reference = np.log2(1 + np.asarray(typical, dtype=np.float64)[summary.of_model])
    return float(summary.mean.std() / reference.std()) if reference.std() > 0 else float("nan")
