"""Reading of a session's samples from uploaded files: tables and metadata, in the background."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from mtm_core.dashboard.state.further import FurtherTable
from mtm_core.dashboard.state.held import size_of
from mtm_core.dashboard.state.jobs import Progress, Task
from mtm_core.dashboard.state.resources import example_for
from mtm_core.dashboard.state.samples import Samples
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.tables.expression import ExpressionTable, read_expression
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor
from mtm_core.memory_budget import shared_budget
from mtm_core.workflows.server_limits import check_n_samples


class SampleFiles(Samples):
    """Samples, and how their files are read into the session."""

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

    def open_example(self, predictor: Predictor) -> None:
        """Read simulated samples that fit the model, and their metadata."""
        named = example_for(predictor)
        is_new = self.open(named.example.table, named.table_name, predictor)
        if is_new:  # what the user chose for it since stays
            self.source, self.unit = named.example.source, "tpm"
        self.open_metadata(named.example.metadata, named.metadata_name)

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
