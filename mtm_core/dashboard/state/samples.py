"""The samples of a session: their tables and metadata, and what the user has chosen for them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from mtm_core.dashboard.state.batching import Batching
from mtm_core.dashboard.state.further import FurtherTable
from mtm_core.dashboard.state.jobs import Jobs
from mtm_core.dashboard.state.resources import is_simulated
from mtm_core.data.gtex.annotations import WHOLE_BLOOD
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.tables.expression import ExpressionTable
from mtm_core.data.units import Unit
from mtm_core.errors import SelectionError
from mtm_core.inference.alignment import AlignmentMethod
from mtm_core.inference.example import default_source
from mtm_core.inference.predictor import Predictor
from mtm_core.inference.together import people_of
from mtm_core.workflows.composition import is_estimated, without_composition

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

    def set_further(
        self, further: tuple[FurtherTable, ...], *, near_people: bool | None = None
    ) -> None:
        """Put other further tables in the place of those there are; metadata are matched anew."""
        self.further = further
        if near_people is not None:
            self.near_people = near_people
        if self.metadata is not None:
            self.metadata = replace(self.metadata, samples=tuple(self.sample_names))

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

    def forget(self) -> None:
        """Let go of the table and of all that was made from it; keep the choice of tissues."""
        self.jobs.forget_all()
        fresh = type(self)()
        for attribute in fields(self):
            if attribute.name not in _OUTLIVES_DATA:
                setattr(self, attribute.name, getattr(fresh, attribute.name))

    def take_other_samples(self) -> None:
        """Do what follows when other samples are opened; called before they are there."""


def words_of(tissue: str) -> str:
    """Return a tissue inside of a sentence: "blood" for whole blood."""
    return "blood" if tissue == WHOLE_BLOOD else tissue
