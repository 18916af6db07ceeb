"""Look at units before alignment, which hides a wrong one.

Aligned, each gene has the reference's mean and SD whatever the unit was. As they are, samples in
their right unit lie where another protocol lies from the reference. Median distance before
alignment, in SD, from GTEx whole blood (GSE152641, GSE127530, GSE60424 as CPM and FPKM, 59 genes;
benchmarks/units.py, docs/units.md):

===================================  ============  ============
samples                              whole blood   sorted cells
===================================  ============  ============
read as what they are                1.9 to 2.6    2.5 to 4.3
log2(1 + x) read as ln(1 + x)        2.4 to 3.4    2.9 to 5.3
log2(1 + x) read as log10(1 + x)     7.0 to 10.7   6.7 to 13.4
ln(1 + x) read as log2(1 + x)        1.8 to 2.4    2.5 to 4.2
log2(1 + x) read as linear           2.1 to 2.6    2.7 to 4.1
===================================  ============  ============

So distance tells a base that is too large, and small linear values taken for logarithms (8 to 16).
It does not tell a base that is too small, nor a logarithm taken for linear values: these lie as
near as the right unit, and :mod:`mtm_core.data.tables.unit_guess` judges them otherwise, or asks.
No
single sample in its right unit lies beyond 4.9.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from mtm_core.data.notes import Note, name_some, they_were
from mtm_core.data.units import Unit
from mtm_core.errors import ExpressionError
from mtm_core.inference.unit_reading import UnitReading

SAMPLES_LOOKED_AT = 50
_FAR = 3.5
_FAR_SAMPLE = 5.0
_NEARER = 0.6
"""Share of the distance from which another unit is called nearer; no right unit came below 0.79."""
_TRIED: tuple[Unit, ...] = ("tpm", "log2", "ln", "log10")


def describe_nearer(
    distance_of: Callable[[UnitReading], float], reading: UnitReading
) -> tuple[Note, ...]:
    """Say which other units would bring the samples far nearer to the reference.

    Parameters
    ----------
    distance_of
        Gives the median distance before alignment of samples that are read so.
    reading
        How they are read.
    """
    chosen = distance_of(reading)
    if chosen < _FAR:
        return ()
    others: dict[Unit, float] = {}
    for unit in _TRIED:
        try:
            other = distance_of(UnitReading(unit, reading.to_million, None, ()))
        except ExpressionError:  # the values cannot be in it
            continue
        if unit != reading.unit and other < _NEARER * chosen:
            others[unit] = other
    if not others:
        return ()
    shown = ", ".join(f"{unit} {other:.1f}" for unit, other in others.items())
    return (
        Note(
            "warning",
            f"Read as {reading.unit}, the samples lie {chosen:.1f} SD from the reference before"
            f" alignment (median). With another unit they would lie nearer: {shown}.",
            "Alignment hides a wrong unit.",
            "Check the unit.",
        ),
    )


def describe_far_before(distance: pd.DataFrame, how: str) -> tuple[Note, ...]:
    """Name samples that lay far before they were aligned; ``distance`` is of ``Aligned``."""
    far = distance.index[distance["distance_before"] > _FAR_SAMPLE]
    if how == "none" or far.empty:
        return ()
    return (
        Note(
            "warning",
            f"{len(far)} of {len(distance)} samples {'lies' if len(far) == 1 else 'lie'} more than"
            f" {_FAR_SAMPLE:g} SD from the reference before alignment, farther than a different "
            f"protocol explains: {name_some(far)}.",
            they_were(len(far), "left in, and aligned with the others"),
            "Check their tissue and the unit.",
        ),
    )
