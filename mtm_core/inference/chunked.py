"""Predict a table of any size, chunk by chunk, on Dask workers, into a zarr store.

The result is that of :class:`~mtm_core.inference.predictor.Predictor` on the whole table. What it
takes from all samples together, the unit and, with alignment, each gene's mean and SD, is found
first, in a pass over the values each; then every chunk of samples is predicted by itself. In
memory are a chunk of the table and of its prediction a worker, and the names of the samples.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from mtm_core import __version__
from mtm_core.data.formats.stored_table import StoredTable, open_stored_table
from mtm_core.data.notes import Note
from mtm_core.data.people.exact_phenotypes import exact_phenotypes_of
from mtm_core.data.tables.unit_guess import guess_unit_of
from mtm_core.data.tables.value_summary import ValueSummary
from mtm_core.data.units import UnitChoice
from mtm_core.errors import OutputError, SelectionError
from mtm_core.inference.alignment import (
    AlignmentMethod,
    batch_labels,
    check_batches,
    distance_by_batch,
)
from mtm_core.inference.alignment_notes import describe_as_before, describe_far
from mtm_core.inference.batch_parameters import ENOUGH_SAMPLES, BatchParameters
from mtm_core.inference.chunk_tasks import (
    ALL_BITS,
    VALUES,
    Chunk,
    ChunkWork,
    moments_of,
    predict_into_store,
    predict_values,
    prepare_values,
    summarise,
)
from mtm_core.inference.cluster import in_order
from mtm_core.inference.gene_moments import GeneMoments
from mtm_core.inference.later_samples import alignment_for, read_as_before
from mtm_core.inference.prediction_store import PredictionStore, Run
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.inference.unit_distance import SAMPLES_LOOKED_AT, describe_far_before
from mtm_core.inference.unit_reading import UnitReading, read_unit
from mtm_core.safe_output import check_output, refuse_inputs

if TYPE_CHECKING:
    from distributed import Client

Result = TypeVar("Result")

_CHUNK_BYTES = 512 * 1024**2
_LARGEST_CHUNK = 1024

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
    values
        Out of ``VALUES``; those that the method does not give are left out.
    bits
        Binary digits that are stored of each value, of the 23 of float32
        (:func:`mtm_core.bit_rounding.rounded`).
    chunk
        Samples at a time; 0 takes what makes a prediction of half a GB.

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
class ChunkedResult:
    """Result of a run.

    Attributes
    ----------
    sizes
        Samples, tissues, genes.
    n_chunks, n_there_before
        Chunks in all; those that were there already.
    unit, alignment
        As used.
    by_batch
        Distances of each batch, as of :meth:`mtm_core.inference.alignment.Aligned.by_batch`; empty
        without batches.
    saved
        What the samples were aligned by; ``None`` if all was there already.
    by_sample
        Result of :meth:`~mtm_core.inference.prediction_store.PredictionStore.by_sample`.
    notes
        Notes on findings and actions.
    """

    sizes: tuple[int, int, int]
    n_chunks: int
    n_there_before: int
    unit: str
    alignment: str
    by_sample: pd.DataFrame
    notes: tuple[Note, ...]
    by_batch: pd.DataFrame = field(default_factory=pd.DataFrame)
    saved: SavedAlignment | None = None


def predict_chunked(
    request: ChunkedRequest,
    client: Client,
    *,
    phenotypes: pd.DataFrame | None = None,
    batch: pd.Series | None = None,
    alignment_from: SavedAlignment | None = None,
    progress: ChunkProgress | None = None,
    overwrite: bool = False,
) -> ChunkedResult:
    """Predict ``request`` on the workers of ``client``, or go on where it was cut off.

    Parameters
    ----------
    phenotypes
        As in :meth:`~mtm_core.inference.predictor.Predictor.predict_prepared`.
    batch
        Name of each sample's batch, by sample: each batch is aligned by itself.
    alignment_from
        Saved alignment that the samples are read by.
    progress
        Called with each chunk.
    overwrite
        Whether to begin anew where the output is of another run, and to replace it in the end.

    Raises
    ------
    OutputError
        If the output is something else, or cannot be written.
    SelectionError
        If the output is of another model, table or option; or as
        :meth:`~mtm_core.inference.predictor.Predictor.targets_of`.
    InputFileError, ExpressionError
        As :func:`mtm_core.data.formats.stored_table.open_stored_table` and
        :meth:`~mtm_core.inference.predictor.Predictor.prepare`; or if the table is changed while it
        is read.
    ClusterError
        As :func:`mtm_core.inference.cluster.in_order`.
    """
    refuse_inputs(request.output, [request.table, request.model / "model.json"])
    plan = _Plan.of(
        request,
        client,
        phenotypes,
        batch,
        alignment_from,
        progress or (lambda what, done, total: None),
    )
    begun = plan.begun(overwrite=overwrite)
    if begun is not None and tuple(begun["found"]["state"]) == plan.state:
        found = begun["found"]
    else:
        found = plan.look_through()
        if begun is not None and begun["found"]["sha256"] != found["sha256"]:
            if not overwrite:
                raise SelectionError(
                    f"{request.output} was begun from other values than {request.table} has now. "
                    f"Delete it, choose another name, or start again with --overwrite."
                )
            begun = None
    run = {"asked": plan.asked, "found": found}
    work = plan.work(found)
    there, notes, used = set(range(len(plan.chunks))), [], None
    if begun is None or not plan.store.is_complete(run):
        if begun is None:
            plan.store.begin_anew()
            plan.store.begin(run, plan.moments(work), alignment_from)
        first = plan.first(work)
        there, notes, used = (
            plan.store.done(),
            plan.notes(work, found, first),
            plan.used(work, first),
        )
        plan.predict(work, found, there)
        plan.store.finish(run, overwrite=overwrite)
    plan.store.begin_anew()  # a ledger that a run left which was killed at its very end
    by_sample = plan.store.by_sample(plan.table.samples)
    return ChunkedResult(
        sizes=(len(by_sample), len(work.targets), len(plan.predictor.artefact.genes)),
        n_chunks=len(plan.chunks),
        n_there_before=len(there),
        unit=work.reading.unit,
        alignment=work.alignment,
        by_sample=by_sample,
        notes=(
            *notes,
            *describe_far(by_sample),
            *describe_far_before(by_sample, work.alignment),
        ),
        by_batch=plan.by_batch(used, by_sample),
        saved=used,
    )


@dataclass(frozen=True)
class _Plan:
    """A request with what it needs, in the process that directs the workers."""

    request: ChunkedRequest
    client: Client
    phenotypes: pd.DataFrame | None
    batch: pd.Series | None
    saved: SavedAlignment | None
    tell: ChunkProgress
    predictor: Predictor
    table: StoredTable
    state: tuple[int, ...]
    targets: tuple[str, ...]
    store: PredictionStore

    @classmethod
    def of(
        cls,
        request: ChunkedRequest,
        client: Client,
        phenotypes: pd.DataFrame | None,
        batch: pd.Series | None,
        saved: SavedAlignment | None,
        tell: ChunkProgress,
    ) -> _Plan:
        predictor = Predictor.load(request.model)
        targets = predictor.targets_of(request.source, request.targets)
        table = open_stored_table(request.table, predictor.genes)
        people = None if phenotypes is None else exact_phenotypes_of(phenotypes, table.samples)
        if saved is not None:
            saved = alignment_for(saved, predictor.artefact, request.source, request.alignment)
        batch = _checked_batches(batch, saved, table.samples)
        of_sample = 4 * len(request.values) * len(targets) * len(predictor.artefact.genes)
        chunk = request.chunk or min(max(_CHUNK_BYTES // of_sample, 1), _LARGEST_CHUNK)
        store = PredictionStore(request.output, min(chunk, len(table.samples)))
        settings = (people, batch, saved, tell, predictor, table, table.state, targets, store)
        return cls(request, client, *settings)

    def begun(self, *, overwrite: bool) -> Run | None:
        """Return the run that was begun, if it is the one asked for; another is refused."""
        try:
            begun = self.store.begun()
        except OutputError:
            if not overwrite:
                raise
            check_output(self.store.path, overwrite=True, folder=True)
            return None
        if begun is not None:
            other = [name for name in self.asked if begun["asked"].get(name) != self.asked[name]]
            if other and overwrite:
                return None
            _refuse_another(begun["asked"], self.asked, self.request.output)
        return begun

    @property
    def chunks(self) -> list[Chunk]:
        """Every chunk of the table."""
        n, size = len(self.table.samples), self.store.chunk
        starts = range(0, n, size)
        return [Chunk(i, start, min(start + size, n)) for i, start in enumerate(starts)]

    @property
    def asked(self) -> Run:
        """Properties that must be equal for a run to be continued."""
        request, people = self.request, self.phenotypes
        return {
            "version of mtm": __version__,
            "model": self.predictor.artefact.sha256,
            "names of samples and genes": self.table.names_sha256,
            "age and sex": "" if people is None else _sha256(people.to_csv()),
            "batches": "" if self.batch is None else _sha256(self.batch.to_csv()),
            "saved alignment": "" if self.saved is None else self.saved.digest,
            "source": request.source,
            "targets": list(self.targets),
            "unit": request.unit,
            "alignment": request.alignment,
            "values": list(request.values),
            "bits": request.bits,
            "chunk": self.store.chunk,
        }

    def look_through(self) -> Run:
        """Find out about all values together: their hash, their unit, how to align them."""
        artefact, source = self.predictor.artefact, self.request.source
        model = (self.request.model, artefact.sha256)
        jobs = [(self.table.path, self.state, *model, chunk) for chunk in self.chunks]
        parts = list(self._each("Reading", summarise, jobs))
        whole = ValueSummary.joined([summary for summary, _ in parts])
        hashes = [sha256 for _, sha256 in parts]
        known = (self.predictor.typical(source), self.table.stated_unit)
        asked = self.request.unit
        reading = (
            read_unit(whole, asked, *known)
            if self.saved is None
            else read_as_before(whole, self.saved, asked, *known)
        )
        notes = list(reading.notes)
        if self.request.unit == "auto":
            notes.insert(0, guess_unit_of(whole, *known).note())
        alignment = self.request.alignment if self.saved is None else self.saved.how
        if alignment == "auto":
            enough = len(self.table.samples) >= ENOUGH_SAMPLES
            alignment = "cohort" if enough else "none"
        return {
            "state": list(self.state),
            "sha256": hashlib.sha256("".join(hashes).encode()).hexdigest(),
            "chunks": hashes,
            "unit": reading.unit,
            "to_million": reading.to_million,
            "zero": reading.zero,
            "unit_notes": [asdict(note) for note in notes],
            "alignment": alignment,
        }

    def work(self, found: Run) -> ChunkWork:
        """Return what every chunk needs."""
        request = self.request
        return ChunkWork(
            self.table.path,
            self.state,
            request.model,
            self.predictor.artefact.sha256,
            self.store,
            request.source,
            self.targets,
            UnitReading(found["unit"], found["to_million"], found["zero"], ()),
            found["alignment"],
            request.values,
            request.bits,
            _sha256(json.dumps([self.asked, found])),
            self.saved is not None,
        )

    def moments(self, work: ChunkWork) -> dict[str, GeneMoments] | None:
        """Take each gene's moments over all samples, by batch; ``None`` if none are needed."""
        if work.alignment == "none" or self.saved is not None:
            return None
        jobs = [(work, chunk, self._batch(chunk)) for chunk in self.chunks]
        joined: dict[str, GeneMoments] = {}
        for part in self._each("Aligning", moments_of, jobs):
            for name, own in part.items():
                joined[name] = joined[name].joined(own) if name in joined else own
        return joined

    def predict(self, work: ChunkWork, found: Run, there: set[int]) -> None:
        """Predict the chunks that are not ``there``."""
        if not there:
            first = predict_values(work, self.table.read(0, 1), *self._known(Chunk(0, 0, 1)))
            self.store.create(first, self.table.samples)
        jobs = [
            (work, chunk, found["chunks"][chunk.number], *self._known(chunk))
            for chunk in self.chunks
            if chunk.number not in there
        ]
        for _ in self._each("Predicting", predict_into_store, jobs, len(there)):
            pass

    def first(self, work: ChunkWork) -> Prepared:
        """Make the first sample ready as among them all: what was done to all is said of it."""
        return prepare_values(work, self.table.read(0, 1), self._batch(Chunk(0, 0, 1)))

    def used(self, work: ChunkWork, first: Prepared) -> SavedAlignment:
        """Return what all samples are aligned by."""
        if self.saved is not None or work.alignment != "none":
            return self.saved or first.alignment
        labels = [""] * len(self.table.samples) if self.batch is None else self.batch.tolist()
        none = [BatchParameters(name, "none", labels.count(name)) for name in sorted(set(labels))]
        return replace(first.alignment, parameters=tuple(none))

    def by_batch(self, used: SavedAlignment | None, by_sample: pd.DataFrame) -> pd.DataFrame:
        """Return the distance of each batch from the reference; empty if it is not known."""
        if used is None or self.batch is None:
            return pd.DataFrame()
        labels = self.batch.tolist()
        own = [one for one in used.parameters if one.batch in labels]
        return distance_by_batch(own, by_sample, labels)

    def notes(self, work: ChunkWork, found: Run, one: Prepared) -> list[Note]:
        """Say what was found and done, but for what each sample's distance says."""
        notes = [Note(**note) for note in found["unit_notes"]]
        of_sample = describe_far(one.aligned.distance)
        aligned = [note for note in one.aligned.notes if note not in of_sample]
        if self.saved is not None:
            labels = {""} if self.batch is None else set(self.batch)
            used = [own for own in self.saved.parameters if own.batch in labels]
            aligned = describe_as_before(used, len(self.table.samples))
        first = self.table.read(0, min(SAMPLES_LOOKED_AT, len(self.table.samples)))
        genes = self.predictor.scale.match(self.table.genes)
        nearer = self.predictor.scale.nearer_units(first, work.reading, work.source, genes)
        return [*notes, *one.match.notes, *aligned, *nearer]

    def _known(self, chunk: Chunk) -> tuple[pd.DataFrame | None, pd.Series | None]:
        return self._people(chunk), self._batch(chunk)

    def _batch(self, chunk: Chunk) -> pd.Series | None:
        return None if self.batch is None else self.batch.iloc[chunk.start : chunk.stop]

    def _people(self, chunk: Chunk) -> pd.DataFrame | None:
        samples = list(self.table.samples[chunk.start : chunk.stop])
        return None if self.phenotypes is None else self.phenotypes.reindex(samples)

    def _each(
        self,
        what: str,
        function: Callable[..., Result],
        jobs: Sequence[tuple[Any, ...]],
        n_before: int = 0,
    ) -> Iterator[Result]:
        """Do ``function`` of every job on the workers, in order, and tell how far it is."""
        total = n_before + len(jobs)
        self.tell(what, n_before, total)
        for number, result in enumerate(in_order(self.client, function, jobs), start=1):
            self.tell(what, n_before + number, total)
            yield result


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


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_another(begun: Run, asked: Run, output: Path) -> None:
    """Refuse to go on with a run that was asked for in another way."""
    other = [name for name in asked if begun.get(name) != asked[name]]
    if not other:
        return
    said = {name: (str(begun.get(name))[:60], str(asked[name])[:60]) for name in other}
    shown = "; ".join(f"{name} {was}, now {now}" for name, (was, now) in said.items())
    raise SelectionError(
        f"{output} was begun with other options: {shown}. Use the same command to continue it, "
        f"choose another name, or start again with --overwrite."
    )
