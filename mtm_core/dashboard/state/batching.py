"""How a session aligns by batches, and the saved alignment that it reads samples by."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property

from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.errors import InputFileError
from mtm_core.inference.saved_alignment import (
    SavedAlignment,
    alignment_bytes,
    alignments_of,
)
from mtm_core.workflows.uploaded_alignment import saved_of


@dataclass(frozen=True)
class Batching:
    """The user's choices about batches.

    Attributes
    ----------
    column
        Column of the metadata that names batches; empty for none.
    as_batch
        Batch of the saved alignment that all samples are of; empty if that is not chosen.
    file, saved
        Name of the saved alignment's file, and the alignments in it, one a tissue.
    problem
        Why the last file could not be read; empty if it could.
    """

    column: str = ""
    as_batch: str = ""
    file: str = ""
    saved: tuple[SavedAlignment, ...] = field(default=(), repr=False)
    problem: str = field(default="", compare=False)

    def column_in(self, metadata: SampleMetadata | None) -> str:
        """Return the column, if the metadata have it."""
        names = [] if metadata is None else [one.name for one in metadata.columns]
        return self.column if self.column in names else ""

    def without_samples(self) -> Batching:
        """Return what stays when other samples are opened: the saved alignment."""
        return replace(self, column="", as_batch="")

    def saved_of(self, source: str) -> SavedAlignment | None:
        """Return the saved alignment for samples of ``source``; ``None`` if there is no file.

        Raises
        ------
        SelectionError
            If the file is of other tissues alone.
        """
        if not self.saved:
            return None
        return saved_of(self.saved, source, self.file)

    @property
    def digest(self) -> str:
        """Key of its saved alignments."""
        return "".join(one.digest for one in self.saved)

    @cached_property
    def text(self) -> str:
        """It as text, to be saved."""
        content = alignment_bytes(self.saved).decode() if self.saved else ""
        return json.dumps([self.column, self.as_batch, self.file, content])

    @classmethod
    def from_text(cls, text: str) -> Batching:
        """Read what :attr:`text` gave.

        Raises
        ------
        InputFileError
            If it is damaged.
        """
        if not text:
            return cls()
        try:
            column, as_batch, file, content = map(str, json.loads(text))
        except (TypeError, ValueError) as error:
            raise InputFileError(f"its choices of batches are damaged: {error}") from error
        saved = alignments_of(content.encode(), file) if content else ()
        return cls(column, as_batch, file, saved)
