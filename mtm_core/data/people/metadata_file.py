"""A file of sample metadata, read, checked, or made to be filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mtm_core.data.files.raw_table import MAX_BYTES, RawTable, is_text
from mtm_core.data.files.reading_options import AS_WRITTEN
from mtm_core.data.formats.tables import Source, name_of, read_bytes, read_table
from mtm_core.data.isolation.isolated import read_isolated
from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.notes import Note, name_some
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_columns import MetadataColumn, describe_spaces
from mtm_core.data.people.metadata_options import AS_FOUND, MetadataOptions
from mtm_core.data.people.metadata_shape import check_names, check_shape, sample_column
from mtm_core.data.people.phenotypes import AGE_NAMES, SEX_NAMES, plain_name
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.escaping import out_of_cell

_TEMPLATE = ("age", "sex", "group")


def read_metadata(
    source: Source,
    name: str | None = None,
    *,
    samples: Sequence[str],
    max_bytes: int = MAX_BYTES,
    isolated: bool = False,
    turn: Turn | None = None,
    options: MetadataOptions = AS_FOUND,
) -> SampleMetadata:
    """Read a table of metadata, samples in rows.

    Cells stay as they are written: ``001``, ``TRUE`` and ``1e5`` are names as good as others.

    Parameters
    ----------
    source
        csv, tsv or txt (also gzipped), xlsx or parquet; recognised by content.
    name
        Name of the file for messages; by default its own.
    samples
        Samples of the expression table: the column that has most of them names the samples.
    max_bytes
        Cap on the decompressed size.
    isolated
        Read in a process of its own (:mod:`mtm_core.data.isolation.isolated`), as a server must: a
        file may hang, crash or bloat what reads it.
    turn
        Owner of the file, and what may end that process.
    options
        The user's choices about the file.

    Raises
    ------
    InputFileError
        If the file cannot be read as a table, lies the other way, names a sample twice or a column
        twice, or is an expression table.
    SelectionError
        If a column of ``options`` does not exist.

    Examples
    --------
    >>> from mtm_core import SAMPLES, read_metadata
    >>> known = read_metadata(SAMPLES / "metadata.tsv", samples=["SIM-001", "SIM-002"])
    >>> known.values.loc["SIM-001", "group"]
    'case'
    """
    name, raw = name or name_of(source, "metadata"), None
    try:
        data = read_bytes(source, max_bytes)
        as_text = replace(AS_WRITTEN, sheet=options.sheet)
        raw = (
            read_isolated(data, max_bytes, as_text, turn=turn)
            if isolated
            else read_table(data, max_bytes, as_text)
        )
        check_shape(raw, samples)
        label = sample_column(raw, samples)
        expected = set(samples)
        index = pd.Index(
            [_in_table(own, expected) for own in raw.labels(label)], name="sample", dtype=object
        )
        check_names(index, raw, label)
    except InputFileError as error:
        raise InputFileError(f"{name}: {error}{_other_sheets(raw)}") from error
    notes = list(raw.notes)
    if label:
        notes.append(Note("info", f"Column {raw.name_of(label)!r} names the samples.", ""))
    values: dict[str, pd.Series] = {}
    for i in range(len(raw.header)):
        if i != label:
            text = pd.Series(raw.labels(i), index, dtype=object)
            values[raw.name_of(i)] = text.mask(text == "")
            if is_text(raw.cells[i]):
                notes += describe_spaces(raw.name_of(i), raw.cells[i].dropna().tolist())
    read = SampleMetadata(
        file=name,
        sha256=hashlib.sha256(data).hexdigest(),
        samples=tuple(samples),
        values=pd.DataFrame(values, index=index, dtype=object),
        sheet=options.sheet,
        reading_notes=tuple(notes),
    )
    known = replace(
        read,
        age_column=_named(read.columns, AGE_NAMES),
        sex_column=_named(read.columns, SEX_NAMES),
    )
    return known.read_by(options)


def _in_table(name: str, samples: Collection[str]) -> str:
    """Get the sample that a file of ours, or a spreadsheet, has written with a mark before it."""
    bare = out_of_cell(name)
    return bare if bare in samples and name not in samples else name


def check_names_of_metadata(
    path: Path, options: MetadataOptions, columns: Sequence[str] = ()
) -> Mapping[str, tuple[str, ...]]:
    """Refuse columns that a file of metadata does not have, before its samples are known.

    Parameters
    ----------
    path, options
        As in :func:`read_metadata`.
    columns
        Names that must be there, beside those of ``options``.

    Returns
    -------
    Mapping
        The different cells of each column, as written.

    Raises
    ------
    InputFileError
        If the file cannot be read as a table.
    SelectionError
        If a column is not there.
    """
    name = name_of(path, "metadata")
    try:
        raw = read_table(read_bytes(path), MAX_BYTES, replace(AS_WRITTEN, sheet=options.sheet))
    except InputFileError as error:
        raise InputFileError(f"{name}: {error}") from error
    known = {raw.name_of(i): tuple(dict.fromkeys(raw.labels(i))) for i in range(len(raw.header))}
    roles = [column for column in (options.age_column, options.sex_column) if column]
    missing = [column for column in (*roles, *columns) if column not in known]
    if missing:
        raise SelectionError.unknown("metadata column", missing, list(known))
    return known


def _other_sheets(raw: RawTable | None) -> str:
    """Name the sheets of a workbook of which the one that was read is no metadata."""
    for choice in () if raw is None else raw.choices:
        if choice.option == "sheet":
            return (
                f" Sheet {choice.taken!r} was read, of {name_some(choice.offered, 8)}. Choose"
                " another with --metadata-sheet, or save it as a separate file."
            )
    return ""


def metadata_template(samples: Sequence[str]) -> pd.DataFrame:
    """Return an empty table to fill in: ``sample`` as in the expression table, age, sex, group."""
    return pd.DataFrame({"sample": list(samples), **dict.fromkeys(_TEMPLATE, "")})


def _named(columns: Sequence[MetadataColumn], names: frozenset[str]) -> str | None:
    return next((c.name for c in columns if plain_name(c.name) in names), None)
