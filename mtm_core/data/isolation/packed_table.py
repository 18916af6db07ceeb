"""A table as bytes, to be handed from one process to another: arrays, never a pickle."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict

import cattrs
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from mtm_core.data.files.raw_table import RawTable
from mtm_core.data.notes import Choice, FileRead, Note
from mtm_core.data.units import UNITS

_FRACTIONS, _WHOLE_NUMBERS, _TEXT, _OTHER = range(4)
_KINDS = {"float64": _FRACTIONS, "int64": _WHOLE_NUMBERS, "object": _TEXT}
"""Kinds of columns by their type; text is what :class:`RawTable` leaves as objects."""
_GARBLED = (
    *(pa.ArrowException, zipfile.BadZipFile, KeyError, IndexError),
    *(ValueError, TypeError, AttributeError, OSError, EOFError),
)


def pack(table: RawTable) -> bytes:
    """Get ``table`` as npz: a matrix of each kind of columns, as Arrow is slow on wide tables."""
    cells = table.cells
    kinds = np.array([_KINDS.get(str(dtype), _OTHER) for dtype in cells.dtypes], dtype=np.int8)
    parts = {
        kind: cells.loc[:, kinds == kind] for kind in (_FRACTIONS, _WHOLE_NUMBERS, _TEXT, _OTHER)
    }
    text = pa.array(parts[_TEXT].to_numpy(object).ravel(), pa.large_string(), from_pandas=True)
    about = {
        "header": table.header,
        "format": table.format,
        "delimiter": table.delimiter,
        "notes": [asdict(note) for note in table.notes],
        "choices": [asdict(choice) for choice in table.choices],
        "stated_unit": table.stated_unit,
        "files": [asdict(file) for file in table.files],
        "sample_of_file": table.sample_of_file,
    }
    packed = io.BytesIO()
    np.savez(
        packed,
        allow_pickle=False,
        about=np.array(json.dumps(about)),
        kinds=kinds,
        fractions=parts[_FRACTIONS].to_numpy(np.float64),
        whole_numbers=parts[_WHOLE_NUMBERS].to_numpy(np.int64),
        text=_stream(pa.table({"text": text})),
        other=_stream(
            pa.Table.from_pandas(parts[_OTHER].rename(columns=str), preserve_index=False)
        ),
    )
    return packed.getvalue()


def unpack(packed: bytes | bytearray) -> RawTable:
    """Read what :func:`pack` wrote, and trust nothing of it.

    Raises
    ------
    ValueError
        If it is none of that, or larger inside.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if any(member.compress_type for member in archive.infolist()):
                raise ValueError("compressed")
        return _unpack(packed)
    except _GARBLED as error:
        raise ValueError(f"no table: {error}") from error


def _unpack(packed: bytes | bytearray) -> RawTable:
    with np.load(io.BytesIO(packed), allow_pickle=False) as parts:
        about = json.loads(str(parts["about"]))
        kinds = parts["kinds"]
        columns = {kind: np.flatnonzero(kinds == kind) for kind in range(_OTHER + 1)}
        fractions = pd.DataFrame(parts["fractions"], columns=columns[_FRACTIONS])
        text = _read_stream(parts["text"])["text"].to_numpy(dtype=object)
        text[pd.isna(text)] = np.nan
        blocks = [
            fractions,
            pd.DataFrame(parts["whole_numbers"], columns=columns[_WHOLE_NUMBERS]),
            pd.DataFrame(text.reshape(len(fractions), -1), columns=columns[_TEXT]),
            _read_stream(parts["other"]).set_axis(columns[_OTHER], axis=1),
        ]
    cells = pd.concat([block for block in blocks if block.shape[1]], axis=1)
    stated = about["stated_unit"]
    if stated is not None and stated not in UNITS:
        raise ValueError(f"no unit: {stated!r}")
    return RawTable(
        tuple(about["header"]),
        cells[list(range(len(kinds)))],
        about["format"],
        about["delimiter"],
        tuple(Note(**note) for note in about["notes"]),
        tuple(cattrs.structure(choice, Choice) for choice in about["choices"]),
        stated,
        tuple(cattrs.structure(file, FileRead) for file in about["files"]),
        bool(about["sample_of_file"]),
    )


def _stream(table: pa.Table) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return np.frombuffer(stream.getbuffer(), dtype=np.uint8)


def _read_stream(stream: NDArray[np.uint8]) -> pd.DataFrame:
    with pa.ipc.open_stream(stream.tobytes()) as reader:
        return reader.read_all().to_pandas()
