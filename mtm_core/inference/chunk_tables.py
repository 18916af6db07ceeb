"""A stored table of one tissue, in the process that directs a prediction in chunks.

What is found out about all its samples together: how their values are read, and how they are
aligned; and what is said of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.formats.stored_table import StoredTable, open_stored_table
from mtm_core.data.notes import Note
from mtm_core.data.tables.unit_guess.judging import guess_unit_of
from mtm_core.data.tables.value_summary import ValueSummary
from mtm_core.data.units import UnitChoice
from mtm_core.errors import ExpressionError
from mtm_core.inference.alignment import (
    AlignmentMethod,
    batch_labels,
    check_batches,
    distance_by_batch,
)
from mtm_core.inference.alignment_notes import describe_as_before, describe_far, describe_none
from mtm_core.inference.batch_parameters import ENOUGH_SAMPLES, BatchParameters
from mtm_core.inference.chunk_tasks import Chunk, TableWork
from mtm_core.inference.later_samples import alignment_for, read_as_before
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.inference.together import describe_people, matched_people
from mtm_core.inference.unit_distance import SAMPLES_LOOKED_AT, describe_far_before
from mtm_core.inference.unit_reading import UnitReading, read_unit

Found = dict[str, Any]
"""What was found out about all samples of a table; JSON values."""


@dataclass(frozen=True)
class StoredTissue:
    """A stored table to predict from.

    Attributes
    ----------
    table
        Path of :func:`mtm_core.data.formats.stored_table.open_stored_table`.
    source, unit
        Tissue of its samples, unit of its values.
    """

    table: Path
    source: str
    unit: UnitChoice = "auto"


@dataclass(frozen=True)
class TableOfRun:
    """A table of a run.

    Attributes
    ----------
    asked
        What was asked for.
    stored, state
        The table, and its state when the run began.
    rows
        (N,) row of each person, -1 where there is none.
    batch
        Batch of each sample; ``None`` without batches.
    saved
        Saved alignment that the samples are read by.
    """

    asked: StoredTissue
    stored: StoredTable
    state: tuple[int, ...]
    rows: NDArray[np.intp]
    batch: pd.Series | None
    saved: SavedAlignment | None

    @property
    def source(self) -> str:
        """Tissue of its samples."""
        return self.asked.source

    def batch_of(self, rows: NDArray[np.intp]) -> pd.Series | None:
        """Return the batches of the samples at ``rows``."""
        return None if self.batch is None else self.batch.iloc[rows]

    @property
    def labels(self) -> list[str]:
        """Batch of each sample; empty text without batches."""
        n_samples = len(self.stored.samples)
        return [""] * n_samples if self.batch is None else self.batch.tolist()

    def find_out(
        self, summary: ValueSummary, predictor: Predictor, alignment: AlignmentMethod
    ) -> Found:
        """Find out how all values are read and aligned, by their ``summary``.

        Raises
        ------
        ExpressionError, SelectionError
            As :meth:`mtm_core.inference.predictor.Predictor.prepare`.
        """
        unit = self.asked.unit
        known = (predictor.typical(self.source), self.stored.stated_unit)
        reading = (
            read_unit(summary, unit, *known)
            if self.saved is None
            else read_as_before(summary, self.saved, unit, *known)
        )
        notes = list(reading.notes)
        if unit == "auto":
            notes.insert(0, guess_unit_of(summary, *known).note())
        how = alignment if self.saved is None else self.saved.how
        if how == "auto":
            enough = len(self.stored.samples) >= ENOUGH_SAMPLES
            how = "cohort" if enough else "none"
        return {
            "unit": reading.unit,
            "to_million": reading.to_million,
            "zero": reading.zero,
            "unit_notes": [asdict(note) for note in notes],
            "alignment": how,
        }

    def work(self, found: Found) -> TableWork:
        """Return what every chunk needs."""
        return TableWork(
            self.asked.table,
            self.state,
            self.source,
            UnitReading(found["unit"], found["to_million"], found["zero"], ()),
            found["alignment"],
            self.saved is not None,
        )

    def used(self, work: TableWork, first: Prepared) -> SavedAlignment:
        """Return what all samples are aligned by, from the ``first`` of them."""
        if self.saved is not None or work.alignment != "none":
            return self.saved or first.alignment
        labels = self.labels
        none = [BatchParameters(name, "none", labels.count(name)) for name in sorted(set(labels))]
        return replace(first.alignment, parameters=tuple(none))

    def notes(
        self,
        work: TableWork,
        found: Found,
        first: Prepared,
        predictor: Predictor,
        alignment: AlignmentMethod,
    ) -> list[Note]:
        """Say what was found and done, but for what each sample's distance says."""
        notes = [Note(**note) for note in found["unit_notes"]]
        of_sample = describe_far(first.aligned.distance)
        aligned = [note for note in first.aligned.notes if note not in of_sample]
        if self.saved is not None:
            labels = set(self.labels)
            used = [own for own in self.saved.parameters if own.batch in labels]
            aligned = describe_as_before(used, len(self.stored.samples))
        elif work.alignment == "none":
            aligned = describe_none(
                alignment,
                len(self.stored.samples),
                ENOUGH_SAMPLES,
                work.reading.unit,
                predictor.artefact.normalisation,
            )
        some = self.stored.read(0, min(SAMPLES_LOOKED_AT, len(self.stored.samples)))
        genes = predictor.scale.match(self.stored.genes)
        nearer = predictor.scale.nearer_units(some, work.reading, self.source, genes)
        return [*notes, *first.match.notes, *aligned, *nearer]

    def by_batch(self, used: SavedAlignment | None, distance: pd.DataFrame) -> pd.DataFrame:
        """Return the distance of each batch from the reference; empty if it is not known."""
        if used is None or self.batch is None or distance.empty:
            return pd.DataFrame()
        labels = self.batch.reindex(distance.index).tolist()
        own = [one for one in used.parameters if one.batch in labels]
        return distance_by_batch(own, distance, labels)


