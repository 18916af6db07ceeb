"""Metadata of the samples that a client sent, as a file or as JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.notes import Note
from mtm_core.data.people.metadata import SampleMetadata
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.errors import InputFileError, SelectionError
from mtm_core.strict_json import read_strict_json

MOST_JSON_BYTES = 4 * 2**20
_EXPECTED = (
    'Expected an object by sample, {"P1": {"age": 61, "sex": "female"}}, or a list of rows,'
    ' [{"sample": "P1", "age": 61, "sex": "female"}].'
)


def read_people(
    data: bytes,
    name: str,
    *,
    is_json: bool,
    samples: Sequence[str],
    options: MetadataOptions,
    owner: str,
    check: Callable[[], None],
) -> SampleMetadata:
    """Read metadata in the isolated process; JSON becomes a table first.

    Raises
    ------
    InputFileError, SelectionError
        As :func:`mtm_core.data.people.metadata_file.read_metadata`; if no sample is named.
    """
    if is_json:
        data, name = table_of_json(data), "metadata.csv"
    known = read_metadata(
        BytesIO(data),
        name,
        samples=samples,
        isolated=True,
        turn=Turn(owner, check),
        options=options,
    )
    if not known.match.matched:
        raise SelectionError(
            f"{name} has no sample of the expression table. Use the same sample names in both."
        )
    return known


def describe_people(known: SampleMetadata, covariates: Sequence[str], n_read: int) -> list[Note]:
    """Say how many samples are predicted with age and sex."""
    n, notes = len(known.samples), list(known.notes)
    if not covariates:
        return [
            *notes,
            Note("info", "This model uses expression alone: age and sex change nothing.", ""),
        ]
    read = " and ".join(covariates)
    found = f"{n_read} samples are predicted with {read}, {n - n_read} without."
    return [*notes, Note("info", found, "")]


def table_of_json(data: bytes) -> bytes:
    """Return JSON metadata as CSV.

    Raises
    ------
    InputFileError
        If it is too large, no JSON, or not rows of values.
    """
    if len(data) > MOST_JSON_BYTES:
        raise InputFileError(
            f"the metadata have {len(data) / 1e6:.1f} MB of JSON, of at most"
            f" {MOST_JSON_BYTES / 1e6:.0f}. Send them as a file, such as CSV."
        )
    try:
        rows = _rows(read_strict_json(b'{"rows":' + data + b"}")["rows"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputFileError(
            f"the metadata cannot be read as JSON: {error}. {_EXPECTED}"
        ) from error
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _rows(given: Any) -> list[dict[str, str]]:  # noqa: ANN401 - as it was sent
    if isinstance(given, dict):
        if any("sample" in row for row in given.values()):
            raise ValueError("rows by sample have a field 'sample' too")
        given = [{"sample": name, **row} for name, row in given.items()]
    if not given:
        raise ValueError("it has no rows")
    return [{str(name): _cell(value) for name, value in row.items()} for row in given]


def _cell(value: object) -> str:
    if isinstance(value, dict | list):
        raise TypeError("a value is not a number, a text, true, false or null")
    return "" if value is None else str(value)
