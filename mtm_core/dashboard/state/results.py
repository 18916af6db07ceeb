"""Results of a session: prepared samples, predictions, and what pages compute from them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, cast

import pandas as pd
import xarray as xr

from mtm_core.dashboard.state.held import analysing_bytes, size_of
from mtm_core.dashboard.state.jobs import Progress, Task
from mtm_core.dashboard.state.sample_options import Key, SampleOptions
from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.notes import Note
from mtm_core.inference.blocks import predicting_bytes
from mtm_core.inference.one_sex import describe_one_sex
from mtm_core.inference.options import PredictionOptions
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.together import Together
from mtm_core.memory_budget import shared_budget
from mtm_core.reporting.command_line import in_shell, predict_arguments
from mtm_core.reporting.command_words import InputFiles
from mtm_core.reporting.design_record import DesignRecord

LEAST_RESULTS, MOST_RESULTS = 8, 16
"""Results that a session keeps, the last used: the first so many whatever they take, as a page that
uses several would else make each anew for want of the others; more as far as they fit."""
OF_TABLE = "of the table"
"""Begins the key of a result that no prediction has a part in: it outlives the prediction."""
MOST_RESULT_BYTES = 128 * 1024**2
"""Most bytes of all results together."""
T = TypeVar("T")


@dataclass
class Results(SampleOptions):
    """Samples, and what was predicted from them.

    The key of a result is the hash of the file's bytes, the model's hash and the options that made
    it, so that a change of any of these is noticed.

    Attributes
    ----------
    prediction
        The last prediction made, of whatever options.
    predicted_by, predicted_from
        The options that made it, and the files it was made from.
    predicted_people, predicted_notes
        Age and sex as the model read them, and what was found in the tables and done about it.
    """

    prediction: xr.Dataset | None = None
    predicted_by: PredictionOptions = field(default_factory=PredictionOptions)
    predicted_from: InputFiles = field(default_factory=InputFiles)
    predicted_people: pd.DataFrame | None = None
    predicted_notes: tuple[Note, ...] = ()
    _predicted: Key = ()
    _designed: tuple[Hashable, DesignRecord] | None = None
    _prepared: tuple[Key, Prepared | Together] | None = None
    _results: dict[Hashable, object] = field(default_factory=dict)
    _sizes: dict[Hashable, int] = field(default_factory=dict)

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

    def prepare(self, predictor: Predictor) -> Prepared:
        """Bring the table to the model's genes and scale, once for each choice of options.

        Raises
        ------
        SelectionError
            If there is no table.
        ExpressionError
            As :meth:`mtm_core.inference.predictor.Predictor.prepare`.
        """
        people = self.people(predictor)
        return people.tables[0] if isinstance(people, Together) else people

    def people(self, predictor: Predictor) -> Prepared | Together:
        """Bring all tables to the model's genes and scale; one alone as :meth:`prepare`.

        Raises
        ------
        SelectionError, ExpressionError
            As :meth:`prepare`, and :func:`mtm_core.inference.together.put_together`.
        """
        task = self.preparing(predictor)
        if task is not None:
            task.now()
        assert self._prepared is not None
        return self._prepared[1]

    def preparing(self, predictor: Predictor) -> Task[Prepared | Together] | None:
        """Plan :meth:`prepare`; ``None`` if it is done.

        Raises
        ------
        SelectionError
            If there is no table.
        """
        table = self.loaded_table()
        key = self._preparation(predictor)
        if self._prepared is not None and self._prepared[0] == key:
            return None
        options, further = self.options(predictor), self.used_further(predictor)
        known, saved_of = self.metadata, self.batching.saved_of

        def make(_: Progress) -> Prepared | Together:
            first = options.prepare(predictor, table, known, saved_of(options.source))
            others = [
                options.prepare_further(predictor, i, one.table, saved_of(one.tissue), known)
                for i, one in enumerate(further)
            ]
            return options.put_together(first, others)

        def keep(prepared: Prepared | Together) -> None:
            self._prepared = (key, prepared)

        return Task(
            "preparation",
            key,
            "Comparing with the reference",
            make,
            keep,
            memory=self._preparing_bytes(predictor),
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

    def predicting(
        self, predictor: Predictor
    ) -> Task[tuple[Prepared | Together, xr.Dataset]] | None:
        """Plan :meth:`predict`, and :meth:`prepare` where that is not done; ``None`` if it is.

        Raises
        ------
        SelectionError
            If there is no table.
        """
        if self.is_current(predictor):
            return None
        key, targets = self._prediction(predictor), self.chosen_targets(predictor)
        preparing = self.preparing(predictor)
        known = self.people(predictor) if preparing is None else None
        metadata = self.metadata if predictor.covariates else None
        people = None if metadata is None else metadata.phenotypes()
        known_sex = None if self.metadata is None else self.metadata.phenotypes()["sex"]
        options, files = self.options(predictor), self.files(predictor)
        assert self.table is not None
        found = self.table.report.notes

        def make(on_progress: Progress) -> tuple[Prepared | Together, xr.Dataset]:
            prepared = known if preparing is None else preparing.make(on_progress)
            assert prepared is not None
            return prepared, predictor.predict_prepared(
                prepared,
                targets,
                phenotypes=people,
                on_progress=on_progress,
            )

        def keep(made: tuple[Prepared | Together, xr.Dataset]) -> None:
            if preparing is not None:
                preparing.keep(made[0])
            self.prediction, self._predicted = made[1], key
            self.predicted_by, self.predicted_from = options, files
            first = made[0].tables[0] if isinstance(made[0], Together) else made[0]
            of_sex = [] if known_sex is None else describe_one_sex(targets, known_sex)
            self.predicted_people = people
            self.predicted_notes = (*found, *first.notes, *of_sex)

        n_genes = len(predictor.artefact.genes)
        result = predicting_bytes(len(self.sample_names), len(targets), n_genes)
        memory = result + self._preparing_bytes(predictor)
        if size_of(self.prediction) + memory > shared_budget().most >= memory:
            self.prediction, self._predicted = None, ()  # no room for two
            self._results.clear()
        instead = self._instead(predictor)
        return Task("prediction", key, "Predicting", make, keep, memory=memory, instead=instead)

    def _instead(self, predictor: Predictor) -> str:
        """Say how to do on one's own machine what this server has no memory for."""
        command = predict_arguments(
            self.options(predictor).in_command(predictor.tissues),
            self.files(predictor),
            model=predictor.artefact.name,
            output="predicted.parquet",
        )
        return (
            f"Choose fewer tissues or samples, or run this on your own machine, which has no "
            f"such limit: {in_shell(command)}"
        )

    @property
    def design(self) -> DesignRecord | None:
        """The last linear model fitted to this prediction and these metadata."""
        is_own = self._designed is not None and self._designed[0] == self._design_key
        return self._designed[1] if self._designed is not None and is_own else None

    @design.setter
    def design(self, record: DesignRecord) -> None:
        self._designed = (self._design_key, record)

    @property
    def _design_key(self) -> Hashable:
        return self._predicted, "" if self.metadata is None else str(self.metadata.state)

    def is_current(self, predictor: Predictor) -> bool:
        """Tell whether the prediction is of the table and the options as they are now."""
        return self.prediction is not None and self._predicted == self._prediction(predictor)

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` gives, made once for each ``key``; the last few used are cached.

        ``key`` must name all that the result depends on but the prediction's own options.
        """
        whole = self._whole(key)
        if whole not in self._results:
            memory = analysing_bytes(self.prediction, n_tissues=1)  # more is made in the background
            self._task(whole, lambda _: make(), slot="", words="This", memory=memory).now()
        return cast("T", self.recall(key))

    def remembering(
        self,
        key: Hashable,
        make: Callable[[Progress], T],
        *,
        slot: str,
        words: str,
        memory: int | None = None,
        turn: Turn | None = None,
        is_long: bool = False,
    ) -> Task[T] | None:
        """Plan :meth:`remember`; ``None`` if it is known.

        ``memory`` is what it takes, by default what an analysis of the prediction does; ``turn``
        its place in the queue of files, if a file is read; ``is_long`` as in
        :class:`mtm_core.dashboard.state.jobs.Task`.
        """
        whole = self._whole(key)
        if whole in self._results:
            return None
        memory = analysing_bytes(self.prediction) if memory is None else memory
        task = self._task(whole, make, slot=slot, words=words, memory=memory)
        return replace(task, turn=turn, is_long=is_long)

    def _whole(self, key: Hashable) -> Hashable:
        of_table = isinstance(key, tuple) and key[:1] == (OF_TABLE,)
        return (() if of_table else self._predicted, key)

    def _task(
        self,
        whole: Hashable,
        make: Callable[[Progress], T],
        *,
        slot: str,
        words: str,
        memory: int,
    ) -> Task[T]:
        """Plan what is made from the prediction."""
        return Task(slot, whole, words, make, partial(self._keep_result, whole), memory=memory)

    def recall(self, key: Hashable) -> object | None:
        """Return what is remembered under ``key``, which is then the last to be forgotten."""
        whole = self._whole(key)
        if whole in self._results:
            self._results[whole] = self._results.pop(whole)
        return self._results.get(whole)

    def _keep_result(self, whole: Hashable, result: object) -> None:
        self._results[whole] = result
        known = {key: size for key, size in self._sizes.items() if key != whole}
        sizes = {
            key: known[key] if key in known else size_of(result)
            for key, result in self._results.items()
        }
        for key in list(self._results):
            fits = sum(sizes.values()) <= MOST_RESULT_BYTES and len(sizes) <= MOST_RESULTS
            if fits or len(sizes) <= LEAST_RESULTS:
                break
            del self._results[key], sizes[key]
        self._sizes = sizes

    def _prediction(self, predictor: Predictor) -> Key:
        return (*self.people_key(predictor), *self.chosen_targets(predictor))
