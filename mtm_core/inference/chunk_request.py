"""What a prediction in chunks is asked for, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mtm_core.data.notes import Note
from mtm_core.data.units import UnitChoice
from mtm_core.errors import SelectionError
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.chunk_tables import (
    StoredTissue,
)
from mtm_core.inference.chunk_tasks import (
    ALL_BITS,
    VALUES,
)
from mtm_core.inference.saved_alignment import SavedAlignment

ChunkProgress = Callable[[str, int, int], None]
"""Called with (what is being done, chunks done, chunks in all)."""


@dataclass(frozen=True)
class ChunkedRequest:
    """What to predict, and how to store it; the same request goes on with a run that was cut off.

    Attributes
    ----------
    table, output, model
        Table of :func:`mtm_core.data.formats.stored_table.open_stored_table`, store to write,
        folder of the model: under the same names for every worker.
    source, targets, unit, alignment
        As in :class:`~mtm_core.inference.predictor.Predictor`.
    further
        Tables of further tissues of the same people, in order.
    near_people
        Take names that may be one person's in two tables for the same.
    values
        Out of ``VALUES``; those that the method does not give are left out.
    bits
        Binary digits that are stored of each value, of the 23 of float32
        (:func:`mtm_core.bit_rounding.rounded`).
    chunk
        People at a time; 0 takes what makes a prediction of half a GB.

    Raises
    ------
    SelectionError
        If a value is unknown, or a number is out of its range.
    """

    table: Path
    output: Path
    model: Path
    source: str = "Whole Blood"
    targets: tuple[str, ...] | None = None
    unit: UnitChoice = "auto"
    alignment: AlignmentMethod = "auto"
    values: tuple[str, ...] = VALUES
    bits: int = ALL_BITS
    chunk: int = 0
    further: tuple[StoredTissue, ...] = ()
    near_people: bool = False

    @property
    def tables(self) -> tuple[StoredTissue, ...]:
        """The tables, the main one first."""
        return (StoredTissue(self.table, self.source, self.unit), *self.further)

    def __post_init__(self) -> None:
        unknown = [name for name in self.values if name not in VALUES]
        if unknown or not self.values:
            raise SelectionError.unknown("value", unknown or [""], VALUES)
        if not 1 <= self.bits <= ALL_BITS or self.chunk < 0:
            raise SelectionError(
                f"expected 1 to {ALL_BITS} bits and a chunk of 1 sample or more, got {self.bits}"
                f" and {self.chunk}."
            )


@dataclass(frozen=True)
class TableRead:
    """How a table of a run was read.

    Attributes
    ----------
    source
        Tissue of its samples.
    unit, alignment
        As used.
    distance
        ``distance_before`` and ``distance_after`` by sample; empty where it is not known, which is
        of further tissues once a run is finished.
    by_batch
        Distances of each batch, as of :meth:`mtm_core.inference.alignment.Aligned.by_batch`; empty
        without batches.
    saved
        What the samples were aligned by; ``None`` if all was there already.
    """

    source: str
    unit: str
    alignment: str
    distance: pd.DataFrame = field(repr=False)
    by_batch: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    saved: SavedAlignment | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ChunkedResult:
    """Result of a run.

    Attributes
    ----------
    sizes
        Samples, tissues, genes.
    n_chunks, n_there_before
        Chunks in all; those that were there already.
    tables
        How each table was read, the main one first.
    by_sample
        Result of :meth:`~mtm_core.inference.prediction_store.PredictionStore.by_sample`.
    notes
        Notes on findings and actions.
    tissues_given
        How many people were predicted from which tissues; empty of one tissue.
    interval
        Data that the intervals were calibrated on, in words.
    """

    sizes: tuple[int, int, int]
    n_chunks: int
    n_there_before: int
    tables: tuple[TableRead, ...]
    by_sample: pd.DataFrame
    notes: tuple[Note, ...]
    tissues_given: Mapping[str, int]
    interval: str

    @property
    def unit(self) -> str:
        """Unit of the main table."""
        return self.tables[0].unit

    @property
    def alignment(self) -> str:
        """Alignment of the main table."""
        return self.tables[0].alignment

    @property
    def by_batch(self) -> pd.DataFrame:
        """Distances of each batch of the main table."""
        return self.tables[0].by_batch

    @property
    def saved(self) -> SavedAlignment | None:
        """What the samples of the main table were aligned by."""
        return self.tables[0].saved
