"""Verdict on the unit of a table: the unit, or those that it may be, with the evidence in words."""

from __future__ import annotations

from dataclasses import dataclass

from mtm_core.data.notes import Note
from mtm_core.data.units import HOW_TO_CHOOSE, Unit, name_units
from mtm_core.errors import ExpressionError

WITH_NEGATIVES: tuple[Unit, ...] = ("logcpm", "log2-0.001", "log2-0.01", "log2-0", "log2")
"""Units in which many values may be negative, the likeliest first."""


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
