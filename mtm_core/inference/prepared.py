"""A user's samples, ready for a model, and how they got there."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mtm_core.data.genes.index import GeneMatch
from mtm_core.data.notes import Note
from mtm_core.data.units import Unit
from mtm_core.inference.alignment import Aligned
from mtm_core.inference.saved_alignment import SavedAlignment

Saved = SavedAlignment | str | os.PathLike[str]
"""An alignment, or the file, folder or bundle that holds it."""


@dataclass(frozen=True)
class Prepared:
    """A user's samples as the model reads them, and how they got there.

    Attributes
    ----------
    aligned
        z-scores on the model's genes, with distances from the reference.
    match
        Which of the model's genes the table has.
    samples
        Names, in the table's order.
    source
        Tissue they are of.
    unit
        Unit that the table was read in.
    notes
        Everything that was found and done, in words.
    alignment
        How it was read and aligned, to be saved: what later samples are read by.
    from_saved
        Whether ``alignment`` was a saved one, of earlier samples.
    """

    aligned: Aligned
    match: GeneMatch
    samples: tuple[str, ...]
    source: str
    unit: Unit
    notes: tuple[Note, ...]
    alignment: SavedAlignment
    from_saved: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """The one tissue, as of :class:`~mtm_core.inference.together.Together`."""
        return (self.source,)

    @property
    def tables(self) -> tuple[Prepared, ...]:
        """The one table, as of :class:`~mtm_core.inference.together.Together`."""
        return (self,)
