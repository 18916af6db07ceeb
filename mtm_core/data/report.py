"""What was found in a user's table and what was done about it, for pages, logs and JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["info", "warning"]


@dataclass(frozen=True)
class Note:
    """One finding.

    Attributes
    ----------
    level
        ``"warning"`` where the user should look before going on.
    found, done, next_step
        What there is, what was done about it, what the user can do (empty: nothing).
    """

    level: Level
    found: str
    done: str
    next_step: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.found, self.done, self.next_step) if part)


@dataclass(frozen=True)
class IngestReport:
    """How a table was read.

    Attributes
    ----------
    file, sha256
        Name of the file and hash of its bytes as they came.
    format, delimiter
        ``"csv"``, ``"tsv"``, ``"txt"``, ``"gct"`` (also with ``".gz"``), ``"parquet"``, ``"xlsx"``
        or ``"h5ad"``; delimiter in words, empty where the format has none.
    orientation
        ``"genes in rows"`` or ``"samples in rows"``.
    n_samples, n_genes
        Size of the table after columns were set aside.
    id_type
        Of the gene ids, as :class:`mtm_core.data.genes.GeneMatch` names them.
    unit, unit_reason
        The guess of :func:`mtm_core.data.units.guess_unit`.
    duplicates
        Gene ids that stand more than once, as in the file.
    damaged_names
        Gene ids that a spreadsheet turned into dates.
    set_aside
        Columns that are no expression values.
    notes
        All of the above that needs words.
    """

    file: str
    sha256: str
    format: str
    delimiter: str
    orientation: str
    n_samples: int
    n_genes: int
    id_type: str
    unit: str
    unit_reason: str
    duplicates: tuple[str, ...]
    damaged_names: tuple[str, ...]
    set_aside: tuple[str, ...]
    notes: tuple[Note, ...]

    def to_json(self) -> dict[str, Any]:
        """Give the report as JSON values."""
        return asdict(self)


def skipped_titles(n_lines: int) -> Note:
    """Note the lines above a table."""
    return Note("info", f"{n_lines} lines stand above the table.", "They were skipped.")


def name_some(names: Iterable[object], limit: int = 5) -> str:
    """Give the first of ``names`` in quotes, with '…' where there are more."""
    listed = [str(name) for name in names]
    return ", ".join(repr(name) for name in listed[:limit]) + (", …" if len(listed) > limit else "")