def far_notes(distance: pd.DataFrame, alignment: str) -> list[Note]:
    """Name the samples of a table that lie far from the reference."""
    if distance.empty:
        return []
    return [*describe_far(distance), *describe_far_before(distance, alignment)]


def of_tissue(notes: Sequence[Note], source: str) -> list[Note]:
    """Put the tissue of a further table before each note."""
    return [replace(note, found=f"{source}: {note.found}") for note in notes]


def open_tables(
    asked: Sequence[StoredTissue],
    predictor: Predictor,
    alignment: AlignmentMethod,
    *,
    batch: pd.Series | Mapping[str, pd.Series] | None,
    alignment_from: SavedAlignment | Mapping[str, SavedAlignment] | None,
    near_people: bool,
) -> tuple[tuple[TableOfRun, ...], tuple[str, ...], list[Note]]:
    """Open the tables of a run, and match their people.

    Returns
    -------
    tuple
        The tables, the people, and how people match, in notes.

    Raises
    ------
    InputFileError, ExpressionError, SelectionError
        As :func:`mtm_core.inference.chunked.predict_chunked`.
    """
    stored = []
    for one in asked:
        try:
            stored.append(open_stored_table(one.table, predictor.genes))
        except ExpressionError as error:
            if one is asked[0]:
                raise
            raise ExpressionError(f"{one.source}: {error}") from error
    names = {one.source: table.samples for one, table in zip(asked, stored, strict=True)}
    people, rows, matches = matched_people(names, near_people=near_people)
    notes = [
        note
        for one, match in zip(asked[1:], matches, strict=True)
        for note in describe_people(match, one.source)
    ]
    tables = []
    for one, table, own_rows in zip(asked, stored, rows, strict=True):
        saved = (
            alignment_from.get(one.source)
            if isinstance(alignment_from, Mapping)
            else alignment_from
        )
        if saved is not None:
            saved = alignment_for(saved, predictor.artefact, one.source, alignment)
        own = batch.get(one.source) if isinstance(batch, Mapping) else batch
        own = _checked_batches(own, saved, table.samples)
        tables.append(TableOfRun(one, table, table.state, own_rows, own, saved))
    return tuple(tables), people, notes


def chunks_of(tables: Sequence[TableOfRun], people: Sequence[str], size: int) -> list[Chunk]:
    """Divide people into chunks of ``size``."""
    n_people = len(people)
    return [
        Chunk(
            number,
            start,
            stop := min(start + size, n_people),
            tuple(people[start:stop]),
            tuple(table.rows[start:stop] for table in tables),
        )
        for number, start in enumerate(range(0, n_people, size))
    ]


def one_of_each_combination(tables: Sequence[TableOfRun], people: Sequence[str]) -> Chunk:
    """Return a chunk of the first person of each combination of tissues, in order."""
    there = np.stack([table.rows >= 0 for table in tables])
    _, first, count = np.unique(there, axis=1, return_index=True, return_counts=True)
    order = np.argsort(first)
    places = first[order]
    return Chunk(
        0,
        0,
        len(places),
        tuple(people[i] for i in places.tolist()),
        tuple(table.rows[places] for table in tables),
        tuple(count[order].tolist()),
    )


def _checked_batches(
    batch: pd.Series | None, saved: SavedAlignment | None, samples: Sequence[str]
) -> pd.Series | None:
    """Return the batch of each of ``samples``; one that is not known is refused beforehand."""
    if batch is None:
        if saved is not None and saved.batches:
            check_batches([""], saved.batches)
        return None
    labels = batch_labels(pd.Index(list(samples)), batch)
    if saved is not None:
        check_batches(labels, saved.batches or [""])
    return pd.Series(labels, list(samples), name=str(batch.name or "batch"), dtype=object)
