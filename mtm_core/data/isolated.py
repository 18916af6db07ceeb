"""Read users' tables in a process of its own, which a damaged file may hang, crash or bloat.

HDF5 follows addresses that stand in the file: among files of which a few bytes were changed at
random, some never come to an end inside the library, where Python cannot stop it. Text comes to an
end, but 2 MB of gzip may hold 2 GB of it. A server reads what others send it here; text of less
than 1 MB, which takes less time than to start a process, is read in place.

The process gets the bytes on its standard input and answers with arrays, never a pickle.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import cattrs
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from mtm_core.data.raw_table import MAX_BYTES, RawTable
from mtm_core.data.reading_options import AS_IT_LIES, ReadingOptions
from mtm_core.data.report import Choice, Note
from mtm_core.data.tables import BINARY_MAGICS, read_table
from mtm_core.errors import InputFileError

SECONDS = 120
"""A workbook of 10 million cells takes about a minute."""
_POLL_SECONDS = 0.2
_MEMORY_FACTOR = 2
_MEMORY_BASE = 2 * 1024**3
"""Address space of the process: what Python and its libraries map, and copies of the table."""
_ENDS_IN_WORDS = 3
"""Exit status of a process that answers with the text of an :class:`InputFileError`."""
MAX_CELLS = 50_000_000
"""Of a table that a server takes up: 2,500 samples of 20,000 genes, 0.4 GB and copies of it."""
MAX_WORDS = 10_000_000
"""Of cells that hold no number: each is looked at again, in some 4 microseconds."""
MAX_NAMES = 500_000
"""Of rows or columns: each is looked up among gene ids, in some 20 microseconds."""
_TEXT_IN_PLACE = 1_000_000
_FRACTIONS, _WHOLE_NUMBERS, _TEXT, _OTHER = range(4)
_KINDS = {"float64": _FRACTIONS, "int64": _WHOLE_NUMBERS, "object": _TEXT}
"""Kinds of columns by their type; text is what :class:`RawTable` leaves as objects."""
_NEXT_STEP = "Make the file again, save the table as csv, or keep only the model's genes."


def read_isolated(
    data: bytes,
    max_bytes: int = MAX_BYTES,
    options: ReadingOptions = AS_IT_LIES,
    *,
    seconds: float = SECONDS,
    check: Callable[[], None] | None = None,
) -> RawTable:
    """Read as :func:`mtm_core.data.tables.read_table`, all but short text in its own process.

    Parameters
    ----------
    seconds
        The most that it may take.
    check
        Called now and then meanwhile; what it raises ends the process, and goes on from here.

    Raises
    ------
    InputFileError
        As :func:`mtm_core.data.tables.read_table`; and if the process crashes, asks for too much
        memory, or takes longer than ``seconds``, or the table has more than ``MAX_CELLS`` cells,
        ``MAX_WORDS`` of text, or ``MAX_NAMES`` rows or columns.
    """
    if _is_short_text(data):
        return read_table(data, max_bytes, options)
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(max_bytes), str(int(seconds) + 1), options.to_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    with process, ThreadPoolExecutor(1) as threads:
        answering = threads.submit(process.communicate, data)
        try:
            _wait(answering, seconds, check)
        except BaseException:
            process.kill()
            raise
        answer, _ = answering.result()
    if process.returncode == _ENDS_IN_WORDS:
        raise InputFileError(answer.decode())
    if process.returncode != 0:
        raise InputFileError(
            f"the file stopped the program that read it (exit status {process.returncode}): it is"
            f" damaged. {_NEXT_STEP}"
        )
    return _unpack(answer)


def _wait(
    answering: Future[tuple[bytes, bytes]], seconds: float, check: Callable[[], None] | None
) -> None:
    deadline = time.monotonic() + seconds
    while not wait([answering], timeout=_POLL_SECONDS).done:
        if time.monotonic() > deadline:
            raise InputFileError(
                f"reading the file took longer than {seconds:g} seconds and was stopped: it is"
                f" damaged or very large. {_NEXT_STEP}"
            )
        if check is not None:
            check()


def _is_short_text(data: bytes) -> bool:
    return len(data) <= _TEXT_IN_PLACE and not data.startswith((b"\x1f\x8b", *BINARY_MAGICS))


def _check_size(cells: pd.DataFrame) -> None:
    rows, columns = cells.shape
    if rows * columns > MAX_CELLS or max(rows, columns) > MAX_NAMES:
        raise InputFileError(
            f"the table has {rows:,} rows and {columns:,} columns. A server takes up at most"
            f" {MAX_CELLS:,} cells, and {MAX_NAMES:,} rows or columns. Split the samples over"
            " several files, keep only the model's genes, or use the command line: mtm predict"
            " (docs/scale.md)."
        )
    words = rows * len(cells.select_dtypes(object).columns)
    if words > MAX_WORDS:
        raise InputFileError(
            f"{words:,} cells of the table stand in columns that hold text: expected numbers. Leave"
            f" out what is no expression; a server takes up at most {MAX_WORDS:,}."
        )


def _pack(table: RawTable) -> bytes:
    """Give ``table`` as npz: a matrix of each kind of columns, as Arrow is slow on wide tables."""
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


def _unpack(packed: bytes) -> RawTable:
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
    return RawTable(
        tuple(about["header"]),
        cells[list(range(len(kinds)))],
        about["format"],
        about["delimiter"],
        tuple(Note(**note) for note in about["notes"]),
        tuple(cattrs.structure(choice, Choice) for choice in about["choices"]),
    )


def _stream(table: pa.Table) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return np.frombuffer(stream.getbuffer(), dtype=np.uint8)


def _read_stream(stream: NDArray[np.uint8]) -> pd.DataFrame:
    with pa.ipc.open_stream(stream.tobytes()) as reader:
        return reader.read_all().to_pandas()


def _limit(max_bytes: int, seconds: int) -> None:
    """Bound this process, also for when nobody is left to stop it."""
    if sys.platform == "win32":  # has no such limits; there the time-out alone holds
        return
    import resource

    memory = _MEMORY_BASE + _MEMORY_FACTOR * max_bytes
    for limit, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(limit)
        resource.setrlimit(limit, (value if most < 0 else min(value, most), most))
    if sys.platform == "linux":  # where memory runs out, this goes, not the server
        with suppress(OSError):  # a /proc that cannot be written
            Path("/proc/self/oom_score_adj").write_text("1000")


def _main() -> int:
    max_bytes, seconds = map(int, sys.argv[1:3])
    options = ReadingOptions.from_json(sys.argv[3])
    _limit(max_bytes, seconds)
    try:
        table = read_table(sys.stdin.buffer.read(), max_bytes, options)
        _check_size(table.cells)
        answer, status = _pack(table), 0
    except MemoryError:
        words = (
            "the file asks for more memory than it may have: it is damaged or very large."
            f" {_NEXT_STEP}"
        )
        answer, status = words.encode(), _ENDS_IN_WORDS
    except InputFileError as error:
        answer, status = str(error).encode(), _ENDS_IN_WORDS
    sys.stdout.buffer.write(answer)
    return status


if __name__ == "__main__":
    sys.exit(_main())
