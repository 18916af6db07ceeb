"""Everything that a user chooses about a prediction, in one object.

The dashboard's widgets and the command line's options both make one. It is passed down whole, tells
results of one choice from those of another, and is written out with a prediction, as JSON and as
the command that makes it again (:mod:`mtm_core.reporting.command_line`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import cattrs
import pandas as pd
import xarray as xr

from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_options import AS_FOUND, MetadataOptions
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.units import UnitChoice
from mtm_core.errors import ExpressionError, SelectionError
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.later_samples import alignment_for
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.prepared import Prepared
from mtm_core.inference.saved_alignment import SavedAlignment
from mtm_core.inference.together import BETWEEN, Together, put_together, sources_of


@dataclass(frozen=True)
class FurtherTissue:
    """A further table of the same people.

    Attributes
    ----------
    source
        Tissue of its samples.
    unit
        Unit of its values.
    batch
        Column of the metadata that names the batch of each of its samples; empty for none.
    """

    source: str
    unit: UnitChoice = "auto"
    batch: str = ""


@dataclass(frozen=True)
class PredictionOptions:
    """A user's choices about a prediction, except the files and the model.

    Attributes
    ----------
    source
        Tissue of the samples.
    targets
        Tissues to predict; ``None`` is all but the source.
    unit, alignment
        As in :meth:`mtm_core.inference.predictor.Predictor.prepare`.
    reading
        How to read the table of expression.
    metadata
        How to read the metadata.
    batch
        Column of the metadata that names each sample's batch: each is aligned by itself. Empty for
        none.
    alignment_from
        File, folder or bundle that holds the saved alignment of an earlier prediction, by which
        these samples are read. Empty for none.
    as_batch
        Batch of the saved alignment that all samples are read as. Empty if ``batch`` says it, or
        there is one.
    further
        Tables of other tissues of the same people, in order.
    near_people
        Take names that may be one person's in two tables for the same.
    """

    source: str = WHOLE_BLOOD
    targets: tuple[str, ...] | None = None
    unit: UnitChoice = "auto"
    alignment: AlignmentMethod = "auto"
    reading: ReadingOptions = AS_IT_LIES
    metadata: MetadataOptions = AS_FOUND
    batch: str = ""
    alignment_from: str = ""
    as_batch: str = ""
    further: tuple[FurtherTissue, ...] = ()
    near_people: bool = False

    def __post_init__(self) -> None:
        """Take any kind of path to a saved alignment."""
        object.__setattr__(self, "alignment_from", os.fspath(self.alignment_from))

    @property
    def sources(self) -> tuple[str, ...]:
        """Tissues of the samples, the main one first."""
        return (self.source, *(one.source for one in self.further))

    def prepare(
        self,
        predictor: Predictor,
        table: ExpressionTable | pd.DataFrame,
        known: SampleMetadata | None = None,
        alignment: SavedAlignment | None = None,
    ) -> Prepared:
        """Bring ``table`` to the model's genes and scale as the options say.

        Parameters
        ----------
        predictor, table
            The model, and the samples.
        known
            Metadata of the samples; needed if ``batch`` is named.
        alignment
            The saved alignment, where it has been read; else ``alignment_from`` is.

        Raises
        ------
        ExpressionError, SelectionError, InputFileError
            As :meth:`mtm_core.inference.predictor.Predictor.prepare`.
        """
        return predictor.prepare(
            table,
            source=self.source,
            unit=self.unit,
            alignment=self.alignment,
            batch=self.batches_of(table, known),
            alignment_from=alignment or self.alignment_from or None,
        )

    def saved_alignment(self, predictor: Predictor) -> SavedAlignment | None:
        """Read ``alignment_from``, and hold it to the model and the source; ``None`` if none is.

        Raises
        ------
        InputFileError, SelectionError
            As :func:`mtm_core.inference.later_samples.alignment_for`.
        """
        if not self.alignment_from:
            return None
        return alignment_for(self.alignment_from, predictor.artefact, self.source, self.alignment)

    def prepare_further(
        self,
        predictor: Predictor,
        number: int,
        table: ExpressionTable | pd.DataFrame,
        alignment: SavedAlignment | None = None,
        known: SampleMetadata | None = None,
    ) -> Prepared:
        """Bring the further table ``number``, from 0, to the model's genes and scale.

        Its samples are aligned by their own batches, or all together: batches of blood say nothing
        of how skin was processed.

        Parameters
        ----------
        alignment
            The saved alignment of its tissue, if it has been read; else ``alignment_from`` is.
        known
            Metadata that name the batches of its samples.

        Raises
        ------
        ExpressionError, SelectionError, InputFileError
            As :meth:`mtm_core.inference.predictor.Predictor.prepare`.
        """
        one = self.further[number]
        saved = alignment
        if saved is None and self.alignment_from:
            saved = alignment_for(
                self.alignment_from, predictor.artefact, one.source, self.alignment
            )
        values = table.values if isinstance(table, ExpressionTable) else table
        try:
            return predictor.prepare(
                table,
                source=one.source,
                unit=one.unit,
                alignment=self.alignment,
                batch=self.batches_of_further(number, values, known, saved),
                alignment_from=saved,
            )
        except ExpressionError as error:
            raise ExpressionError(f"{one.source}: {error}") from error

    def batches_of_further(
        self,
        number: int,
        table: pd.DataFrame,
        known: SampleMetadata | None,
        saved: SavedAlignment | None,
    ) -> pd.Series | None:
        """Return the batches of the further table ``number``, as :meth:`batches_of`.

        Parameters
        ----------
        saved
            The saved alignment of its tissue, whose batches ``as_batch`` is of.

        Raises
        ------
        SelectionError
            As :meth:`batches_of`.
        """
        one = self.further[number]
        names = tuple(str(name) for name in table.index)
        as_batch = self.as_batch if saved is not None and saved.batches and not one.batch else ""
        own = replace(
            self,
            batch=one.batch,
            as_batch=as_batch,
            alignment_from=self.alignment_from or ("saved" if saved is not None else ""),
        )
        return own.batches_of(table, None if known is None else known.of_samples(names))

    def put_together(self, first: Prepared, further: Sequence[Prepared]) -> Prepared | Together:
        """Match the people of the tables; one table stays as it is.

        Raises
        ------
        SelectionError
            As :func:`mtm_core.inference.together.put_together`.
        """
        if not further:
            return first
        return put_together([first, *further], near_people=self.near_people)

    def batches_of(
        self, table: ExpressionTable | pd.DataFrame, known: SampleMetadata | None
    ) -> pd.Series | None:
        """Return the batch of each sample, NaN where it is not known; ``None`` if none is named.

        Raises
        ------
        SelectionError
            If batches are named without metadata, or in two ways; or the column is not there.
        """
        if self.batch and self.as_batch:
            raise SelectionError(
                f"batches are named twice, by the column {self.batch!r} and by {self.as_batch!r}"
                " for all samples. Leave out one."
            )
        if self.as_batch and not self.alignment_from:
            raise SelectionError(
                f"{self.as_batch!r} names a batch of a saved alignment, but no saved alignment was"
                " given: add --alignment-from."
            )
        values = table.values if isinstance(table, ExpressionTable) else table
        if self.as_batch:
            return pd.Series(self.as_batch, values.index, name="batch", dtype=object)
        if not self.batch:
            return None
        if known is None:
            raise SelectionError(
                f"{self.batch!r} names a metadata column of batches, but no metadata were given:"
                " add --metadata."
            )
        return known.text(self.batch).rename(self.batch)

    def as_used(self, prediction: xr.Dataset) -> PredictionOptions:
        """Put what was found out for ``prediction`` in the place of what was left open.

        A saved alignment says how to align, and is left to say it.
        """
        attrs = prediction.attrs
        units = attrs["further_units"].split(BETWEEN) if "further_units" in attrs else ()
        batch_of = {one.source: one.batch for one in self.further}
        return replace(
            self,
            source=attrs["source"],
            targets=tuple(str(tissue) for tissue in prediction["tissue"].values),
            unit=attrs["input_unit"],
            alignment="auto" if self.alignment_from else attrs["alignment"],
            further=tuple(
                FurtherTissue(source, unit, batch_of.get(source, ""))
                for source, unit in zip(sources_of(prediction)[1:], units, strict=True)
            ),
        )

    def in_command(self, tissues: Sequence[str]) -> PredictionOptions:
        """Leave out the targets that a command predicts where none is named.

        Parameters
        ----------
        tissues
            Tissues of the model: where all others than the sources are predicted, in this order,
            a command need not name them.
        """
        others = tuple(tissue for tissue in tissues if tissue not in self.sources)
        return replace(self, targets=None) if self.targets == others else self

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> PredictionOptions:
        """Read what :meth:`to_json` gave."""
        return cattrs.structure(values, cls)
