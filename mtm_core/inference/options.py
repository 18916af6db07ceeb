"""Everything that a user chooses about a prediction, in one object.

The dashboard's widgets and the command line's options both make one. It is passed down whole, tells
results of one choice from those of another, and is written out with a prediction, as JSON and as
the command that makes it again (:mod:`mtm_core.reporting.command_line`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import cattrs
import pandas as pd
import xarray as xr

from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.people.metadata_options import AS_FOUND, MetadataOptions
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.units import UnitChoice
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.predictor import Predictor, Prepared


@dataclass(frozen=True)
class PredictionOptions:
    """What a user chooses about a prediction, but for the files and the model.

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
    """

    source: str = WHOLE_BLOOD
    targets: tuple[str, ...] | None = None
    unit: UnitChoice = "auto"
    alignment: AlignmentMethod = "auto"
    reading: ReadingOptions = AS_IT_LIES
    metadata: MetadataOptions = AS_FOUND

    def prepare(self, predictor: Predictor, table: ExpressionTable | pd.DataFrame) -> Prepared:
        """Bring ``table`` to the model's genes and scale as the options say.

        Raises
        ------
        ExpressionError, SelectionError
            As :meth:`mtm_core.inference.predictor.Predictor.prepare`.
        """
        return predictor.prepare(
            table, source=self.source, unit=self.unit, alignment=self.alignment
        )

    def as_used(self, prediction: xr.Dataset) -> PredictionOptions:
        """Put what was found out for ``prediction`` in the place of what was left open."""
        attrs = prediction.attrs
        return replace(
            self,
            source=attrs["source"],
            targets=tuple(str(tissue) for tissue in prediction["tissue"].values),
            unit=attrs["input_unit"],
            alignment=attrs["alignment"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> PredictionOptions:
        """Read what :meth:`to_json` gave."""
        return cattrs.structure(values, cls)
