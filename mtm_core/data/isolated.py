"""Read users' binary tables in a process of its own, which a damaged file may hang or crash.

HDF5 follows addresses that stand in the file: among files of which a few bytes were changed at
random, some never come to an end inside the library, where Python cannot stop it. A server reads
what others send it here; text is read in place.

The process gets the bytes on its standard input and answers with arrays, never a pickle.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mtm_core.data.raw_table import MAX_BYTES, RawTable
from mtm_core.data.report import Note
from mtm_core.data.tables import BINARY_MAGICS, read_table
from mtm_core.errors import InputFileError

SECONDS = 120
"""A workbook of 10 million cells takes about a minute."""
_POLL_SECONDS = 0.2
_MEMORY_FACTOR = 4
_MEMORY_BASE = 2 * 1024**3
"""Address space of the process: what Python and its libraries map, and copies of the table."""
_ENDS_IN_WORDS = 3
"""Exit status of a process that answers with the text of an :class:`InputFileError`."""
_NEXT_STEP = "Make the file again, or save the table as csv."


def read_isolated(
    data: bytes,
    max_bytes: int = MAX_BYTES,
    *,
    seconds: float = SECONDS,
    check: Callable[[], None] | None = None,
) -> RawTable:
    """Read as :func:`mtm_core.data.tables.read_table`, binary formats in a process of their own.

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
        memory, or takes longer than ``seconds``.
    """
    if not _is_binary(data):
        return read_table(data, max_bytes)
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(max_bytes), str(int(seconds) + 1)],
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


def _is_binary(data: bytes) -> bool:
    start = data[:4096]
    if start.startswith(b"\x1f\x8b"):
        try:
            start = zlib.decompressobj(wbits=31).decompress(start, 16)
        except zlib.error:
            return False  # the error that names it comes from reading
    return start.startswith(BINARY_MAGICS)


def _pack(table: RawTable) -> bytes:
    """Give ``table`` as npz: its fractions as one matrix, as Arrow is slow on wide tables."""
    cells = table.cells
    is_fraction = (cells.dtypes == np.float64).to_numpy()
    rest = pa.Table.from_pandas(
        cells.loc[:, ~is_fraction].rename(columns=str), preserve_index=False
    )
    arrow = io.BytesIO()
    with pa.ipc.new_stream(arrow, rest.schema) as writer:
        writer.write_table(rest)
    about = {
        "header": table.header,
        "format": table.format,
        "delimiter": table.delimiter,
        "notes": [asdict(note) for note in table.notes],
    }
    packed = io.BytesIO()
    np.savez(
        packed,
        allow_pickle=False,
        about=np.array(json.dumps(about)),
        is_fraction=is_fraction,
        fractions=cells.loc[:, is_fraction].to_numpy(dtype=np.float64),
        rest=np.frombuffer(arrow.getbuffer(), dtype=np.uint8),
    )
    return packed.getvalue()


def _unpack(packed: bytes) -> RawTable:
    with np.load(io.BytesIO(packed), allow_pickle=False) as parts:
        about = json.loads(str(parts["about"]))
        is_fraction, fractions = parts["is_fraction"], parts["fractions"]
        with pa.ipc.open_stream(parts["rest"].tobytes()) as reader:
            rest = reader.read_all().to_pandas()
    columns = np.arange(len(is_fraction))
    cells = pd.concat(
        [
            pd.DataFrame(fractions, columns=columns[is_fraction]),
            rest.set_axis(columns[~is_fraction], axis=1),
        ],
        axis=1,
    )[list(columns)]
    return RawTable(
        tuple(about["header"]),
        cells,
        about["format"],
        about["delimiter"],
        tuple(Note(**note) for note in about["notes"]),
    )


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


def _main() -> int:
    max_bytes, seconds = map(int, sys.argv[1:])
    _limit(max_bytes, seconds)
    try:
        answer, status = _pack(read_table(sys.stdin.buffer.read(), max_bytes)), 0
    except MemoryError:
        words = f"the file asks for more memory than it may have: it is damaged. {_NEXT_STEP}"
        answer, status = words.encode(), _ENDS_IN_WORDS
    except InputFileError as error:
        answer, status = str(error).encode(), _ENDS_IN_WORDS
    sys.stdout.buffer.write(answer)
    return status


if __name__ == "__main__":
    sys.exit(_main())
