"""The samples of a session: their tables and metadata, and how they are to be read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from mtm_core.dashboard.state.batching import Batching
from mtm_core.dashboard.state.further import FurtherTable
from mtm_core.dashboard.state.held import size_of
from mtm_core.dashboard.state.jobs import Jobs, Progress, Task
from mtm_core.dashboard.state.resources import example_for, is_simulated
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.people.metadata_options import AS_FOUND
from mtm_core.data.tables.expression import ExpressionTable, read_expression
from mtm_core.data.units import Unit
from mtm_core.errors import SelectionError
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.example import default_source
from mtm_core.inference.options import FurtherTissue, PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.together import people_of
from mtm_core.memory_budget import shared_budget
from mtm_core.reporting.command_line import InputFiles
from mtm_core.workflows.composition import is_estimated, without_composition
from mtm_core.workflows.server_limits import check_n_samples, preparing_bytes

_FIRST_TARGETS = (
    "Adipose - Subcutaneous",
    "Brain - Cortex",
    "Heart - Left Ventricle",
    "Liver",
    "Lung",
    "Muscle - Skeletal",
)
Key = tuple[str, ...]
_OUTLIVES_DATA = (
    *("source", "targets", "n_deleted", "upload_id", "alignment_upload_id", "page", "jobs"),
    *("workspace", "workspace_is_own", "workspace_seen", "saved_state"),
)


@dataclass
class Samples:
    """The samples of one user, and how to read them.

    Attributes
    ----------
    table
        The user's table; ``None`` before one is opened.
    table_sha256
        SHA-256 of the bytes it was read from.
    source, unit, alignment
        How to read the table; the unit is ``None`` if its values do not tell it and the user has
        not chosen.
    targets
        Tissues to predict; ``None`` before the user has chosen.
    metadata
        Metadata of the table's samples; ``None`` before a file is opened.
    further
        Tables of further tissues of the same people, in order.
    near_people
        Whether names that may be one person's in two tables are taken for the same.
    batching
        How samples are aligned by batches, or by a saved alignment.
    measured
        Measured expression of a tissue that is predicted; ``None`` before a table is opened.
    second
        A second table of the same people, to look for exchanged samples; ``None`` without one.
    n_deleted
        How often data was deleted: part of the uploader's key, so that it empties.
    alignment_upload_id
        Id of the last saved alignment that was uploaded, likewise.
    upload_id
        Id of the last upload that was read, so that its bytes are read once.
    page
        Title of the page that the user sees.
    jobs
        Work in the background.
    """

    table: ExpressionTable | None = None
    table_sha256: str = ""
    source: str = WHOLE_BLOOD
    unit: Unit | None = None
    alignment: AlignmentMethod = "auto"
    targets: tuple[str, ...] | None = None
    metadata: SampleMetadata | None = None
    further: tuple[FurtherTable, ...] = ()
    near_people: bool = False
    batching: Batching = field(default_factory=Batching)
    measured: FurtherTable | None = None
    second: FurtherTable | None = None
    n_deleted: int = 0
    upload_id: str = field(default="", compare=False)
    alignment_upload_id: str = field(default="", compare=False)
    page: str = field(default="", compare=False)
    jobs: Jobs = field(default_factory=Jobs, compare=False)

    @property
    def simulated(self) -> bool:
        """Whether the samples are those that come with the program: simulated, not real people."""
        return is_simulated(self.table_sha256)

    @property
    def source_in_words(self) -> str:
        """The tissue of the samples inside of a sentence: "blood" for whole blood."""
        return words_of(self.source)

    @property
    def file_stem(self) -> str:
        """Beginning of the names of this session's result files."""
        return "simulated_" if self.simulated else ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Tissues that are predicted from, the first table's first."""
        return (self.source, *(one.tissue for one in self.further if one.tissue != self.source))

    @property
    def sample_names(self) -> list[str]:
        """Names of all people, of the first table and of further ones."""
        tables = [] if self.table is None else [self.table, *(one.table for one in self.further)]
        names = [[str(name) for name in table.values.index] for table in tables]
        return list(people_of(names, self.near_people)[0]) if names else []

    @property
    def own_metadata(self) -> SampleMetadata | None:
        """Metadata of the first table's samples alone: those that studies count and compare."""
        if self.metadata is None or self.table is None or not self.further:
            return self.metadata
        return self.metadata.of_samples([str(name) for name in self.table.values.index])

    def used_further(self, predictor: Predictor) -> tuple[FurtherTable, ...]:
        """Return the further tables of the model's tissues, except that of the first table."""
        return tuple(
            one
            for one in self.further
            if one.tissue in predictor.tissues and one.tissue != self.source
        )

    def open(self, data: bytes, name: str, predictor: Predictor) -> bool:
        """Read ``data`` as the session's table, as :meth:`reading`, here and now.

        Returns
        -------
        bool
            Whether the table is a new one.

        Raises
        ------
        InputFileError, ExpressionError
            As :func:`mtm_core.data.tables.expression.read_expression`, and
            :func:`mtm_core.workflows.server_limits.check_n_samples`.
        """
        task = self.reading(data, name, predictor)
        if task is not None:
            task.now()
        return task is not None

    def loaded_table(self) -> ExpressionTable:
        """Return the samples' table.

        Raises
        ------
        SelectionError
            If no samples are loaded.
        """
        if self.table is None:
            raise SelectionError("no samples are loaded. Upload a table first.")
        return self.table

    def reading(
        self,
        data: bytes,
        name: str,
        predictor: Predictor,
        options: ReadingOptions = AS_IT_LIES,
    ) -> Task[ExpressionTable] | None:
        """Plan to read ``data`` as the session's table, unless it is.

        Its unit is what its values tell. The table before, and all that was made from it, goes when
        the new one is there: a file that cannot be read takes nothing away.
        """
        digest = hashlib.sha256(data).hexdigest()
        had = self.table
        if had is not None and (digest, name, options) == (
            self.table_sha256,
            had.report.file,
            had.options,
        ):
            return None
        genes, typical = predictor.genes, predictor.typical(self.source)

        turn = Turn(id(self.jobs))

        def read(progress: Progress) -> ExpressionTable:
            return _read_table(data, name, genes, typical, options, turn, progress)

        def keep(table: ExpressionTable) -> None:
            batching = self.batching.without_samples()
            self.forget()
            self.batching = batching
            self.take_other_samples()
            self.table, self.table_sha256 = table, digest
            self.unit = table.report.unit

        key = (digest, name, options.to_json())
        return Task("table", key, f"Reading {name}", read, keep, turn)

    def reading_further(
        self, data: bytes, name: str, tissue: str, predictor: Predictor
    ) -> Task[ExpressionTable] | None:
        """Plan to read ``data`` as a table of ``tissue`` of the same people, unless it is.

        A table of the tissue that is there makes room for it.

        Raises
        ------
        SelectionError
            If there is no first table, or it is of this tissue.
        """

        def keep(one: FurtherTable) -> None:
            self.set_further((*(other for other in self.further if other.tissue != tissue), one))

        return self._reading_beside(data, name, tissue, predictor, self.further, keep)

    def reading_measured(
        self, data: bytes, name: str, tissue: str, predictor: Predictor
    ) -> Task[ExpressionTable] | None:
        """Plan to read ``data`` as what was measured of ``tissue``, unless it is.

        Raises
        ------
        SelectionError
            As :meth:`reading_further`.
        """
        had = () if self.measured is None else (self.measured,)

        def keep(one: FurtherTable) -> None:
            self.measured = one

        return self._reading_beside(data, name, tissue, predictor, had, keep, "measured table")

    def reading_second(
        self, data: bytes, name: str, tissue: str, predictor: Predictor
    ) -> Task[ExpressionTable] | None:
        """Plan to read ``data`` as a second table of the same people, unless it is.

        Raises
        ------
        SelectionError
            If there is no first table.
        """
        had = () if self.second is None else (self.second,)

        def keep(one: FurtherTable) -> None:
            self.second = one

        return self._reading_beside(
            data, name, tissue, predictor, had, keep, "second table", may_be_source=True
        )

    def _reading_beside(
        self,
        data: bytes,
        name: str,
        tissue: str,
        predictor: Predictor,
        had: tuple[FurtherTable, ...],
        keep_one: Callable[[FurtherTable], None],
        slot: str = "further table",
        *,
        may_be_source: bool = False,
    ) -> Task[ExpressionTable] | None:
        """Plan to read a table of another tissue of the same people; ``None`` if it is known."""
        first = self.loaded_table()
        if tissue == self.source and not may_be_source:
            raise SelectionError(f"the first table is of {tissue}; choose another tissue.")
        digest = hashlib.sha256(data).hexdigest()
        if (tissue, digest, name) in {(o.tissue, o.sha256, o.table.report.file) for o in had}:
            return None
        genes, typical, turn = predictor.genes, predictor.typical(tissue), Turn(id(self.jobs))

        def read(progress: Progress) -> ExpressionTable:
            return _read_table(data, name, genes, typical, AS_IT_LIES, turn, progress)

        def keep(table: ExpressionTable) -> None:
            if self.table is first:
                keep_one(FurtherTable(tissue, table, digest, table.report.unit))

        key = (self.table_sha256, digest, name, tissue)
        return Task(slot, key, f"Reading {name}", read, keep, turn)

    def set_further(
        self, further: tuple[FurtherTable, ...], *, near_people: bool | None = None
    ) -> None:
        """Put other further tables in the place of those there are; metadata are matched anew."""
        self.further = further
        if near_people is not None:
            self.near_people = near_people
        if self.metadata is not None:
            self.metadata = replace(self.metadata, samples=tuple(self.sample_names))

    def open_example(self, predictor: Predictor) -> None:
        """Read simulated samples that fit the model, and their metadata."""
        named = example_for(predictor)
        is_new = self.open(named.example.table, named.table_name, predictor)
        if is_new:  # what the user chose for it since stays
            self.source, self.unit = named.example.source, "tpm"
        self.open_metadata(named.example.metadata, named.metadata_name)

    def leave_estimated_shares(self) -> bool:
        """Remove estimated shares of blood cells from the metadata, as values are read otherwise.

        Returns
        -------
        bool
            Whether there were any.
        """
        if self.metadata is None or not is_estimated(self.metadata):
            return False
        self.metadata = without_composition(self.metadata)
        return True

    def fit_to(self, predictor: Predictor) -> None:
        """Start from a tissue that the model has."""
        if self.source not in predictor.tissues:
            self.source = default_source(predictor.artefact)

    def open_metadata(self, data: bytes, name: str) -> bool:
        """Read ``data`` as the table's metadata, as :meth:`reading_metadata`, here and now.

        Returns
        -------
        bool
            Whether the metadata are new.

        Raises
        ------
        SelectionError
            If there is no table.
        InputFileError
            As :func:`mtm_core.data.people.metadata_file.read_metadata`.
        """
        task = self.reading_metadata(data, name)
        if task is not None:
            task.now()
        return task is not None

    def reading_metadata(self, data: bytes, name: str) -> Task[SampleMetadata] | None:
        """Plan to read ``data`` as the metadata of the session's table, unless it is.

        Metadata that cannot be read leave those before, as :meth:`reading`.

        Raises
        ------
        SelectionError
            If there is no table.
        """
        table = self.loaded_table()
        digest = hashlib.sha256(data).hexdigest()
        had = self.metadata
        if had is not None and (digest, name) == (had.sha256, had.file):
            return None
        samples = self.sample_names
        turn = Turn(id(self.jobs))

        def read(progress: Progress) -> SampleMetadata:
            turn.check = lambda: progress(0, 0)
            return read_metadata(BytesIO(data), name, samples=samples, isolated=True, turn=turn)

        def keep(metadata: SampleMetadata) -> None:
            if self.table is table:
                self.metadata = metadata

        key = (self.table_sha256, digest, name)
        return Task("metadata", key, f"Reading {name}", read, keep, turn)

    def _preparing_bytes(self, predictor: Predictor) -> int:
        """Get what it takes to make all tables ready."""
        further = [one.table for one in self.used_further(predictor)]
        tables = further if self.table is None else [self.table, *further]
        n_genes = len(predictor.artefact.genes)
        return sum(
            preparing_bytes(len(table.values), table.values.shape[1], n_genes) for table in tables
        )

    def options(self, predictor: Predictor) -> PredictionOptions:
        """Return all that the user has chosen, as it is now."""
        batching = self.batching
        batch = "" if batching.as_batch else batching.column_in(self.metadata)
        return PredictionOptions(
            self.source,
            self.chosen_targets(predictor),
            self.unit or "auto",
            "auto" if batching.saved else self.alignment,
            AS_IT_LIES if self.table is None else self.table.options,
            AS_FOUND if self.metadata is None else self.metadata.options,
            batch=batch,
            alignment_from=batching.file if batching.saved else "",
            as_batch=batching.as_batch if batching.saved else "",
            further=tuple(
                FurtherTissue(one.tissue, one.unit or "auto", one.column_in(self.metadata))
                for one in self.used_further(predictor)
            ),
            near_people=self.near_people,
        )

    def files(self, predictor: Predictor) -> InputFiles:
        """Name the files that a prediction is made from: metadata where they are read."""
        columns = [self.batching.column_in(self.metadata)]
        columns += [one.column_in(self.metadata) for one in self.used_further(predictor)]
        is_read = predictor.covariates or any(columns)
        known = self.metadata if is_read else None
        tables, transcripts = ((), "") if self.table is None else self.table.report.given
        further = tuple(one.table.report.file for one in self.used_further(predictor))
        return InputFiles(tables, "" if known is None else known.file, transcripts, further)

    def chosen_targets(self, predictor: Predictor) -> tuple[str, ...]:
        """Return the tissues to predict that the model has and the samples are not of."""
        others = [tissue for tissue in predictor.tissues if tissue not in self.sources]
        if self.targets is not None:
            return tuple(tissue for tissue in self.targets if tissue in others)
        first = [tissue for tissue in _FIRST_TARGETS if tissue in others]
        return tuple(first or others[: len(_FIRST_TARGETS)])

    def forget(self) -> None:
        """Let go of the table and of all that was made from it; keep the choice of tissues."""
        self.jobs.forget_all()
        fresh = type(self)()
        for attribute in fields(self):
            if attribute.name not in _OUTLIVES_DATA:
                setattr(self, attribute.name, getattr(fresh, attribute.name))

    def people_key(self, predictor: Predictor) -> Key:
        """Tell the people, and how the model reads them, from others, whatever is predicted."""
        known = str(self.metadata.state) if predictor.covariates and self.metadata else ""
        return (*self._preparation(predictor), known)

    def _preparation(self, predictor: Predictor) -> Key:
        options = replace(self.options(predictor), targets=None, metadata=AS_FOUND)
        further = [one.sha256 for one in self.used_further(predictor)]
        named = options.batch or any(one.batch for one in options.further)
        batches = str(self.metadata.state) if named and self.metadata else ""
        given = json.dumps([options.to_json(), further, batches, self.batching.digest])
        return (self.table_sha256, predictor.artefact.sha256, given)

    def take_other_samples(self) -> None:
        """Do what follows when other samples are opened; called before they are there."""


def _read_table(
    data: bytes,
    name: str,
    genes: GeneIndex,
    typical: NDArray[np.float32],
    options: ReadingOptions,
    turn: Turn,
    progress: Progress,
) -> ExpressionTable:
    """Read a table in a process apart, in its turn, and hold the memory that it takes."""
    turn.check = lambda: progress(0, 0)  # raises once it is cancelled
    table = read_expression(
        BytesIO(data),
        name,
        known_genes=genes,
        typical=typical,
        options=options,
        isolated=True,
        turn=turn,
    )
    check_n_samples(table.report)
    size = size_of(table.values)
    hold = shared_budget().hold(size, "This table", check=lambda: progress(0, 0))
    hold.keep_for(table, size)
    return table


def words_of(tissue: str) -> str:
    """Return a tissue inside of a sentence: "blood" for whole blood."""
    return "blood" if tissue == WHOLE_BLOOD else tissue
