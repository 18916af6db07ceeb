"""What one session keeps between pages: one typed object under one key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from io import BytesIO
from typing import TypeVar, cast

import streamlit as st
import xarray as xr
from streamlit.runtime.scriptrunner import get_script_run_ctx

from mtm_core.dashboard.state.held import analysing_bytes, preparing_bytes, size_of
from mtm_core.dashboard.state.jobs import Jobs, Progress, Task
from mtm_core.dashboard.state.limits import check_n_samples
from mtm_core.dashboard.state.resources import example_for, is_simulated
from mtm_core.dashboard.state.workspace import Work
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.people.metadata import SampleMetadata, read_metadata
from mtm_core.data.people.metadata_options import AS_FOUND
from mtm_core.data.tables.expression import ExpressionTable, read_expression
from mtm_core.data.units import Unit
from mtm_core.errors import SelectionError
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.blocks import predicting_bytes
from mtm_core.inference.example import default_source
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor, Prepared
from mtm_core.memory_budget import shared_budget
from mtm_core.reporting.command_line import InputFiles, in_shell, predict_arguments

_FIRST_TARGETS = (
    "Adipose - Subcutaneous",
    "Brain - Cortex",
    "Heart - Left Ventricle",
    "Liver",
    "Lung",
    "Muscle - Skeletal",
)
SESSION_KEY = "mtm"
"""Under which Streamlit's session state has ours."""
_Key = tuple[str, ...]
LEAST_RESULTS, MOST_RESULTS = 8, 16
"""Results that a session keeps, the last used: the first so many whatever they take, as a page that
uses several would else make each anew for want of the others; more as far as they fit."""
MOST_RESULT_BYTES = 128 * 1024**2
"""What they may take together."""
_OUTLIVES_DATA = (
    *("source", "targets", "n_deleted", "upload_id", "page", "jobs"),
    *("workspace", "workspace_is_own", "workspace_seen", "saved_state"),
)
T = TypeVar("T")


