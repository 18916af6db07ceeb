"""Read any table a user may upload into plain cells, without yet asking what they mean.

The format is recognised by the file's first bytes, never by its name. Nothing here runs code from
the file, and nothing grows past a cap when it is decompressed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from mtm_core.data.files.archive import ZIP, Archive, NamedFile, is_workbook, unpack
from mtm_core.data.files.raw_table import MAX_BYTES, RawTable, too_large
from mtm_core.data.files.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.files.table_bytes import GZIP, checked_text, gunzip
from mtm_core.data.formats.binary_table import read_parquet
from mtm_core.data.formats.h5ad_table import read_h5ad
from mtm_core.data.formats.program_files import read_program_file
from mtm_core.data.formats.sample_files import join_files, named, one_sample
from mtm_core.data.formats.text_table import read_text
from mtm_core.data.formats.workbook import read_xlsx
from mtm_core.data.layout.long_table import lay_out
from mtm_core.data.layout.numbers import read_numbers
from mtm_core.data.layout.orientation import GenesInRows, find_layout
from mtm_core.data.notes import Note, name_some
from mtm_core.errors import ExpressionError, InputFileError


def _read_zip(data: bytes, max_bytes: int, options: ReadingOptions) -> RawTable:
    """Read a workbook, the one table of a zip, or its files of one sample each."""
    if is_workbook(data):
        return read_xlsx(data, max_bytes, options)
    archive = unpack(data, max_bytes)
    if len(archive.files) > 1 and options.contents != "expression":
        names = name_some(file.path for file in archive.files)
        raise InputFileError(
            f"the zip archive holds several files: {names}. Put only the table into it."
        )
    file = archive.files[0]
    if len(archive.files) > 1:
        tables = [] if archive.one_by_one else _tables_in(archive, max_bytes, options)
        if len(tables) != 1:
            return join_files(archive, max_bytes, options)
        file = tables[0]
    if file.data.startswith(ZIP) and not is_workbook(file.data):
        raise InputFileError("the zip archive holds another archive. Zip the files themselves.")
    if not file.data.strip():
        raise _empty(repr(file.path))
    table = read_table(file.data, max_bytes, options)
    table = named(table, file.path) if table.sample_of_file else table
    others = [other.path for other in archive.files if other is not file]
    note = Note(
        "info",
        "The zip archive holds one table.",
        f"{file.path!r} was read" + (f", and {name_some(others)} passed over." if others else "."),
    )
    return replace(table, format=table.format + ".zip", notes=(note, *table.notes))


def _tables_in(archive: Archive, max_bytes: int, options: ReadingOptions) -> list[NamedFile]:
    """Return the files of a zip, if they are few, that are tables of several samples.

    None where another is of one sample.
    """
    found = []
    for file in archive.files if len(archive.files) <= _MOST_TRIED else ():
        if not file.data.strip() or (file.data.startswith(ZIP) and not is_workbook(file.data)):
            continue
        try:
            table = read_table(file.data, max_bytes, options)
            layout = find_layout(table, None)
        except (InputFileError, ExpressionError):
            continue
        n_samples = len(table.header) if isinstance(layout, GenesInRows) else len(table.cells)
        if table.sample_of_file:
            return []
        if n_samples > 2:
            found.append(file)
    return found


_MOST_TRIED = 8
_BINARY_READERS: dict[bytes, Callable[[bytes, int, ReadingOptions], RawTable]] = {
    ZIP: _read_zip,
    b"PAR1": read_parquet,
    b"\x89HDF\r\n\x1a\n": read_h5ad,
}
Source = str | os.PathLike[str] | IO[bytes]
"""A file: where it is, or itself, open."""


def name_of(source: Source, otherwise: str) -> str:
    """Return a file's name for messages, ``otherwise`` where it has none."""
    if isinstance(source, str | os.PathLike):
        return Path(source).name
    return Path(str(getattr(source, "name", otherwise))).name


def read_bytes(source: Source, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a file whole.

    Raises
    ------
    InputFileError
        If it cannot be opened, is empty, or is larger than ``max_bytes``.
    """
    try:
        if isinstance(source, str | os.PathLike):
            with Path(source).open("rb") as file:
                data = file.read(max_bytes + 1)
        else:
            data = source.read(max_bytes + 1)
    except OSError as error:
        raise InputFileError(f"cannot open {source}: {error.strerror or error}") from error
    if len(data) > max_bytes:
        raise too_large("the file", max_bytes)
    if not data.strip():
        raise _empty("the file")
    return data


def read_table(
    data: bytes, max_bytes: int = MAX_BYTES, options: ReadingOptions = AS_IT_LIES
) -> RawTable:
    """Read the bytes of a file as a table, whatever of the known formats they are.

    ``options`` decides where a file can be read in more than one way.

    Raises
    ------
    InputFileError
        If they are none, damaged, or larger than ``max_bytes`` when decompressed.
    """
    gzipped = data.startswith(GZIP)
    if gzipped:
        data = gunzip(data, max_bytes)
        if not data.strip():
            raise _empty("the gzip file")
    for magic, read in _BINARY_READERS.items():
        if data.startswith(magic):
            table = read(data, max_bytes, options)
            cells, notes = read_numbers(table.header, table.cells, options)
            table = replace(table, cells=cells, notes=(*table.notes, *notes))
            break
    else:
        text = checked_text(data)
        program = read_program_file(text) if options.contents == "expression" else None
        table = read_text(text, options) if program is None else one_sample(program, options)
    if options.contents == "expression" and not (table.files or table.sample_of_file):
        table = lay_out(table, options)
    return replace(table, format=table.format + ".gz") if gzipped else table


def _empty(what: str) -> InputFileError:
    return InputFileError(f"{what} is empty. Expected a table of genes and samples.")
