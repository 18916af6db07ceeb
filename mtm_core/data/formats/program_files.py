"""Files of one sample that programs write: which program, its genes, its quantities.

A file is known by its header, or by the rows that STAR and HTSeq add to the genes; never by its
name. What is no such file is left to :mod:`mtm_core.data.formats.text_table`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtm_core.data.files.raw_table import BLANKS, to_numbers
from mtm_core.data.genes.ids import is_ensembl
from mtm_core.data.layout.orientation import TALLIES
from mtm_core.data.notes import name_some
from mtm_core.data.units import LINEAR, UNIT_TABLE
from mtm_core.errors import InputFileError

STRANDS = ("unstranded", "forward", "reverse")
"""Columns of STAR's ReadsPerGene after the gene, in their order."""
_N_LOOKED_AT = 12
_LEAST_UNIQUE = 0.9
"""Share of a list of genes that are there once; of a table of several samples they are not."""
_GENE_OF_NAME = re.compile(r"ENSG\d+(\.\d+)?(_PAR_Y)?")
_TRANSCRIPT = re.compile(r"(ENST\d{6,}|[NX][MR]_\d+)")
_NO_GENES = frozenset(
    {"ensembl_id", "ensembl_gene_id", "hgnc_symbol", "entrezid", "entrez_id", "gene id", "x"}
    | {"gene name", "symbols", "genename", "feature_id", "row.names", "rowname", "gencode_id"}
    | {"", "id", "ids", "gene", "genes", "symbol", "name", "sample", "samples", "gene_id", "geneid"}
    | {
        "gene_name",
        "gene_symbol",
        "target_id",
        "hgnc",
        "ensembl",
        "entrez",
        "feature",
        "unnamed: 0",
    }
)
_VALUES = frozenset(
    {"count", "counts", "raw_count", "raw_counts", "read_count", "reads", "expected_count"}
    | {"value", "values", "expression", "est_counts"}
    | {name for unit in LINEAR if unit != "counts" for name in UNIT_TABLE[unit].columns}
)
"""Headers, in lower case, that name a quantity and no sample."""


@dataclass(frozen=True)
class Program:
    """Format of the file that a program writes for one sample.

    Attributes
    ----------
    name
        Name of the program and, if it writes several files, of the file.
    gene
        Header of the column that names genes, or transcripts.
    header
        Columns, in lower case, that tell the file.
    quantities
        Columns to read, in lower case, the best first.
    linear
        Whether values of one gene may be summed.
    """

    name: str
    gene: str
    header: frozenset[str]
    quantities: tuple[str, ...]
    linear: bool = True


GDC = Program(
    "GDC (STAR)",
    "gene_id",
    frozenset({"gene_id", "unstranded", "stranded_first", "stranded_second"}),
    (
        *("unstranded", "stranded_first", "stranded_second"),
        *("tpm_unstranded", "fpkm_unstranded", "fpkm_uq_unstranded"),
    ),
)
PROGRAMS = (
    GDC,
    Program(
        "RSEM",
        "gene_id",
        frozenset({"gene_id", "length", "effective_length", "expected_count", "tpm"}),
        ("expected_count", "tpm", "fpkm", "posterior_mean_count", "pme_tpm", "pme_fpkm"),
    ),
    Program(
        "Salmon",
        "name",
        frozenset({"name", "length", "effectivelength", "tpm", "numreads"}),
        ("numreads", "tpm"),
    ),
    Program(
        "kallisto",
        "target_id",
        frozenset({"target_id", "length", "eff_length", "est_counts", "tpm"}),
        ("est_counts", "tpm"),
    ),
    Program(
        "StringTie",
        "gene id",
        frozenset({"gene id", "gene name", "reference", "coverage", "fpkm", "tpm"}),
        ("tpm", "fpkm"),
    ),
    Program(
        "Cufflinks",
        "gene_id",
        frozenset({"tracking_id", "gene_id", "gene_short_name", "fpkm"}),
        ("fpkm",),
    ),
)
STAR = Program("STAR", "gene", frozenset(), STRANDS)
HTSEQ = Program("HTSeq", "gene", frozenset(), ("count",))
FEATURE_COUNTS = Program("featureCounts", "geneid", frozenset(), ("count",))
PLAIN = Program("a list of genes and values", "gene", frozenset(), ("value",), linear=False)
_STAR_ROW = re.compile(rb"^\"?N_(unmapped|multimapping|noFeature|ambiguous)\b", re.MULTILINE)
_OLD_HTSEQ = "no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique"
_HTSEQ_ROW = re.compile(rf"^\"?(__)?({_OLD_HTSEQ})\b".encode(), re.MULTILINE)
_TALLIES = re.compile(rf"{TALLIES.pattern}|{_OLD_HTSEQ}")
_TALLY_STARTS = frozenset({"N_", "__", *(name[:2] for name in _OLD_HTSEQ.split("|"))})
_FEATURE_COUNTS = ("geneid", "chr", "start", "end", "strand", "length")


