"""How values are read once their unit is known, or chosen: what a zero is, and what is scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mtm_core.data.notes import Note
from mtm_core.data.tables.unit_guess.judging import WHOLE_TRANSCRIPTOME, guess_unit_of
from mtm_core.data.tables.unit_guess.shape import MOST_NEGATIVE, describe_centred
from mtm_core.data.tables.unit_guess.traces import LEAST_VST, SUM_TOLERANCE, common_floor
from mtm_core.data.tables.value_summary import BASES, LOWS, ValueSummary
from mtm_core.data.units import NOT_CENTRED, UNIT_TABLE, Floats, Unit, UnitChoice, zero_levels
from mtm_core.errors import ExpressionError, SelectionError


@dataclass(frozen=True)
class UnitReading:
    """How values are to be read, all of them alike.

    Attributes
    ----------
    unit
        Unit of the values.
    to_million
        Whether, once linear, each sample is yet to be divided by its sum, for a model in TPM.
    zero
        Value that counts as zero in samples without one; ``None`` if unknown.
    notes
        Notes on the unit.
    """

    unit: Unit
    to_million: bool
    zero: float | None
    notes: tuple[Note, ...]

    def floors(self, genes: Floats) -> Floats | None:
        """Get (N,) what a zero is in each sample of ``genes`` (N, I), where the unit asks for it.

        Under vst it is one number in all samples; under log CPM each sample has its own, and one
        without zeros gets what others have.
        """
        kind = UNIT_TABLE[self.unit]
        if kind.added is not None or not kind.is_log:
            return None
        own = np.full(len(genes), np.nan) if kind.stabilised else zero_levels(genes)
        if self.zero is None:
            return own
        return np.asarray(np.minimum(np.where(np.isnan(own), self.zero, own), genes.min(axis=1)))


def read_unit(
    summary: ValueSummary,
    choice: UnitChoice,
    typical: ArrayLike | None = None,
    stated: Unit | None = None,
) -> UnitReading:
    """Take the unit that the user chose, or that the values tell; the user's word holds.

    Parameters
    ----------
    choice
        The user's, or ``"auto"``.
    summary, typical, stated
        As in :func:`mtm_core.data.tables.unit_guess.judging.guess_unit`.

    Raises
    ------
    ExpressionError
        If the values do not tell the unit, and ``"auto"`` is asked for; if they are centred; or if
        many are below the least that the unit has.
    SelectionError
        If ``choice`` is no unit.
    """
    centred = describe_centred(summary)
    if centred:
        raise ExpressionError(centred)
    if choice != "auto" and choice not in UNIT_TABLE:
        raise SelectionError.unknown("unit", [str(choice)], ["auto", *UNIT_TABLE])
    guess = guess_unit_of(summary, typical, stated)
    unit = guess.known() if choice == "auto" else choice
    kind, notes = UNIT_TABLE[unit], []
    zero = _usual_zero(summary, unit)
    if kind.low in LOWS and kind.is_log:
        share, n = summary.share_below(kind.low), int(summary.n_below[LOWS.index(kind.low)])
        if share > MOST_NEGATIVE:
            raise ExpressionError(
                f"{share:.0%} of the values of known genes are below {kind.low:.3g}, which"
                f" {kind.label} never is; the lowest is {summary.low:.4g}. Other logarithms can be:"
                f" log2-0.001, log2-0.01, log2-0, logcpm. {NOT_CENTRED}"
            )
        if n:
            notes.append(
                Note(
                    "warning",
                    f"{n} values ({share:.1%}) are below {kind.low:.3g}, which {kind.label} never"
                    " is.",
                    "They were read as no expression.",
                    "Was another number added before the logarithm (log2-0.001, logcpm)?",
                )
            )
    if kind.near:
        done = "They were read as log2."
        if zero is not None:
            done = f"vst was undone by its own formula, using the value of its zeros ({zero:.4g})."
        notes.append(Note("warning", kind.near, done, kind.better))
    if guess.unit is not None and _class_of(guess.unit) != _class_of(unit):
        notes.append(
            Note(
                "warning",
                f"The values look like {guess.unit}. {guess.reason}",
                f"They were read as {unit}, as you chose.",
                "Alignment hides a wrong unit: check which it is.",
            )
        )
    if guess.unit is None and all(UNIT_TABLE[it].is_log != kind.is_log for it in guess.possible):
        notes.append(
            Note(
                "warning",
                guess.reason,
                f"They were read as {unit}, as you chose.",
                "Alignment hides a wrong unit: check which it is.",
            )
        )
    return UnitReading(unit, scaled_to_million(summary, unit), zero, tuple(notes))


def _usual_zero(summary: ValueSummary, unit: Unit) -> float | None:
    """Return what a zero is in a sample that does not show it, from those that do."""
    kind = UNIT_TABLE[unit]
    floors = summary.floors[np.isfinite(summary.floors)]
    if kind.stabilised:
        floor = common_floor(summary)
        return floor if floor > LEAST_VST else None
    return float(np.median(floors)) if kind.is_log and kind.added is None and len(floors) else None


def _class_of(unit: Unit) -> tuple[float | None, float | None]:
    """Return what units that come to the same z-scores share: base, and what was added."""
    kind = UNIT_TABLE[unit]
    return kind.base, kind.added if kind.is_log else 0.0


def scaled_to_million(summary: ValueSummary, unit: Unit) -> bool:
    """Tell whether values in ``unit``, made linear, must yet be divided by their sums for TPM.

    Counts and FPKM must; what is per million must not, as a table of a part of the genes sums to
    less. Of a logarithm the sums tell: counts sum to more than a million, and a whole transcriptome
    that sums to much less was scaled to something else.
    """
    base = UNIT_TABLE[unit].base
    if base is None:
        return not UNIT_TABLE[unit].per_million
    sums = summary.undone[:, list(BASES.values()).index(base)]
    middle = float(np.median(sums))
    return bool(
        middle > 1e6 * (1 + SUM_TOLERANCE)
        or (summary.n_genes >= WHOLE_TRANSCRIPTOME and middle < 5e5)
    )
