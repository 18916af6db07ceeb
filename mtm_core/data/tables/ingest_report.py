"""How a user's table was read, for pages, logs and JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from mtm_core.data.notes import Choice, FileRead, Note, counted
from mtm_core.data.units import Unit


@dataclass(frozen=True)
class IngestReport:
    """How a table was read.

    Attributes
    ----------
    file, sha256
        Name of the file and hash of its bytes as they came; of several, of the zip of them that
        :func:`mtm_core.data.files.archive.pack` makes.
    format, delimiter
        ``"csv"``, ``"tsv"``, ``"txt"``, ``"gct"`` (also with ``".gz"``), ``"parquet"``, ``"xlsx"``
        or ``"h5ad"``; delimiter in words, empty if the format has none.
    orientation
        ``"genes in rows"`` or ``"samples in rows"``.
    n_samples, n_genes
        Size of the table after columns were set aside.
    id_type
        Kind of the gene ids, as :class:`mtm_core.data.genes.index.GeneMatch` names them.
    unit, unit_reason, possible_units
        The judgement of :func:`mtm_core.data.tables.unit_guess.judging.guess_unit`; the unit is
        ``None`` if the values do not decide it.
    duplicates
        Gene ids that are duplicated, as in the file.
    damaged_names
        Gene ids that a spreadsheet turned into dates.
    set_aside, reasons
        Columns that are no expression values; why, of each.
    doubted
        Samples that may be none: their values go with the others' less than those of samples do.
    notes
        All of the above that needs words.
    choices
        Sheet, quantity and strand that were read, where the file offers several.
    files
        Files that the table was joined from, where they are several, each with its hash.
    """

    file: str
    sha256: str
    format: str
    delimiter: str
    orientation: str
    n_samples: int
    n_genes: int
    id_type: str
    unit: Unit | None
    unit_reason: str
    duplicates: tuple[str, ...]
    damaged_names: tuple[str, ...]
    set_aside: tuple[str, ...]
    notes: tuple[Note, ...]
    choices: tuple[Choice, ...] = ()
    possible_units: tuple[Unit, ...] = ()
    reasons: tuple[str, ...] = ()
    doubted: tuple[str, ...] = ()
    files: tuple[FileRead, ...] = ()

    @property
    def size_in_words(self) -> str:
        """Size, direction and ids: "1 sample, 59 genes, genes in rows, symbol ids"."""
        samples = counted(self.n_samples, "sample", "samples")
        genes = counted(self.n_genes, "gene", "genes")
        return f"{samples}, {genes}, {self.orientation}, {self.id_type} ids"

    @property
    def given(self) -> tuple[tuple[str, ...], str]:
        """Names of what was given: tables, folder or files; and the table of transcripts."""
        apart = [file for file in self.files if not file.inside]
        tables = tuple(file.path for file in apart if file.sample)
        transcripts = [PurePosixPath(file.path).name for file in apart if not file.sample]
        return tables or (self.file,), transcripts[0] if transcripts else ""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)
