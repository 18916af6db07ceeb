"""The process that directs a prediction in chunks: what it finds out, and what workers do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from mtm_core import __version__
from mtm_core.data.notes import Note
from mtm_core.data.people.exact_phenotypes import exact_phenotypes_of
from mtm_core.data.tables.value_summary import ValueSummary
from mtm_core.errors import OutputError, SelectionError
from mtm_core.inference.chunk_tables import (
    TableOfRun,
    chunks_of,
    of_tissue,
    one_of_each_combination,
    open_tables,
)
from mtm_core.inference.chunk_tasks import (
    DISTANCES,
    Batches,
    Chunk,
    ChunkWork,
    moments_of,
    predict_into_store,
    predict_values,
    prepare_values,
    read_values,
    summarise,
)
from mtm_core.inference.cluster import in_order
from mtm_core.inference.gene_moments import GeneMoments
from mtm_core.inference.prediction_store import PredictionStore, Run
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.inference.together import BETWEEN
from mtm_core.safe_output import check_output

if TYPE_CHECKING:
    from distributed import Client

from mtm_core.inference.chunk_request import ChunkedRequest, ChunkProgress, TableRead

Result = TypeVar("Result")

_CHUNK_BYTES = 512 * 1024**2
_LARGEST_CHUNK = 1024


@dataclass(frozen=True)
class ChunkPlan:
    """A request with what it needs, in the process that directs the workers."""

    request: ChunkedRequest
    client: Client
    phenotypes: pd.DataFrame | None
    tell: ChunkProgress
    predictor: Predictor
    tables: tuple[TableOfRun, ...]
    people: tuple[str, ...]
    matched: list[Note]
    targets: tuple[str, ...]
    store: PredictionStore
    chunks: list[Chunk]

    @classmethod
    def of(
        cls,
        request: ChunkedRequest,
        client: Client,
        phenotypes: pd.DataFrame | None,
        batch: pd.Series | Mapping[str, pd.Series] | None,
        alignment_from: SavedAlignment | Mapping[str, SavedAlignment] | None,
        tell: ChunkProgress,
    ) -> ChunkPlan:
        """Open tables and model, and match people, as of :func:`predict_chunked`."""
        predictor = Predictor.load(request.model)
        sources = tuple(one.source for one in request.tables)
        targets = predictor.targets_of(sources, request.targets)
        tables, people, matched = open_tables(
            request.tables,
            predictor,
            request.alignment,
            batch=batch,
            alignment_from=alignment_from,
            near_people=request.near_people,
        )
        known = None if phenotypes is None else exact_phenotypes_of(phenotypes, people)
        of_sample = 4 * len(request.values) * len(targets) * len(predictor.artefact.genes)
        chunk = request.chunk or min(max(_CHUNK_BYTES // of_sample, 1), _LARGEST_CHUNK)
        store = PredictionStore(request.output, min(chunk, len(people)))
        chunks = chunks_of(tables, people, store.chunk)
        settings = (known, tell, predictor, tables, people, matched, targets, store, chunks)
        return cls(request, client, *settings)

    @property
    def state(self) -> list[list[int]]:
        """State of each table."""
        return [list(table.state) for table in self.tables]

    @property
    def saved(self) -> list[SavedAlignment]:
        """Saved alignments that samples are read by."""
        return [table.saved for table in self.tables if table.saved is not None]

    @property
    def files(self) -> str:
        """The tables as the subject of a sentence."""
        names = [str(table.asked.table) for table in self.tables]
        return f"{names[0]} has" if len(names) == 1 else f"{' and '.join(names)} have"

    @property
    def tissues_given(self) -> dict[str, int]:
        """Count people by the tissues that they give; nothing of one tissue."""
        if len(self.tables) == 1:
            return {}
        sources = [table.source for table in self.tables]
        some = one_of_each_combination(self.tables, self.people)
        there = np.stack([rows >= 0 for rows in some.rows], axis=1)
        names = [BETWEEN.join(compress(sources, row)) for row in there]
        return dict(zip(names, some.n_alike or (), strict=True))

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
    def asked(self) -> Run:
        """Properties that must be equal for a run to be continued."""
        request, people = self.request, self.phenotypes
        batches = ["" if one.batch is None else one.batch.to_csv() for one in self.tables]
        return {
            "version of mtm": __version__,
            "model": self.predictor.artefact.sha256,
            "names of samples and genes": _joined(one.stored.names_sha256 for one in self.tables),
            "age and sex": "" if people is None else _sha256(people.to_csv()),
            "batches": _sha256("".join(batches)) if any(batches) else "",
            "saved alignment": _joined(one.digest for one in self.saved),
            "source": request.source,
            "further tissues": [[one.source, one.unit] for one in request.further],
            "similar names of one person": request.near_people,
            "targets": list(self.targets),
            "unit": request.unit,
            "alignment": request.alignment,
            "values": list(request.values),
            "bits": request.bits,
            "chunk": self.store.chunk,
        }

    def look_through(self) -> Run:
        """Find out about all values together: their hash, their unit, how to align them."""
        model = (self.request.model, self.predictor.artefact.sha256)
        places = tuple((table.asked.table, table.state) for table in self.tables)
        jobs = [(places, *model, chunk) for chunk in self.chunks]
        parts = list(self._each("Reading", summarise, jobs))
        found = []
        for number, table in enumerate(self.tables):
            own = [part[number] for part in parts]
            whole = ValueSummary.joined([one[0] for one in own if one is not None])
            found.append(table.find_out(whole, self.predictor, self.request.alignment))
        hashes = [["" if one is None else one[1] for one in part] for part in parts]
        return {
            "state": self.state,
            "sha256": _sha256("".join(sha256 for part in hashes for sha256 in part)),
            "chunks": hashes,
            "tables": found,
        }

    def work(self, found: Run) -> ChunkWork:
        """Return what every chunk needs."""
        request = self.request
        of_tables = zip(self.tables, found["tables"], strict=True)
        return ChunkWork(
            tuple(table.work(own) for table, own in of_tables),
            request.model,
            self.predictor.artefact.sha256,
            self.store,
            self.targets,
            request.values,
            request.bits,
            _sha256(json.dumps([self.asked, found])),
        )

    def moments(self, work: ChunkWork) -> list[dict[str, GeneMoments]]:
        """Take each gene's moments over all samples, by batch, of the tables that need them."""
        joined: list[dict[str, GeneMoments]] = [{} for _ in self.tables]
        if all(one.alignment == "none" or one.is_saved for one in work.tables):
            return joined
        jobs = [(work, chunk, self._batches(chunk)) for chunk in self.chunks]
        for part in self._each("Aligning", moments_of, jobs):
            for whole, of_table in zip(joined, part, strict=True):
                for name, own in of_table.items():
                    whole[name] = whole[name].joined(own) if name in whole else own
        return joined

    def predict(self, work: ChunkWork, found: Run, there: set[int]) -> None:
        """Predict the chunks that are not ``there``."""
        if not there:
            some = one_of_each_combination(self.tables, self.people)
            values = [
                read_values(work, number, some.rows_read(number))
                for number in range(len(self.tables))
            ]
            first, _ = predict_values(work, some, values, *self._known(some))
            self.store.create(first, self.people)
        jobs = [
            (work, chunk, found["chunks"][chunk.number], *self._known(chunk))
            for chunk in self.chunks
            if chunk.number not in there
        ]
        for _ in self._each("Predicting", predict_into_store, jobs, len(there)):
            pass

    def notes_and_alignments(
        self, work: ChunkWork, found: Run
    ) -> tuple[list[Note], list[SavedAlignment]]:
        """Say what was found and done, and return what the samples of each table are aligned by."""
        notes, used, row = [], [], np.zeros(1, dtype=np.intp)
        for number, (table, own) in enumerate(zip(self.tables, work.tables, strict=True)):
            first = prepare_values(
                work, number, read_values(work, number, row), table.batch_of(row)
            )
            said = table.notes(
                own, found["tables"][number], first, self.predictor, self.request.alignment
            )
            notes += of_tissue(said, table.source) if number else [*said, *self.matched]
            used.append(table.used(own, first))
        return notes, used

    def tables_read(
        self,
        work: ChunkWork,
        used: Sequence[SavedAlignment],
        by_sample: pd.DataFrame,
        beside: Mapping[int, str],
    ) -> tuple[TableRead, ...]:
        """Describe how each table was read; ``used`` and ``beside`` are empty of a finished run."""
        found = []
        for number, (table, own) in enumerate(zip(self.tables, work.tables, strict=True)):
            there = table.rows >= 0
            names = [table.stored.samples[row] for row in table.rows[there].tolist()]
            if number == 0:
                values = by_sample.loc[there, list(DISTANCES)].to_numpy()
            else:
                parts = (
                    [json.loads(beside[chunk.number])[number - 1] for chunk in self.chunks]
                    if (beside)
                    else []
                )
                values = np.array([row for part in parts for row in part]).reshape(-1, 2)
            known = pd.DataFrame(values, names[: len(values)], list(DISTANCES))
            if len(known):  # in the order of the table
                known = known.iloc[np.argsort(table.rows[there])]
            saved = used[number] if used else None
            found.append(
                TableRead(
                    table.source,
                    own.reading.unit,
                    own.alignment,
                    known,
                    table.by_batch(saved, known),
                    saved,
                )
            )
        return tuple(found)

    def _known(self, chunk: Chunk) -> tuple[pd.DataFrame | None, Batches]:
        return self._people(chunk), self._batches(chunk)

    def _batches(self, chunk: Chunk) -> Batches:
        return [table.batch_of(chunk.rows_read(number)) for number, table in enumerate(self.tables)]

    def _people(self, chunk: Chunk) -> pd.DataFrame | None:
        return None if self.phenotypes is None else self.phenotypes.reindex(list(chunk.people))

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


def _joined(digests: Iterable[str]) -> str:
    """Return one digest as it is, several as the digest of all; nothing of none."""
    several = list(digests)
    return "".join(several) if len(several) < 2 else _sha256("".join(several))


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