@dataclass
class Session:
    """The samples of one user, how to read them, and what was predicted from them.

    The key of a result is the hash of the file's bytes, the model's hash and the options that made
    it, so that a change of any of these is noticed.

    Attributes
    ----------
    table
        The user's table; ``None`` before one is opened.
    table_sha256
        Of the bytes it was read from.
    source, unit, alignment
        How to read the table; the unit is ``None`` where its values do not tell it and the user has
        not chosen.
    targets
        Tissues to predict; ``None`` before the user has chosen.
    metadata
        What is known of the table's samples; ``None`` before a file is opened.
    prediction
        The last prediction made, of whatever options.
    predicted_by, predicted_from
        The options that made it, and the files it was made from.
    n_deleted
        How often data was deleted: part of the uploader's key, so that it empties.
    upload_id
        Of the last upload that was taken up, so that its bytes are looked at once.
    page
        Title of the page that the user sees.
    jobs
        What is being made in the background.
    workspace
        Id of the saved session on disk; empty where the user has not asked for that.
    workspace_is_own
        Whether it was made here, not opened by its address: who opens the address of another's
        work must not leave a table of their own there.
    workspace_seen
        Id that was opened, or could not be, so that it is done and said once.
    saved_state
        What was last written there, in short.
    """

    table: ExpressionTable | None = None
    table_sha256: str = ""
    source: str = WHOLE_BLOOD
    unit: Unit | None = None
    alignment: AlignmentMethod = "auto"
    targets: tuple[str, ...] | None = None
    metadata: SampleMetadata | None = None
    prediction: xr.Dataset | None = None
    predicted_by: PredictionOptions = field(default_factory=PredictionOptions)
    predicted_from: InputFiles = field(default_factory=InputFiles)
    n_deleted: int = 0
    upload_id: str = field(default="", compare=False)
    page: str = field(default="", compare=False)
    jobs: Jobs = field(default_factory=Jobs, compare=False)
    workspace: str = field(default="", compare=False)
    workspace_is_own: bool = field(default=False, compare=False)
    workspace_seen: str = field(default="", compare=False)
    saved_state: tuple[object, ...] = field(default=(), compare=False)
    _predicted: _Key = ()
    _prepared: tuple[_Key, Prepared] | None = None
    _results: dict[Hashable, object] = field(default_factory=dict)

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
        """What the names of files of this session's results begin with."""
        return "simulated_" if self.simulated else ""

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
            :func:`mtm_core.dashboard.state.limits.check_n_samples`.
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

        def keep(table: ExpressionTable) -> None:
            self.forget()
            if not self.workspace_is_own:
                self.workspace, self.saved_state = "", ()
            self.table, self.table_sha256 = table, digest
            self.unit = table.report.unit

        key = (digest, name, options.to_json())
        return Task("table", key, f"Reading {name}", read, keep, turn)

    def open_example(self, predictor: Predictor) -> None:
        """Read simulated samples that fit the model, and their metadata."""
        named = example_for(predictor)
        is_new = self.open(named.example.table, named.table_name, predictor)
        if is_new:  # what the user chose for it since stays
            self.source, self.unit = named.example.source, "tpm"
        self.open_metadata(named.example.metadata, named.metadata_name)

    def fit_to(self, predictor: Predictor) -> None:
        """Start from a tissue that the model has."""
        if self.source not in predictor.tissues:
            self.source = default_source(predictor.artefact)

    def change_model(self, predictor: Predictor) -> None:
        """Go on with another model: the samples stay, what the model before made of them goes.

        The example is made for a model, so that of the other one takes its place.
        """
        is_example = self.simulated
        self.jobs.forget_all()
        self.prediction, self._predicted, self._prepared = None, (), None
        self._results.clear()
        self.fit_to(predictor)
        if is_example:
            self.open_example(predictor)

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
            As :func:`mtm_core.data.people.metadata.read_metadata`.
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
        table = self.table
        if table is None:
            raise SelectionError("no samples are loaded; upload a table first.")
        digest = hashlib.sha256(data).hexdigest()
        had = self.metadata
        if had is not None and (digest, name) == (had.sha256, had.file):
            return None
        samples = [str(sample) for sample in table.values.index]
        turn = Turn(id(self.jobs))

        def read(progress: Progress) -> SampleMetadata:
            turn.check = lambda: progress(0, 0)
            return read_metadata(BytesIO(data), name, samples=samples, isolated=True, turn=turn)

        def keep(metadata: SampleMetadata) -> None:
            if self.table is table:
                self.metadata = metadata

        key = (self.table_sha256, digest, name)
        return Task("metadata", key, f"Reading {name}", read, keep, turn)

    def take_up(self, work: Work, predictor: Predictor) -> None:
        """Go on with a saved session; a tissue that the model lacks is left aside."""
        self.forget()
        self.table, self.table_sha256 = work.table, work.table_sha256
        self.unit, self.alignment, self.targets = work.unit, work.alignment, work.targets
        self.metadata = work.metadata
        if work.source in predictor.tissues:
            self.source = work.source

    def prepare(self, predictor: Predictor) -> Prepared:
        """Bring the table to the model's genes and scale, once for each choice of options.

        Raises
        ------
        SelectionError
            If there is no table.
        ExpressionError
            As :meth:`mtm_core.inference.predictor.Predictor.prepare`.
        """
        task = self.preparing(predictor)
        if task is not None:
            task.now()
        assert self._prepared is not None
        return self._prepared[1]

    def preparing(self, predictor: Predictor) -> Task[Prepared] | None:
        """Plan :meth:`prepare`; ``None`` where it is done.

        Raises
        ------
        SelectionError
            If there is no table.
        """
        table = self.table
        if table is None:
            raise SelectionError("no samples are loaded; upload a table first.")
        key = self._preparation(predictor)
        if self._prepared is not None and self._prepared[0] == key:
            return None
        options = self.options(predictor)

        def keep(prepared: Prepared) -> None:
            self._prepared = (key, prepared)

        return Task(
            "preparation",
            key,
            "Comparing with the reference",
            lambda _: options.prepare(predictor, table),
            keep,
            memory=preparing_bytes(
                len(table.values), table.values.shape[1], len(predictor.artefact.genes)
            ),
            instead=self._instead(predictor),
        )

    def predict(self, predictor: Predictor) -> xr.Dataset:
        """Predict the chosen targets, unless that is what is there.

        Models that read age and sex get them, where the metadata have them.

        Raises
        ------
        SelectionError, ExpressionError
            As :meth:`prepare` and :meth:`mtm_core.inference.predictor.Predictor.predict_prepared`.
        """
        task = self.predicting(predictor)
        if task is not None:
            task.now()
        assert self.prediction is not None
        return self.prediction

    def predicting(self, predictor: Predictor) -> Task[tuple[Prepared, xr.Dataset]] | None:
        """Plan :meth:`predict`, and :meth:`prepare` where that is not done; ``None`` where it is.

        Raises
        ------
        SelectionError
            If there is no table.
        """
        if self.is_current(predictor):
            return None
        key, targets = self._prediction(predictor), self.chosen_targets(predictor)
        preparing = self.preparing(predictor)
        known = self.prepare(predictor) if preparing is None else None
        people = self.metadata if predictor.covariates else None
        options, files = self.options(predictor), self.files(predictor)

        def make(on_progress: Progress) -> tuple[Prepared, xr.Dataset]:
            prepared = known if preparing is None else preparing.make(on_progress)
            assert prepared is not None
            return prepared, predictor.predict_prepared(
                prepared,
                targets,
                phenotypes=None if people is None else people.phenotypes(),
                on_progress=on_progress,
            )

        def keep(made: tuple[Prepared, xr.Dataset]) -> None:
            if preparing is not None:
                preparing.keep(made[0])
            self.prediction, self._predicted = made[1], key
            self.predicted_by, self.predicted_from = options, files

        assert self.table is not None
        n_samples, n_columns = self.table.values.shape
        n_genes = len(predictor.artefact.genes)
        result = predicting_bytes(n_samples, len(targets), n_genes)
        memory = result + preparing_bytes(n_samples, n_columns, n_genes)
        if size_of(self.prediction) + memory > shared_budget().most >= memory:
            self.prediction, self._predicted = None, ()  # no room for two
            self._results.clear()
        instead = self._instead(predictor)
        return Task("prediction", key, "Predicting", make, keep, memory=memory, instead=instead)

    def _instead(self, predictor: Predictor) -> str:
        """Say how to do on one's own machine what this server has no memory for."""
        command = predict_arguments(
            self.options(predictor),
            self.files(predictor),
            model=predictor.artefact.name,
            output="predicted.parquet",
        )
        return (
            "Choose fewer tissues or samples, or run this on your own machine, where any number"
            f" will do: {in_shell(command)}"
        )

    def options(self, predictor: Predictor) -> PredictionOptions:
        """Return all that the user has chosen, as it is now."""
        return PredictionOptions(
            self.source,
            self.chosen_targets(predictor),
            self.unit or "auto",
            self.alignment,
            AS_IT_LIES if self.table is None else self.table.options,
            AS_FOUND if self.metadata is None else self.metadata.options,
        )

    def files(self, predictor: Predictor) -> InputFiles:
        """Name the files that a prediction is made from: metadata where the model reads them."""
        known = self.metadata if predictor.covariates else None
        tables, transcripts = ((), "") if self.table is None else self.table.report.given
        return InputFiles(tables, "" if known is None else known.file, transcripts)

    def is_current(self, predictor: Predictor) -> bool:
        """Tell whether the prediction is of the table and the options as they are now."""
        return self.prediction is not None and self._predicted == self._prediction(predictor)

    def chosen_targets(self, predictor: Predictor) -> tuple[str, ...]:
        """Return the tissues to predict that the model has and the samples are not of."""
        others = [tissue for tissue in predictor.tissues if tissue != self.source]
        if self.targets is not None:
            return tuple(tissue for tissue in self.targets if tissue in others)
        first = [tissue for tissue in _FIRST_TARGETS if tissue in others]
        return tuple(first or others[: len(_FIRST_TARGETS)])

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` gives, made once for each ``key``; the last few used are cached.

        ``key`` must name all that the result depends on but the prediction's own options.
        """
        whole = (self._predicted, key)
        if whole not in self._results:
            self._task(whole, lambda _: make(), slot="", words="This").now()
        return cast("T", self.recall(key))

    def remembering(
        self, key: Hashable, make: Callable[[Progress], T], *, slot: str, words: str
    ) -> Task[T] | None:
        """Plan :meth:`remember`; ``None`` where it is known."""
        whole = (self._predicted, key)
        if whole in self._results:
            return None
        return self._task(whole, make, slot=slot, words=words)

    def _task(
        self, whole: Hashable, make: Callable[[Progress], T], *, slot: str, words: str
    ) -> Task[T]:
        """Plan what is made from the prediction."""
        memory = analysing_bytes(self.prediction)
        return Task(slot, whole, words, make, partial(self._keep_result, whole), memory=memory)

    def recall(self, key: Hashable) -> object | None:
        """Return what is remembered under ``key``, which is then the last to be forgotten."""
        whole = (self._predicted, key)
        if whole in self._results:
            self._results[whole] = self._results.pop(whole)
        return self._results.get(whole)

    def forget(self) -> None:
        """Let go of the table and of all that was made from it; keep the choice of tissues."""
        self.jobs.forget_all()
        fresh = Session()
        for attribute in fields(self):
            if attribute.name not in _OUTLIVES_DATA:
                setattr(self, attribute.name, getattr(fresh, attribute.name))

    def _keep_result(self, whole: Hashable, result: object) -> None:
        self._results[whole] = result
        sizes = {key: size_of(result) for key, result in self._results.items()}
        for key in list(self._results):
            fits = sum(sizes.values()) <= MOST_RESULT_BYTES and len(sizes) <= MOST_RESULTS
            if fits or len(sizes) <= LEAST_RESULTS:
                break
            del self._results[key], sizes[key]

    def _prediction(self, predictor: Predictor) -> _Key:
        known = str(self.metadata.state) if predictor.covariates and self.metadata else ""
        return (*self._preparation(predictor), known, *self.chosen_targets(predictor))

    def _preparation(self, predictor: Predictor) -> _Key:
        options = replace(self.options(predictor), targets=None, metadata=AS_FOUND)
        return (self.table_sha256, predictor.artefact.sha256, json.dumps(options.to_json()))


def words_of(tissue: str) -> str:
    """Return a tissue inside of a sentence: "blood" for whole blood."""
    return "blood" if tissue == WHOLE_BLOOD else tissue


def current_session() -> Session:
    """Return the session of the user who sees this page."""
    session: Session = st.session_state.setdefault(SESSION_KEY, Session())
    return session


def delete_data(session: Session) -> None:
    """Delete the user's data: table and results here, and the bytes that the server holds."""
    session.forget()
    session.n_deleted += 1
    context = get_script_run_ctx()
    if context is not None and context.uploaded_file_mgr is not None:
        context.uploaded_file_mgr.remove_session_files(context.session_id)