@dataclass(frozen=True)
class ProgramFile:
    """A file of one sample.

    Attributes
    ----------
    path
        Name of the file, with its folder where that is known.
    program
        Program that wrote it.
    ids
        Ids of genes or transcripts, without the rows that tally reads.
    quantities
        Values by column as in the file, in the order of preference.
    n_tallies
        Rows that tally reads.
    """

    path: str
    program: Program
    ids: tuple[str, ...]
    quantities: Mapping[str, NDArray[np.float64]] = field(repr=False)
    n_tallies: int = 0

    @property
    def has_transcripts(self) -> bool:
        """Whether most ids are those of transcripts."""
        known = sum(_TRANSCRIPT.match(name) is not None for name in self.ids)
        return known > len(self.ids) / 2


def read_program_file(text: bytes, path: str = "", *, plain: bool = False) -> ProgramFile | None:
    """Read ``text`` (UTF-8) as a file of one sample; ``None`` if it is none.

    Parameters
    ----------
    plain
        Whether a table of two columns is one whatever its header, which else must name a quantity.

    Raises
    ------
    InputFileError
        If it is one and a value is blank or no number.
    """
    start = text[: 1 << 18].decode(errors="replace").splitlines()
    lines = [(i, line) for i, line in enumerate(start) if line.strip() and line.strip() != "#"]
    comments = 0
    while comments < len(lines) - 1 and lines[comments][1].lstrip('"').startswith("#"):
        comments += 1
    rows = lines[comments : comments + _N_LOOKED_AT]
    if len(rows) < 2 or start[0].startswith("#1."):
        return None
    delimiter = _delimiter(rows[0][1])
    first = _fields(rows[0][1], delimiter)
    known = _known_by_header(first) or _known_by_rows(text, first, rows, delimiter, plain=plain)
    if known is None:
        return None
    try:
        cells = pd.read_csv(
            io.BytesIO(text),
            sep=delimiter,
            header=None,
            skiprows=rows[0][0] + known.has_header,
            index_col=False,
            dtype={known.gene: str},
            keep_default_na=False,
            na_values=list(BLANKS),
            low_memory=False,
            float_precision="round_trip",  # the others crash on 1e3000000000: see to_numbers
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputFileError(
            f"{_shown(path)}the file of {known.program.name} cannot be parsed:"
            f" {str(error).removeprefix('Error tokenizing data. C error: ').strip()}."
        ) from error
    if known.program is PLAIN and cells[known.gene].nunique() < _LEAST_UNIQUE * len(cells):
        return None  # a row for each sample and gene
    if max(known.gene, *known.quantities.values()) >= cells.shape[1]:
        raise InputFileError(f"{_shown(path)}the rows have fewer columns than the header.")
    return _taken(path, known, cells)


@dataclass(frozen=True)
class _Known:
    """Columns of a file that hold the gene and each quantity."""

    program: Program
    gene: int
    quantities: Mapping[str, int]
    has_header: bool


def _known_by_header(first: Sequence[str]) -> _Known | None:
    names = [name.lower() for name in first]
    for program in PROGRAMS:
        if program.header <= set(names):
            columns = [names.index(name) for name in program.quantities if name in names]
            quantities = {first[column]: column for column in columns}
            return _Known(program, names.index(program.gene), quantities, has_header=True)
    return None


def _known_by_rows(
    text: bytes,
    first: Sequence[str],
    rows: Sequence[tuple[int, str]],
    delimiter: str,
    *,
    plain: bool,
) -> _Known | None:
    """Tell a file whose header says little, or which has none."""
    values = [[_is_number(cell) for cell in _fields(line, delimiter)] for _, line in rows]
    width = len(first)
    if width < 2 or any(len(row) != width for row in values):
        return None
    below = values[1:] or values
    if tuple(name.lower() for name in first[:6]) == _FEATURE_COUNTS:
        n_files = [i for i in range(len(_FEATURE_COUNTS), width) if below[0][i]]
        one = len(n_files) == 1  # with more it is a table of samples
        return _Known(FEATURE_COUNTS, 0, {"count": n_files[0]}, has_header=True) if one else None
    numeric = [i for i in range(1, width) if all(row[i] for row in below)]
    is_value = values[0][-1] or first[-1] in BLANKS
    has_header = not is_value or not _may_be_gene(first[0])
    if has_header and (is_ensembl(first[0]) or _TALLIES.fullmatch(first[0])):
        return None
    if width == 1 + len(STRANDS) == 1 + len(numeric) and _STAR_ROW.search(text):
        if has_header and first[1].lower() != STRANDS[0]:
            return None  # three samples that somebody put side by side
        columns = dict(zip(STRANDS, numeric, strict=True))
        return _Known(STAR, 0, columns, has_header=has_header)
    if numeric != [width - 1] or width > 3:
        return None
    if not has_header and _HTSEQ_ROW.search(text):
        return _Known(HTSEQ, 0, {"count": width - 1}, has_header=False)
    if has_header and not plain and first[-1].lower() not in _VALUES:
        return None
    return _Known(PLAIN, 0, {"value": width - 1}, has_header=has_header)


def _may_be_gene(name: str) -> bool:
    if name.lower() in _NO_GENES:
        return False
    return is_ensembl(name) or _TALLIES.fullmatch(name) is not None or not name.islower()


def _taken(path: str, known: _Known, cells: pd.DataFrame) -> ProgramFile:
    """Check the cells of a file, and take what is needed."""
    program = known.program
    ids = cells[known.gene].fillna("").str.strip()
    # Of 60,000 genes only those that begin so are looked at.
    tallies = np.array(
        [name[:2] in _TALLY_STARTS and _TALLIES.fullmatch(name) is not None for name in ids]
    )
    cells, ids = cells[~tallies & (ids != "")], ids[~tallies & (ids != "")]
    if ids.empty:
        raise InputFileError(f"{_shown(path)}the file of {program.name} holds no gene.")
    quantities: dict[str, NDArray[np.float64]] = {}
    wrong: dict[str, str] = {}
    for name, column in known.quantities.items():
        written = cells[column]
        values = to_numbers(written).to_numpy(np.float64)
        bad = ~np.isfinite(values)
        if bad.any():
            at = int(np.argmax(bad))
            cell = written.iloc[at]
            wrong[name] = (
                f"{_shown(path)}gene {ids.iloc[at]!r} has"
                f" {'no value' if pd.isna(cell) else repr(cell)} in column {name!r}: expected a"
                " number. The file may be cut off or changed: make it again."
            )
        else:
            quantities[name] = values
    if next(iter(known.quantities)) in wrong:
        raise InputFileError(next(iter(wrong.values())))
    return ProgramFile(path, program, tuple(ids), quantities, int(tallies.sum()))


def gene_in_name(name: str) -> str:
    """Return the gene in a name of GENCODE's transcripts, ``ENST...|ENSG...|...``; else ``""``."""
    return next((part for part in name.split("|") if _GENE_OF_NAME.fullmatch(part)), "")


def choose_column(files: Sequence[ProgramFile], wanted: str) -> tuple[str, tuple[str, ...]]:
    """Return the quantity to read of files of one program, and all that each of them has.

    Raises
    ------
    InputFileError
        If ``wanted`` is not among them.
    """
    offered = tuple(
        name for name in files[0].quantities if all(name in file.quantities for file in files)
    )
    if not offered:
        raise InputFileError(
            f"the files of {files[0].program.name} have no column of values in common:"
            f" {name_some(files[0].quantities)} against {name_some(files[-1].quantities)}."
        )
    if not wanted:
        return offered[0], offered
    plain = {name.casefold(): name for name in reversed(offered)}
    if "count" in wanted.casefold():
        counts = [name for name in offered if name.casefold() not in ("tpm", "fpkm")]
        plain.setdefault(wanted.casefold(), counts[0] if counts else "")
    chosen = plain.get(wanted.strip().casefold(), "")
    if not chosen:
        raise InputFileError(
            f"the files of {files[0].program.name} have no column {wanted!r}. Choose one of"
            f" {name_some(offered, 10)}."
        )
    return chosen, offered


def _delimiter(line: str) -> str:
    return next((mark for mark in ("\t", ";", ",") if mark in line), " ")


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        return []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _shown(path: str) -> str:
    return f"{path}: " if path else ""
