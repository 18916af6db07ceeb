"""Tasks of a worker on one chunk of people: summarise their samples, take moments, predict them.

Only paths and settings travel to a worker; it opens tables and model itself, once, and keeps them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mtm_core.bit_rounding import rounded
from mtm_core.data.formats.stored_table import StoredTable, open_stored_table
from mtm_core.data.tables.value_summary import ValueSummary
from mtm_core.errors import ArtefactError, ExpressionError, InputFileError
from mtm_core.inference.alignment import AlignmentMethod, batch_labels
from mtm_core.inference.gene_moments import GeneMoments
from mtm_core.inference.genes_found import on_genes_found
from mtm_core.inference.model_scale import TableGenes
from mtm_core.inference.on_demand import loaded
from mtm_core.inference.prediction_dataset import predict_people
from mtm_core.inference.prediction_store import PredictionStore
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.inference.together import Together
from mtm_core.inference.unit_reading import UnitReading

VALUES: tuple[str, ...] = ("z", "expression", "lower", "upper")
"""Quantities that a prediction can hold for each sample, tissue and gene."""
ALL_BITS = 23
DISTANCES = ("distance_before", "distance_after")
_MOST_TABLES = 16
"""Tables that a worker holds open: one a tissue."""

Batches = Sequence[pd.Series | None]
"""Of each table, the batch by sample."""


@dataclass(frozen=True)
class TableWork:
    """All that is the same for every chunk of a table.

    Attributes
    ----------
    path, state
        The table's path, and what :attr:`~mtm_core.data.formats.stored_table.StoredTable.state` was
        when the run began.
    source, reading, alignment
        As in :class:`~mtm_core.inference.predictor.Predictor`.
    is_saved
        Whether the samples are read by a saved alignment.
    """

    path: Path
    state: tuple[int, ...]
    source: str
    reading: UnitReading
    alignment: AlignmentMethod
    is_saved: bool = False


@dataclass(frozen=True)
class ChunkWork:
    """All that is the same for every chunk.

    Attributes
    ----------
    tables
        Table of each tissue, the main one first.
    model, model_sha256
        The model's folder and what is in it.
    store
        Store of predictions.
    targets
        As in :class:`~mtm_core.inference.predictor.Predictor`.
    run
        Digest of the run, by which a worker tells what it holds from that of another.
    values, bits
        As in :class:`~mtm_core.inference.chunked.ChunkedRequest`.
    """

    tables: tuple[TableWork, ...]
    model: Path
    model_sha256: str
    store: PredictionStore
    targets: tuple[str, ...]
    values: tuple[str, ...]
    bits: int
    run: str


@dataclass(frozen=True)
class Chunk:
    """People ``start`` to ``stop``.

    Attributes
    ----------
    number, start, stop
        Which people.
    people
        Their names.
    rows
        Row of each person in each table, -1 where there is none.
    n_alike
        As in :func:`mtm_core.inference.prediction_dataset.predict_people`.
    """

    number: int
    start: int
    stop: int
    people: tuple[str, ...]
    rows: tuple[NDArray[np.intp], ...]
    n_alike: tuple[int, ...] | None = None

    def rows_of(self, table: int) -> NDArray[np.intp]:
        """Return the rows of a table that these people have."""
        return self.rows[table][self.rows[table] >= 0]

    def rows_read(self, table: int) -> NDArray[np.intp]:
        """Return the rows to read; of a table that nobody here is in, the first, for its scale."""
        own = self.rows_of(table)
        return own if len(own) else np.zeros(1, dtype=np.intp)


def summarise(
    tables: Sequence[tuple[Path, tuple[int, ...]]], model: Path, model_sha256: str, chunk: Chunk
) -> list[tuple[ValueSummary, str] | None]:
    """Summarise the values of a chunk and return their SHA-256, of each table that has some."""
    found: list[tuple[ValueSummary, str] | None] = []
    for number, (table, state) in enumerate(tables):
        rows = chunk.rows_of(number)
        if not len(rows):
            found.append(None)
            continue
        values = _table("reading", table, state).take(rows)
        genes = _genes("reading", table, state, model, model_sha256)
        found.append((ValueSummary.of(values.to_numpy(), genes.columns), _digest(values)))
    return found


def moments_of(work: ChunkWork, chunk: Chunk, batches: Batches) -> list[dict[str, GeneMoments]]:
    """Take each gene's moments over the samples of each batch, ``""`` without any, by table.

    Nothing of a table whose alignment needs none.
    """
    predictor = _predictor(work.model, work.model_sha256)
    scale = predictor.artefact.method.scaler.scale
    found: list[dict[str, GeneMoments]] = []
    for number, own in enumerate(work.tables):
        rows = chunk.rows_of(number)
        if own.alignment == "none" or own.is_saved or not len(rows):
            found.append({})
            continue
        values = _table("aligning", own.path, own.state).take(rows)
        genes = _genes("aligning", own.path, own.state, work.model, work.model_sha256)
        linear = predictor.scale.normalised(values, own.reading, own.source, genes)
        expression = on_genes_found(linear, genes.match.found)
        labels = np.array(batch_labels(values.index, batches[number]))
        names = dict.fromkeys(labels.tolist())
        found.append({name: GeneMoments.of(expression[labels == name], scale) for name in names})
    return found


def prepare_values(
    work: ChunkWork, number: int, values: pd.DataFrame, batch: pd.Series | None
) -> Prepared:
    """Make samples of the table ``number`` ready, as among them all."""
    predictor, own = _predictor(work.model, work.model_sha256), work.tables[number]
    needs_moments = own.alignment != "none" and not own.is_saved
    try:
        return predictor.prepare(
            values,
            source=own.source,
            reading=own.reading,
            alignment="auto" if own.is_saved else own.alignment,
            whole=_moments(work.store, work.run)[number] if needs_moments else None,
            batch=batch,
            alignment_from=_alignments(work.store, work.run)[own.source] if own.is_saved else None,
        )
    except ExpressionError as error:
        if not number:
            raise
        raise ExpressionError(f"{own.source}: {error}") from error


def read_values(work: ChunkWork, number: int, rows: NDArray[np.intp]) -> pd.DataFrame:
    """Read samples of the table ``number``."""
    own = work.tables[number]
    return _table("predicting", own.path, own.state).take(rows)


def predict_values(
    work: ChunkWork,
    chunk: Chunk,
    values: Sequence[pd.DataFrame],
    phenotypes: pd.DataFrame | None,
    batches: Batches,
) -> tuple[xr.Dataset, Together]:
    """Predict people as among them all, from what was read of each table."""
    predictor = _predictor(work.model, work.model_sha256)
    tables = [
        prepare_values(work, number, *own)
        for number, own in enumerate(zip(values, batches, strict=True))
    ]
    rows = tuple(np.where(own >= 0, np.cumsum(own >= 0) - 1, -1) for own in chunk.rows)
    people = Together(tuple(tables), chunk.people, rows, ())
    prediction = predict_people(
        predictor.artefact, people, work.targets, phenotypes, n_alike=chunk.n_alike
    )
    found = loaded(
        prediction.drop_vars(
            [name for name in VALUES if name in prediction and name not in work.values]
        )
    )
    for name in VALUES:
        if name in found and work.bits < ALL_BITS:
            found[name] = found[name].copy(data=rounded(found[name].to_numpy(), work.bits))
    return found, people


def predict_into_store(
    work: ChunkWork,
    chunk: Chunk,
    sha256: Sequence[str],
    phenotypes: pd.DataFrame | None,
    batches: Batches,
) -> int:
    """Predict a chunk, write it, and return its number.

    Raises
    ------
    InputFileError
        If values are not those that ``sha256`` is of, by table.
    """
    values = []
    for number, known in enumerate(sha256):
        values.append(read_values(work, number, chunk.rows_read(number)))
        if known and _digest(values[number]) != known:
            raise InputFileError(
                f"{work.tables[number].path}: samples {chunk.start + 1} to {chunk.stop} have"
                " changed since the run began. Delete the output, and start again."
            )
    prediction, people = predict_values(work, chunk, values, phenotypes, batches)
    work.store.write(chunk.number, prediction, distances_json(people, chunk))
    return chunk.number


def distances_json(people: Together, chunk: Chunk) -> str:
    """Write the distances of samples of further tissues, which a prediction has no place for."""
    further = range(1, len(people.tables))
    return json.dumps(
        [
            people.tables[number].aligned.distance[list(DISTANCES)].to_numpy().tolist()
            if len(chunk.rows_of(number))
            else []
            for number in further
        ]
        if further
        else []
    )


def _digest(values: pd.DataFrame) -> str:
    return hashlib.sha256(values.to_numpy().tobytes()).hexdigest()


@lru_cache(maxsize=1)
def _predictor(model: Path, sha256: str) -> Predictor:
    predictor = Predictor.load(model)
    if predictor.artefact.sha256 != sha256:
        raise ArtefactError(
            f"{model} holds another model on this worker than where the run was begun. Give"
            " every worker the same folder."
        )
    return predictor


def _table(task: str, path: Path, state: tuple[int, ...]) -> StoredTable:
    """Open the table; ``state`` is there so that a changed file is opened anew."""
    return _tables(task)(path, state)


@lru_cache(maxsize=1)
def _tables(task: str) -> Callable[[Path, tuple[int, ...]], StoredTable]:
    """Return what opens the tables of a task, and holds them until the next.

    So values that a table held for the task before are read again, and found to have changed.
    """
    return lru_cache(maxsize=_MOST_TABLES)(lambda path, state: open_stored_table(path))


@lru_cache(maxsize=_MOST_TABLES)
def _genes(task: str, table: Path, state: tuple[int, ...], model: Path, sha256: str) -> TableGenes:
    return _predictor(model, sha256).scale.match(_table(task, table, state).genes)


@lru_cache(maxsize=1)
def _moments(store: PredictionStore, run: str) -> list[dict[str, GeneMoments]]:
    return store.moments()


@lru_cache(maxsize=1)
def _alignments(store: PredictionStore, run: str) -> dict[str, SavedAlignment]:
    return {one.source: one for one in store.alignments()}
