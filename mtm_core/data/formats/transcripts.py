"""Sum transcripts to genes by a table of transcripts and their genes, as tximport does.

The table is of two columns or more, with a header or without, as csv or tsv; or a GTF. Which column
holds transcripts is seen from the files that it is for.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from mtm_core.data.genes.ids import is_ensembl
from mtm_core.data.notes import name_some
from mtm_core.errors import InputFileError

_LEAST_SHARE = 0.5
"""Share of the transcripts of a file that the table must have."""
_VERSION = re.compile(r"\.\d+(?=$|_PAR_Y$)")
_ATTRIBUTE = re.compile(r'(gene_id|transcript_id|transcript_version|gene_version) "?([^";]+)"?')
_TRANSCRIPT_NAMES = re.compile(
    r"(?i)(target|tx|transcript|txname|enst)[ _.]*(id|name|stable[ _.]id.*)?"
)
_TRANSCRIPT = re.compile(r"ENST\d{6,}|[NX][MR]_\d+")
_QUANTITIES = frozenset({"length", "tpm", "est_counts", "numreads", "expected_count"})
_N_LOOKED_AT = 20


@dataclass(frozen=True)
class TranscriptTable:
    """Rows of a table, whichever column holds what.

    Attributes
    ----------
    path
        Name of its file.
    rows
        Fields of each row, the header among them where there is one.
    """

    path: str
    rows: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """Name of the file, without its folder."""
        return PurePosixPath(self.path).name

    @classmethod
    def read(cls, text: bytes, path: str) -> TranscriptTable:
        """Read ``text`` (UTF-8).

        Raises
        ------
        InputFileError
            If it is neither a table of two columns nor a GTF.
        """
        decoded = text.decode(errors="replace")
        lines = decoded.splitlines()
        if _is_gtf(lines):
            return cls(path, tuple(_gtf_rows(lines)))
        start = [line for line in lines[:_N_LOOKED_AT] if line.strip() and line[0] != "#"]
        sep = next((mark for mark in "\t;," if start and mark in start[0]), " ")
        rows = tuple(
            tuple(field.strip() for field in row)
            for row in csv.reader(io.StringIO(decoded), delimiter=sep, skipinitialspace=True)
            if row and not row[0].startswith("#")
        )
        if not rows or min(len(row) for row in rows[:_N_LOOKED_AT]) < 2:
            raise InputFileError(
                f"{path}: expected a table of transcripts and their genes: two columns, such as"
                " ENST00000269305 and ENSG00000141510, or a GTF."
            )
        return cls(path, rows)

    def genes_of(self, transcripts: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the gene of each of ``transcripts``, ``""`` where it is not there; and those.

        Raises
        ------
        InputFileError
            If less than half of the transcripts are there, or one is of two genes.
        """
        wanted = {plain_transcript(name) for name in transcripts}
        width = max(len(row) for row in self.rows[:_N_LOOKED_AT])
        hits = [
            sum(plain_transcript(row[i]) in wanted for row in self.rows if i < len(row))
            for i in range(width)
        ]
        column = hits.index(max(hits))
        gene = self._gene_column(column, width)
        genes: dict[str, str] = {}
        for row in self.rows:
            if max(column, gene) >= len(row) or not row[gene]:
                continue
            name = plain_transcript(row[column])
            if name in wanted and genes.setdefault(name, row[gene]) != row[gene]:
                raise InputFileError(
                    f"{self.name}: transcript {row[column]!r} is of two genes, {genes[name]!r} and"
                    f" {row[gene]!r}. Keep one of the rows."
                )
        found = [genes.get(plain_transcript(name), "") for name in transcripts]
        absent = [name for name, of in zip(transcripts, found, strict=True) if not of]
        if len(absent) > (1 - _LEAST_SHARE) * len(transcripts):
            raise InputFileError(
                f"{self.name} has {len(transcripts) - len(absent):,} of the {len(transcripts):,}"
                f" transcripts of the files; it lacks {name_some(absent, 3)}. Expected the table "
                f"of the annotation that they were made with; its rows look like"
                f" {name_some(self.rows[-1][:3])}."
            )
        return found, absent

    def _gene_column(self, transcript: int, width: int) -> int:
        """Get the column of genes: of Ensembl ids if there is one, else by its name, else next."""
        others = [i for i in range(width) if i != transcript]
        rows = [row for row in self.rows[1:200] if len(row) == width]
        for i in others:
            if rows and sum(is_ensembl(row[i]) for row in rows) > len(rows) / 2:
                return i
        header = self.rows[0]
        for i in others:
            if i < len(header) and header[i].lower().startswith("gene"):
                return i
        return others[0]


def plain_transcript(name: str) -> str:
    """Return the id of a transcript without version and without what GENCODE writes after it."""
    return _VERSION.sub("", name.split("|")[0].strip())


def is_transcript_table(text: bytes) -> bool:
    """Tell a table of transcripts and genes from a file of a sample: it holds no values."""
    start = text[: 1 << 16].decode(errors="replace").splitlines()
    if _is_gtf(start):
        return True
    lines = [line for line in start if line.strip() and not line.startswith("#")][:_N_LOOKED_AT]
    sep = next((mark for mark in "\t;," if lines and mark in lines[0]), " ")
    rows = [[field.strip().strip('"') for field in line.split(sep)] for line in lines]
    if len(rows) < 2 or len({len(row) for row in rows[:-1]}) != 1 or len(rows[0]) < 2:
        return False
    names = [name.lower() for name in rows[0]]
    if not _QUANTITIES.isdisjoint(names):
        return False
    if any(map(_TRANSCRIPT_NAMES.fullmatch, names)) and any("gene" in name for name in names):
        return True
    body = rows[1:-1] or rows[1:]
    return any(
        all(i < len(row) and _TRANSCRIPT.match(row[i]) for row in body) for i in range(len(names))
    ) and not any(_is_number(field) for row in body for field in row)


def _is_gtf(lines: Sequence[str]) -> bool:
    start = [line for line in lines[:_N_LOOKED_AT] if line.strip() and line[0] != "#"]
    return bool(start) and all(line.count("\t") == 8 and "gene_id" in line for line in start[:3])


def _gtf_rows(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield transcript and gene of each line of a GTF that has them."""
    yield "transcript_id", "gene_id"
    seen: set[str] = set()
    for line in lines:
        if line.startswith("#") or "transcript_id" not in line:
            continue
        fields = dict(_ATTRIBUTE.findall(line.rsplit("\t", 1)[-1]))
        name = fields.get("transcript_id", "")
        if name and name not in seen and "gene_id" in fields:
            seen.add(name)
            yield name, fields["gene_id"]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
