"""What one session keeps between pages: one typed object under one key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, fields
from io import BytesIO
from typing import TypeVar, cast

import streamlit as st
import xarray as xr
from streamlit.runtime.scriptrunner import get_script_run_ctx

from mtm_core.dashboard.limits import check_n_samples
from mtm_core.dashboard.resources import EXAMPLE, EXAMPLE_METADATA, simulated_files
from mtm_core.data.alignment import AlignmentMethod
from mtm_core.data.expression import ExpressionTable, read_expression
from mtm_core.data.gtex import WHOLE_BLOOD
from mtm_core.data.metadata import SampleMetadata, read_metadata
from mtm_core.data.units import Unit
from mtm_core.errors import SelectionError
from mtm_core.inference.predictor import Predictor, Prepared

_FIRST_TARGETS = (
    "Adipose - Subcutaneous",
    "Brain - Cortex",
    "Heart - Left Ventricle",
    "Liver",
    "Lung",
    "Muscle - Skeletal",
)
_Key = tuple[str, ...]
_MOST_RESULTS = 8
T = TypeVar("T")


@dataclass
class Session:
    """The samples of one user, how to read them, and what was predicted from them.

    Results are kept under the hash of the file's bytes, the model's hash and the options that made
    them, so that a change of any of these is noticed.

    Attributes
    ----------
    table
        The user's table; ``None`` before one is opened.
    table_sha256
        Of the bytes it was read from.
    source, unit, alignment
        How to read the table.
    targets
        Tissues to predict; ``None`` before the user has chosen.
    metadata
        What is known of the table's samples; ``None`` before a file is opened.
    prediction
        The last prediction made, of whatever options.
    n_deleted
        How often data was deleted: part of the uploader's key, so that it empties.
    """

    table: ExpressionTable | None = None
    table_sha256: str = ""
    source: str = WHOLE_BLOOD
    unit: Unit = "tpm"
    alignment: AlignmentMethod = "auto"
    targets: tuple[str, ...] | None = None
    metadata: SampleMetadata | None = None
    prediction: xr.Dataset | None = None
    n_deleted: int = 0
    _predicted: _Key = ()
    _prepared: tuple[_Key, Prepared] | None = None
    _results: dict[Hashable, object] = field(default_factory=dict)

    @property
    def simulated(self) -> bool:
        """Whether the samples are those that come with the program, of no person."""
        return self.table_sha256 in simulated_files()

    @property
    def file_stem(self) -> str:
        """What the names of files of this session's results begin with."""
        return "simulated_" if self.simulated else ""

    def open(self, data: bytes, name: str, predictor: Predictor) -> bool:
        """Read ``data`` as the session's table, unless it is; the unit becomes the one guessed.

        A table that cannot be read leaves none behind: numbers of the last one must not stand
        beside the new one's name.

        Returns
        -------
        bool
            Whether the table is a new one.

        Raises
        ------
        InputFileError, ExpressionError
            As :func:`mtm_core.data.expression.read_expression`, and
            :func:`mtm_core.dashboard.limits.check_n_samples`.
        """
        digest = hashlib.sha256(data).hexdigest()
        if self.table is not None and (digest, name) == (self.table_sha256, self.table.report.file):
            return False
        self.forget()
        table = read_expression(BytesIO(data), name, known_genes=predictor.genes)
        check_n_samples(table.report)
        self.table, self.table_sha256 = table, digest
        self.unit = cast("Unit", table.report.unit)
        return True

    def open_example(self, predictor: Predictor) -> None:
        """Read the simulated samples that come with the program, and their metadata."""
        self.open(EXAMPLE.read_bytes(), EXAMPLE.name, predictor)
        self.open_metadata(EXAMPLE_METADATA.read_bytes(), EXAMPLE_METADATA.name)

    def open_metadata(self, data: bytes, name: str) -> bool:
        """Read ``data`` as the metadata of the session's table, unless it is.

        Metadata that cannot be read leave none behind, as :meth:`open`.

        Returns
        -------
        bool
            Whether the metadata are new.

        Raises
        ------
        SelectionError
            If there is no table.
        InputFileError
            As :func:`mtm_core.data.metadata.read_metadata`.
        """
        if self.table is None:
            raise SelectionError("no samples are loaded; upload a table first.")
        digest = hashlib.sha256(data).hexdigest()
        had = self.metadata
        if had is not None and (digest, name) == (had.sha256, had.file):
            return False
        self.metadata = None
        self.metadata = read_metadata(
            BytesIO(data), name, samples=[str(sample) for sample in self.table.values.index]
        )
        return True

    def prepare(self, predictor: Predictor) -> Prepared:
        """Bring the table to the model's genes and scale, once for each choice of options.

        Raises
        ------
        SelectionError
            If there is no table.
        ExpressionError
            As :meth:`mtm_core.inference.predictor.Predictor.prepare`.
        """
        if self.table is None:
            raise SelectionError("no samples are loaded; upload a table first.")
        key = self._preparation(predictor)
        if self._prepared is None or self._prepared[0] != key:
            self._prepared = None
            prepared = predictor.prepare(
                self.table, source=self.source, unit=self.unit, alignment=self.alignment
            )
            self._prepared = (key, prepared)
        return self._prepared[1]

    def predict(self, predictor: Predictor) -> xr.Dataset:
        """Predict the chosen targets, unless that is what is there.

        Age and sex are told to models that take them, where the metadata have them.

        Raises
        ------
        SelectionError, ExpressionError
            As :meth:`prepare` and :meth:`mtm_core.inference.predictor.Predictor.predict_prepared`.
        """
        if self.prediction is not None and self.is_current(predictor):
            return self.prediction
        self.prediction, self._predicted = None, ()
        targets = self.chosen_targets(predictor)
        known = self.metadata if predictor.covariates else None
        self.prediction = predictor.predict_prepared(
            self.prepare(predictor),
            targets,
            phenotypes=None if known is None else known.phenotypes(),
        )
        self._predicted = self._prediction(predictor)
        return self.prediction

    def is_current(self, predictor: Predictor) -> bool:
        """Tell whether the prediction is of the table and the options as they are now."""
        return self.prediction is not None and self._predicted == self._prediction(predictor)

    def chosen_targets(self, predictor: Predictor) -> tuple[str, ...]:
        """Give the tissues to predict that the model has and the samples are not of."""
        wanted = _FIRST_TARGETS if self.targets is None else self.targets
        return tuple(t for t in wanted if t in predictor.tissues and t != self.source)

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """Give what ``make`` gives, made once for each ``key``; the last few are kept.

        ``key`` must name all that the result depends on but the prediction's own options.
        """
        whole = (self._predicted, key)
        if whole not in self._results:
            while len(self._results) >= _MOST_RESULTS:
                self._results.pop(next(iter(self._results)))
            self._results[whole] = make()
        return cast("T", self._results[whole])

    def forget(self) -> None:
        """Let go of the table and of all that was made from it; keep the choice of tissues."""
        kept = {"source": self.source, "targets": self.targets, "n_deleted": self.n_deleted}
        fresh = Session()
        for attribute in fields(self):
            name = attribute.name
            setattr(self, name, kept.get(name, getattr(fresh, name)))

    def _prediction(self, predictor: Predictor) -> _Key:
        told = str(self.metadata.state) if predictor.covariates and self.metadata else ""
        return (*self._preparation(predictor), told, *self.chosen_targets(predictor))

    def _preparation(self, predictor: Predictor) -> _Key:
        model = predictor.artefact.sha256
        return (self.table_sha256, model, self.source, self.unit, self.alignment)


def current_session() -> Session:
    """Give the session of the user who sees this page."""
    session: Session = st.session_state.setdefault("mtm", Session())
    return session


def delete_data(session: Session) -> None:
    """Delete the user's data: table and results here, and the bytes that the server holds."""
    session.forget()
    session.n_deleted += 1
    context = get_script_run_ctx()
    if context is not None and context.uploaded_file_mgr is not None:
        context.uploaded_file_mgr.remove_session_files(context.session_id)
