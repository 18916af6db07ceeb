"""A table of a further tissue of the same people, as a session keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.units import Unit


@dataclass(frozen=True)
class FurtherTable:
    """A table beside the first.

    Attributes
    ----------
    tissue
        Tissue of its samples.
    table, sha256
        Itself, and the hash of the bytes it was read from.
    unit
        Unit of its values; ``None`` if the values do not decide it and the user has not chosen.
    batch
        Column of the metadata that names its samples' batches; empty for none.
    """

    tissue: str
    table: ExpressionTable
    sha256: str
    unit: Unit | None = None
    batch: str = ""

    def column_in(self, metadata: SampleMetadata | None) -> str:
        """Return the column of batches, if the metadata have it."""
        names = [] if metadata is None else [one.name for one in metadata.columns]
        return self.batch if self.batch in names else ""
