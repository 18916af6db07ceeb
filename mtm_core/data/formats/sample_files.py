"""Join files of one sample each by gene: what STAR, RSEM, Salmon and others leave behind.

All files must be of one program and one annotation: what differs is named, never filled in.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import PurePosixPath
from typing import cast

import pandas as pd

from mtm_core.data.files.archive import Archive, NamedFile
from mtm_core.data.files.file_names import sample_names
from mtm_core.data.files.raw_table import RawTable
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions, Strand
from mtm_core.data.files.table_bytes import GZIP, checked_text, gunzip
from mtm_core.data.formats.program_files import (
    GDC,
    PLAIN,
    STAR,
    STRANDS,
    Program,
    ProgramFile,
    choose_column,
    read_program_file,
)
from mtm_core.data.formats.rows_by_gene import rows_by_gene
from mtm_core.data.formats.strand import choose_strand
from mtm_core.data.formats.transcripts import TranscriptTable, is_transcript_table
from mtm_core.data.notes import Choice, FileRead, Note, counted, name_some, they_were
from mtm_core.data.units import Unit
from mtm_core.errors import InputFileError

_GDC_STRANDS = dict(zip(STRANDS, ("unstranded", "stranded_first", "stranded_second"), strict=True))
_BESIDE = (
    *(".json", ".log", ".md", ".html", ".pdf", ".png", ".summary", ".h5", ".bam", ".bai"),
    *(".ctab", ".cnt", ".model", ".theta"),
)
_BESIDE_FOLDERS = {"aux_info", "libparams", "logs", "_stargenome", "_starpass1", "_startmp"}
_BESIDE_NAMES = ("sj.out.tab", "log.out", "log.final.out", "log.progress.out", "flendist.txt")
"""Files, in lower case, that programs leave beside those of the samples."""
_KNOWN = (
    "STAR (ReadsPerGene), HTSeq, featureCounts, RSEM, Salmon, kallisto or StringTie, or of genes"
    " and values in two columns"
)


def one_sample(file: ProgramFile, options: ReadingOptions = AS_IT_LIES) -> RawTable:
    """Return the table of one file; its sample has no name but the file's (:func:`named`).

    Raises
    ------
    InputFileError
        As :func:`join_files`.
    """
    return _join([file], ("",), None, options, ())


def join_files(archive: Archive, max_bytes: int, options: ReadingOptions = AS_IT_LIES) -> RawTable:
    """Return the table (genes, samples) of files of one sample each.

    Parameters
    ----------
    archive
        The files, and a table of transcripts and their genes where they need one.
    max_bytes
        Cap on their decompressed size.
    options
        Strand and quantity, where the user has chosen.

    Raises
    ------
    InputFileError
        If a file is no such file, the files are of several programs or annotations, two are the
        same, their strand is not clear, or transcripts lack a table of their genes.
    """
    found: list[ProgramFile] = []
    hashes: dict[str, str] = {}
    tables: list[TranscriptTable] = []
    unknown: dict[str, str] = {}
    beside: list[str] = []
    left = max_bytes
    for file in archive.files:
        if not archive.one_by_one and not file.apart and _is_beside(file.path):
            beside.append(file.path)
            continue
        try:
            text = _text(file, left)
        except InputFileError as error:
            unknown[file.path] = str(error)
            continue
        left -= len(text)
        if file.is_transcript_table or is_transcript_table(text):
            tables.append(TranscriptTable.read(text, file.path))
            hashes[file.path] = hashlib.sha256(file.data).hexdigest()
            continue
        known = read_program_file(text, file.path, plain=True)
        if known is None:
            unknown[file.path] = "it is not a known kind of file of one sample"
        else:
            found.append(known)
            hashes[file.path] = hashlib.sha256(file.data).hexdigest()
    named_apart = {file.path for file in archive.files if file.is_transcript_table or file.apart}
    may_be_left = set() if archive.one_by_one else set(unknown) - named_apart
    notes = _set_aside(found, unknown, beside, may_be_left)
    if len(tables) > 1:
        raise InputFileError(
            f"{name_some(table.path for table in tables)} are tables of transcripts and their "
            f"genes. Give only one."
        )
    found = _by_gene_where_both(found)
    _check_alike(found, hashes)
    names = sample_names([file.path for file in found])
    files = [
        FileRead(path, hashes[path], name, not (archive.one_by_one or path in named_apart))
        for path, name in (
            *zip([file.path for file in found], names, strict=True),
            *((table.path, "") for table in tables),
        )
    ]
    joined = _join(found, names, tables[0] if tables else None, options, notes)
    return replace(joined, files=tuple(files))


def named(table: RawTable, name: str) -> RawTable:
    """Name the sample of :func:`one_sample`."""
    (own,) = sample_names([name])
    return replace(table, header=(table.header[0], own), sample_of_file=False)


def _text(file: NamedFile, max_bytes: int) -> bytes:
    data = gunzip(file.data, max_bytes) if file.data.startswith(GZIP) else file.data
    if not data.strip():
        raise InputFileError("the file is empty")
    return checked_text(data)


def _set_aside(
    found: Sequence[ProgramFile],
    unknown: Mapping[str, str],
    beside: Sequence[str],
    may_be_left: AbstractSet[str],
) -> tuple[Note, ...]:
    """Note the files that lie beside the samples' ones; refuse to leave out a sample's."""
    if unknown and not found:
        path, why = next(iter(unknown.items()))
        raise InputFileError(
            f"none of the {len(unknown)} files holds one sample: {name_some(unknown, 3)}. Of the"
            f" first: {why.rstrip('.')}. Expected files from {_KNOWN}. If one of them is a table "
            f"of several samples, give only that."
        )
    endings = {_ending(file.path) for file in found}
    for path, why in unknown.items():
        if path not in may_be_left or _ending(path) in endings:
            raise InputFileError(
                f"{path}: {why.rstrip('.')}. Expected one file per sample: from {_KNOWN}."
            )
    others = [*beside, *unknown]
    if not others:
        return ()
    return (
        Note(
            "info",
            f"{len(others)} other files are beside those of the samples: {name_some(others)}.",
            "They were left out.",
        ),
    )


def _ending(path: str) -> str:
    name = PurePosixPath(path).name.lower().removesuffix(".gz")
    return name.rpartition(".")[2]


def _is_beside(path: str) -> bool:
    name = path.lower().removesuffix(".gz")
    folders = PurePosixPath(name).parts[:-1]
    return name.endswith((*_BESIDE, *_BESIDE_NAMES)) or any(
        folder in _BESIDE_FOLDERS or folder.endswith((".stat", "_stargenome", "_starpass1"))
        for folder in folders
    )


def _by_gene_where_both(files: Sequence[ProgramFile]) -> list[ProgramFile]:
    """Select the files of genes where a program has left one of transcripts beside each."""
    by_gene = [file for file in files if _is_of_genes(file.path)]
    rest = [file for file in files if not _is_of_genes(file.path)]
    if by_gene and len(by_gene) == len(rest) and all(_is_of_transcripts(f.path) for f in rest):
        return by_gene
    return list(files)


def _is_of_genes(path: str) -> bool:
    return "genes.results" in path.lower() or "quant.genes.sf" in path.lower()


def _is_of_transcripts(path: str) -> bool:
    return "isoforms.results" in path.lower() or "quant.sf" in path.lower()


def _check_alike(files: Sequence[ProgramFile], hashes: Mapping[str, str]) -> None:
    """Refuse files of several programs, and one sample given twice."""
    if not files:
        raise InputFileError("there are no files of samples, only a table of transcripts.")
    programs = Counter(file.program.name for file in files)
    if len(programs) > 1:
        listed = "; ".join(
            f"{n} of {name} ({name_some((f.path for f in files if f.program.name == name), 3)})"
            for name, n in programs.most_common()
        )
        raise InputFileError(
            f"the files were written by several programs: {listed}. Their values cannot be "
            f"compared: give the files of one program."
        )
    first: dict[str, str] = {}
    for file in files:
        values = next(iter(file.quantities.values()))
        digest = hashlib.sha256(values.tobytes() + "\n".join(file.ids).encode()).hexdigest()
        for key in (hashes[file.path], digest):
            if first.setdefault(key, file.path) != file.path and values.any():
                raise InputFileError(
                    f"{first[key]!r} and {file.path!r} hold the same values: the same sample is "
                    f"given twice. Remove one of them."
                )


def _join(
    files: Sequence[ProgramFile],
    names: Sequence[str],
    table: TranscriptTable | None,
    options: ReadingOptions,
    notes: Sequence[Note],
) -> RawTable:
    program = files[0].program
    found = [*notes, _describe(files)]
    choices: list[Choice] = []
    if program is STAR:
        chosen = options.quantity if options.quantity in STRANDS else options.strand
        column, note = choose_strand(files, cast("Strand", chosen))
        found.append(note)
        choices.append(Choice("strand", column, STRANDS))
    else:
        wanted = options.quantity
        if program is GDC and options.strand != "auto":
            wanted = wanted or _GDC_STRANDS[options.strand]
        column, offered = choose_column(files, wanted)
        if len(offered) > 1:
            choices.append(Choice("quantity", column, offered))
            others = name_some((name for name in offered if name != column), 10)
            found.append(
                Note(
                    "info",
                    f"{program.name} gives {column!r}, and also {others}.",
                    f"{column!r} was read.",
                    ""
                    if options.quantity
                    else "To read another: --quantity (Quantity, on the Upload page).",
                )
            )
    values = [file.quantities[column] for file in files]
    if column.lower().startswith("fpkm"):
        values = [each * (1e6 / each.sum()) if each.any() else each for each in values]
        found.append(Note("info", "The values are FPKM.", "They were converted to TPM."))
    ids, joined, more = rows_by_gene(files, values, table)
    cells = pd.concat([pd.Series(ids, dtype=object), pd.DataFrame(joined)], axis=1)
    n_tallies = max(file.n_tallies for file in files)
    if n_tallies:
        of = "each file" if len(files) > 1 else "the file"
        words = counted(n_tallies, f"row of {of} counts", f"rows of {of} count")
        words += " reads outside genes."
        found.append(Note("info", words, they_were(n_tallies, "left out")))
    return RawTable(
        (program.gene, *names),
        cells.set_axis(range(len(names) + 1), axis=1),
        program.name,
        notes=(*found, *more),
        choices=tuple(choices),
        stated_unit=_unit_of(program, column),
        sample_of_file=list(names) == [""],
    )


def _unit_of(program: Program, column: str) -> Unit | None:
    """Return the unit that a column is known to be in."""
    if program is PLAIN:
        return None
    return "tpm" if "tpm" in column.lower() or "fpkm" in column.lower() else "counts"


def _describe(files: Sequence[ProgramFile]) -> Note:
    program = files[0].program.name
    if len(files) == 1:
        return Note(
            "info",
            f"The file holds one sample, as {program} writes it."
            if files[0].program is not PLAIN
            else "The file holds genes and values of one sample, without a sample name.",
            "The sample is named after the file.",
        )
    return Note(
        "info",
        f"{len(files)} files of one sample each, as {program} writes them."
        if files[0].program is not PLAIN
        else f"{len(files)} files of genes and values, of one sample each.",
        "They were joined by gene; samples are named after their files.",
    )
