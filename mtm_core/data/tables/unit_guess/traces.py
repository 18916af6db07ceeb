"""Traces of counts in values that were made of them: sums, zeros, whole numbers, single reads."""

from __future__ import annotations

import numpy as np

from mtm_core.data.tables.unit_guess.shape import FEWEST_SAMPLES
from mtm_core.data.tables.unit_guess.verdict import WITH_NEGATIVES, UnitGuess
from mtm_core.data.tables.value_summary import BASES, ValueSummary
from mtm_core.data.units import UNIT_TABLE, Floats, Unit

SUM_TOLERANCE = 0.02
"""Relative deviation from a million of sums that are a million."""
_SAME_SUM = 0.002
"""Relative SD of samples' sums that are one number: what was divided by its sum has it."""
_FEWEST_FOR_SUMS = 3
_FEWEST_WHOLE = 8
_ALMOST_ALL = 0.98
_FLOORS: dict[Unit, float] = {unit: UNIT_TABLE[unit].low for unit in ("log2-0.001", "log2-0.01")}
_FLOOR_TOLERANCE = 0.005
LEAST_VST = 0.5
"""vst of 0 is 1 and more; rlog of genes without reads is 0."""
_MANY_GENES = 5_000
_OTHER_FLOORS = tuple(
    (f"{name}(x + {10.0**-k:g})", -k * per_decade)
    for name, per_decade in (("ln", np.log(10)), ("log10", 1.0))
    for k in range(1, 7)
)


def sum_to_million(summary: ValueSummary, sums: Floats) -> bool:
    """Tell whether all ``sums`` are a million, and not by chance, as one sample of few may be."""
    enough = summary.n_samples >= _FEWEST_FOR_SUMS or summary.n_genes >= _MANY_GENES
    return enough and bool((np.abs(sums / 1e6 - 1) < SUM_TOLERANCE).all())


def have_one_sum(sums: Floats) -> bool:
    """Tell whether all ``sums`` are one number."""
    if len(sums) < _FEWEST_FOR_SUMS or not np.isfinite(sums).all() or sums.mean() <= 0:
        return False
    return bool(sums.std() / sums.mean() < _SAME_SUM)


def judge_floor(summary: ValueSummary) -> UnitGuess | None:
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
                return UnitGuess(None, reason, WITH_NEGATIVES)
            return UnitGuess(
                None,
                f"{shown}: as {name} of 0 is. No such unit is read: undo the logarithm, or give"
                " counts, CPM or TPM.",
            )
    if floor < -_FLOOR_TOLERANCE and summary.n_samples >= FEWEST_SAMPLES:
        return UnitGuess(
            "logcpm", f"{shown}: log2 CPM with a little added, as edgeR's cpm(log=TRUE) writes it."
        )
    if floor > LEAST_VST and not any(are_whole(summary, place) for place in range(len(BASES))):
        return UnitGuess("vst", f"{shown}, not 0: DESeq2's vst.")
    return None


def are_whole(summary: ValueSummary, place: int) -> bool:
    """Tell whether values are whole numbers once the logarithm ``BASES[place]`` is undone."""
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


def sums_of_scales(summary: ValueSummary) -> dict[Unit, Floats]:
    """Return each sample's sum as it is and undone; alike in all, they are of a quantile's kind."""
    return {"tpm": summary.sums, **dict(zip(BASES, summary.undone.T, strict=True))}


def judge_multiples(summary: ValueSummary) -> UnitGuess | None:
    """Judge by what one read is: values of a sample are multiples of it on one scale alone."""
    names: list[Unit] = ["log2", "ln", "log10", "cpm"]
    looked_at, found = summary.n_lattice[:4], summary.n_multiples[:4]
    fit = [
        unit
        for unit, n, m in zip(names, looked_at, found, strict=True)
        if n >= FEWEST_SAMPLES and m > _ALMOST_ALL * n
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
