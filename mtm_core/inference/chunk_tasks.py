"""Tasks of a worker on one chunk of a table: summarise it, take its moments, predict it.

Only paths and settings travel to a worker; it opens table and model itself, once, and keeps them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mtm_core.bit_rounding import rounded
from mtm_core.data.formats.stored_table import StoredTable, open_stored_table
from mtm_core.data.tables.value_summary import ValueSummary
from mtm_core.errors import ArtefactError, InputFileError
from mtm_core.inference.alignment import AlignmentMethod, batch_labels, on_genes_found
from mtm_core.inference.gene_moments import GeneMoments
from mtm_core.inference.model_scale import TableGenes
from mtm_core.inference.on_demand import loaded
from mtm_core.inference.prediction_store import PredictionStore
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.inference.unit_reading import UnitReading

VALUES: tuple[str, ...] = ("z", "expression", "lower", "upper")
"""Quantities that a prediction can hold for each sample, tissue and gene."""
ALL_BITS = 23


@dataclass(frozen=True)
class ChunkWork:
    """All that is the same for every chunk.

    Attributes
    ----------
    table, state
        The table's path, and what :attr:`~mtm_core.data.formats.stored_table.StoredTable.state` was
        when the run began.
    model, model_sha256
        The model's folder and what is in it.
    store
        Store of predictions.
    source, targets, reading, alignment
        As in :class:`~mtm_core.inference.predictor.Predictor`.
    run
        Digest of the run, by which a worker tells what it holds from that of another.
    is_saved
        Whether the samples are read by a saved alignment.
    values, bits
        As in :class:`~mtm_core.inference.chunked.ChunkedRequest`.
    """

    table: Path
    state: tuple[int, ...]
    model: Path
    model_sha256: str
    store: PredictionStore
    source: str
    targets: tuple[str, ...]
    reading: UnitReading
    alignment: AlignmentMethod
    values: tuple[str, ...]
    bits: int
    run: str
    is_saved: bool = False


@dataclass(frozen=True)
class Chunk:
    """Samples ``start`` to ``stop`` of the table."""

    number: int
    start: int
    stop: int


def summarise(
    table: Path, state: tuple[int, ...], model: Path, model_sha256: str, chunk: Chunk
) -> tuple[ValueSummary, str]:
    """Summarise the values of a chunk, and give their SHA-256."""
    values = _table(table, state).read(chunk.start, chunk.stop)
    genes = _genes(table, state, model, model_sha256)
    return ValueSummary.of(values.to_numpy(), genes.columns), _digest(values)


def moments_of(work: ChunkWork, chunk: Chunk, batch: pd.Series | None) -> dict[str, GeneMoments]:
    """Take each gene's moments over the samples of each batch in a chunk; ``""`` without any."""
    predictor = _predictor(work.model, work.model_sha256)
    values = _table(work.table, work.state).read(chunk.start, chunk.stop)
    genes = _genes(work.table, work.state, work.model, work.model_sha256)
    linear = predictor.scale.normalised(values, work.reading, work.source, genes)
    expression = on_genes_found(linear, genes.match.found)
    scale = predictor.artefact.method.scaler.scale
    labels = np.array(batch_labels(values.index, batch))
    names = dict.fromkeys(labels.tolist())
    return {name: GeneMoments.of(expression[labels == name], scale) for name in names}


def prepare_values(work: ChunkWork, values: pd.DataFrame, batch: pd.Series | None) -> Prepared:
    """Make samples of the table ready, as among them all."""
    predictor = _predictor(work.model, work.model_sha256)
    return predictor.prepare(
        values,
        source=work.source,
        reading=work.reading,
        alignment="auto" if work.is_saved else work.alignment,
        whole=_moments(work.store, work.run),
        batch=batch,
        alignment_from=_alignment(work.store, work.run) if work.is_saved else None,
    )


def predict_values(
    work: ChunkWork,
    values: pd.DataFrame,
    phenotypes: pd.DataFrame | None,
    batch: pd.Series | None,
) -> xr.Dataset:
    """Predict samples of the table as among them all."""
    predictor = _predictor(work.model, work.model_sha256)
    prepared = prepare_values(work, values, batch)
    prediction = predictor.predict_prepared(prepared, work.targets, phenotypes=phenotypes)
    chunk = loaded(
        prediction.drop_vars(
            [name for name in VALUES if name in prediction and name not in work.values]
        )
    )
    for name in VALUES:
        if name in chunk and work.bits < ALL_BITS:
            chunk[name] = chunk[name].copy(data=rounded(chunk[name].to_numpy(), work.bits))
    return chunk


def predict_into_store(
    work: ChunkWork,
    chunk: Chunk,
    sha256: str,
    phenotypes: pd.DataFrame | None,
    batch: pd.Series | None,
) -> int:
    """Predict a chunk, write it, and give its number.

    Raises
    ------
    InputFileError
        If its values are not those that ``sha256`` is of.
    """
    values = _table(work.table, work.state).read(chunk.start, chunk.stop)
    if _digest(values) != sha256:
        raise InputFileError(
            f"{work.table}: samples {chunk.start + 1} to {chunk.stop} have changed since the run "
            f"began. Delete the output, and start again."
        )
    work.store.write(chunk.number, predict_values(work, values, phenotypes, batch))
    return chunk.number


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


@lru_cache(maxsize=1)
def _table(path: Path, state: tuple[int, ...]) -> StoredTable:
    """Open the table; ``state`` is there so that a changed file is opened anew."""
    return open_stored_table(path)


@lru_cache(maxsize=1)
def _genes(table: Path, state: tuple[int, ...], model: Path, sha256: str) -> TableGenes:
    return _predictor(model, sha256).scale.match(_table(table, state).genes)


@lru_cache(maxsize=1)
def _moments(store: PredictionStore, run: str) -> dict[str, GeneMoments] | None:
    return store.moments()


@lru_cache(maxsize=1)
def _alignment(store: PredictionStore, run: str) -> SavedAlignment | None:
    return store.alignment()
