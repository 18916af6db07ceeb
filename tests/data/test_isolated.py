"""Tables read in a process of its own: the same as in this one, and nothing that hangs."""

from __future__ import annotations

import gzip
import io
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.files.raw_table import RawTable
from mtm_core.data.formats.tables import read_table
from mtm_core.data.isolation import isolated
from mtm_core.data.isolation.isolated import read_isolated, reader_server
from mtm_core.data.isolation.reader_server import ReaderServer
from mtm_core.data.isolation.reading_limits import SECONDS, memory_to_begin_with, processor_seconds
from mtm_core.data.isolation.reading_turns import Turn
from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import InputFileError

BAD_FILES = Path(__file__).parent / "bad_files"
HANGS = gzip.decompress((BAD_FILES / "hangs.h5ad.gz").read_bytes())
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="one process divides on Linux alone")


@pytest.fixture(scope="module", params=["divides", "starts anew"])
def server(request: pytest.FixtureRequest) -> Iterator[ReaderServer]:
    """Both ways to have a process: a fork of one that is ready, and a new one for each file."""
    if request.param == "divides" and sys.platform != "linux":
        pytest.skip("one process divides on Linux alone")
    server = ReaderServer(divides=request.param == "divides")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mixed() -> pd.DataFrame:
    """Text, blanks, whole numbers, whole numbers with a blank, fractions, and no order of them."""
    return pd.DataFrame(
        {
            "gene": ["TP53", "BRCA1", None],
            "length": np.array([1, 2, 2**40], dtype=np.int64),
            "s1": [0.1, np.nan, 1 / 3],
            "note": ["", "é", "x"],
            "s2": [1.0, 2.0, 3.0],
            "flag": [True, False, True],
            "short": np.array([1, 2, 3], dtype=np.float32),
        }
    )


def equal(actual: RawTable, expected: RawTable) -> None:
    pd.testing.assert_frame_equal(actual.cells, expected.cells, check_exact=True)
    for field in ("header", "format", "delimiter", "notes"):
        assert getattr(actual, field) == getattr(expected, field)


def file_of(mixed: pd.DataFrame, kind: str) -> bytes:
    file = io.BytesIO()
    if kind.startswith("parquet"):
        mixed.to_parquet(file)
    elif kind == "xlsx":
        with pd.ExcelWriter(file, engine="openpyxl") as book:
            mixed.to_excel(book, index=False)
            mixed.to_excel(book, sheet_name="twice")
    elif kind.startswith("h5ad"):
        with h5py.File(file, "w") as h5:
            h5["X"] = np.arange(6.0).reshape(2, 3) / 7
            for axis, names in (("obs", ["P1", "P2"]), ("var", ["TP53", "TP53", "MLH1"])):
                h5[f"{axis}/name"] = names
                h5[axis].attrs["_index"] = "name"
    else:
        mixed.to_csv(file)
    data = file.getvalue()
    if kind.endswith("utf16"):
        data = data.decode().encode("utf-16")
    return gzip.compress(data) if kind.endswith("gz") else data


@pytest.mark.parametrize(
    "kind", ["parquet", "parquet.gz", "xlsx", "h5ad", "h5ad.gz", "csv", "csv.gz", "csv.utf16"]
)
def test_the_table_is_the_one_that_is_read_in_place(mixed: pd.DataFrame, kind: str) -> None:
    data = file_of(mixed, kind)
    equal(read_isolated(data), read_table(data))


def test_so_it_is_either_way_to_have_a_process(mixed: pd.DataFrame, server: ReaderServer) -> None:
    data = file_of(mixed, "parquet")
    equal(read_isolated(data, server=server), read_table(data))
    with pytest.raises(InputFileError, match="parquet file is damaged"):
        read_isolated(b"PAR1" + b"junk" * 50, server=server)


def test_a_file_that_never_ends_in_hdf5_is_stopped(server: ReaderServer) -> None:
    """One of the files that came of changing some bytes of an h5ad at random."""
    started = time.monotonic()
    with pytest.raises(InputFileError, match=r"longer than \d+ seconds .* damaged .* as csv"):
        read_isolated(HANGS, seconds=3, server=server)
    assert time.monotonic() - started < 20


def test_an_exception_while_reading_ends_the_process(server: ReaderServer) -> None:
    asked: list[float] = []

    def check() -> None:
        asked.append(time.monotonic())
        if asked[-1] - asked[0] > 1:
            raise InterruptedError("cancelled")

    with pytest.raises(InterruptedError, match="cancelled"):
        read_isolated(HANGS, turn=Turn(check=check), server=server)
    assert asked[-1] - asked[0] < time.monotonic() - asked[0] < 20
    assert not children_of(os.getpid(), "once")
    if server.process_id:
        assert not children_of(server.process_id)


def children_of(parent: int, word: str = "") -> list[int]:
    """Return the processes that ``parent`` has started and that are no zombies."""
    if sys.platform != "linux":
        return []
    children = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(ppid) == parent and state != "Z" and word in command:
            children.append(int(folder.name))
    return children


def test_an_error_comes_back_in_its_own_words() -> None:
    data = b"PAR1" + b"junk" * 50
    with pytest.raises(InputFileError) as here:
        read_table(data)
    with pytest.raises(InputFileError) as there:
        read_isolated(data)
    assert str(there.value) == str(here.value)
    with pytest.raises(InputFileError, match="is larger than"):
        read_isolated((BAD_FILES / "hangs.h5ad.gz").read_bytes(), max_bytes=1000)


def column_of_long_words() -> bytes:
    """Eight billion bytes of text, once it is laid out, in a file of some thousand."""
    pyarrow = pytest.importorskip("pyarrow")
    file = io.BytesIO()
    table = pyarrow.table({"gene": pyarrow.array(["x" * 2_000_000]).dictionary_encode()})
    table = pyarrow.table({"gene": table["gene"].combine_chunks().take(pyarrow.array([0] * 4000))})
    pyarrow.parquet.write_table(table, file, compression="zstd")
    assert len(file.getvalue()) < 100_000
    return file.getvalue()


def test_memory_that_the_process_may_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "MOST_MEMORY", 500_000_000)
    with pytest.raises(InputFileError, match="more memory than it may have"):
        read_isolated(column_of_long_words())


def test_a_file_that_takes_more_than_its_size_suggests_gets_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = b"gene,P1\n" + b"".join(b"G%d,%d\n" % (i, i) for i in range(100_000))
    asked: list[int] = []

    def little(files: object) -> int:
        asked.append(1)
        return 1_000_000

    monkeypatch.setattr(isolated, "memory_to_begin_with", little)
    equal(read_isolated(data), read_table(data))
    assert asked == [1]


def test_expression_and_metadata_can_be_read_in_isolation(monkeypatch: pytest.MonkeyPatch) -> None:
    values = pd.DataFrame({"TP53": [1, 2], "MLH1": [3, 4], "BRCA1": [5, 6]}, index=["P1", "P2"])
    file = io.BytesIO()
    values.to_parquet(file)
    data = file.getvalue()
    here = read_expression(io.BytesIO(data), "a.parquet")
    there = read_expression(io.BytesIO(data), "a.parquet", isolated=True)
    pd.testing.assert_frame_equal(there.values, here.values)
    assert there.report == here.report

    none = ReaderServer()
    monkeypatch.setattr(isolated, "reader_server", lambda: none)
    monkeypatch.setattr(sys, "executable", "/bin/false")  # a process that ends with status 1
    for text in (data, b"gene,P1\nTP53,1\n"):  # short text too is read there alone
        with pytest.raises(InputFileError, match=r"^a\.x: .* cannot read files now.*status 1"):
            read_expression(io.BytesIO(text), "a.x", isolated=True)
        with pytest.raises(InputFileError, match=r"^m\.x: .* cannot read files now.*status 1"):
            read_metadata(io.BytesIO(text), "m.x", samples=["P1"], isolated=True)


def test_a_fault_of_the_reader_is_reported_by_number_and_logged_whole(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(isolated, "encode", lambda *_: [b"\0" * 8])  # no question
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(InputFileError, match=r"cannot be read \(fault [0-9a-f]{8}") as reported,
    ):
        read_isolated(b"gene,P1\nTP53,1\n")
    assert "Traceback" not in str(reported.value)
    assert "JSONDecodeError" in caplog.text


@on_linux
def test_a_crash_is_reported_by_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill() -> None:
        for child in children_of(reader_server().process_id):
            os.kill(child, signal.SIGSEGV)

    with pytest.raises(InputFileError, match=r"stopped the program .* status -11.* is damaged"):
        read_isolated(HANGS, turn=Turn(check=kill))


@on_linux
def test_a_killed_reading_process_is_restarted(mixed: pd.DataFrame) -> None:
    server = ReaderServer()
    data = file_of(mixed, "csv")
    equal(read_isolated(data, server=server), read_table(data))
    os.kill(server.process_id, signal.SIGKILL)
    equal(read_isolated(data, server=server), read_table(data))
    server.stop()


@on_linux
def test_the_reading_process_ends_with_the_server_even_if_that_is_killed() -> None:
    script = f"""
import gzip, os, pathlib, sys, threading, time
from mtm_core.data.isolation.isolated import read_isolated, reader_server
data = gzip.decompress(pathlib.Path({str(BAD_FILES / "hangs.h5ad.gz")!r}).read_bytes())
reader_server().start()
threading.Thread(target=read_isolated, args=(data,), daemon=True).start()
time.sleep(1)
print(reader_server().process_id, flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        readers = children_of(server)
        assert len(readers) == 1
        process.kill()
    folders = [Path(f"/proc/{pid}") for pid in (server, *readers)]
    until = time.monotonic() + 10
    while time.monotonic() < until and any(folder.exists() for folder in folders):
        time.sleep(0.1)
    assert not any(folder.exists() for folder in folders)


def test_gzip_is_given_memory_and_time_by_what_it_unpacks_to() -> None:
    text = b"gene,P1\n" + b"TP53,1\n" * 1_000_000
    packed = gzip.compress(text)
    assert len(packed) < 20_000
    silent = packed[:-4] + b"\0" * 4
    assert memory_to_begin_with([("", packed)]) > memory_to_begin_with([("", silent)])
    assert memory_to_begin_with([("", packed)]) >= 10 * len(text)
    assert processor_seconds([("", packed)]) > processor_seconds([("", silent)])
    lying = packed[:-4] + b"\xff" * 4
    assert memory_to_begin_with([("", lying)]) < 1_000_000_000
    assert processor_seconds([("", b"\x1f\x8b" + b"\xff" * 10**8)]) == SECONDS


def test_pandas_out_of_memory_error_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_little(*_: object, **__: object) -> None:
        raise pd.errors.ParserError("Error tokenizing data. C error: out of memory")

    monkeypatch.setattr(pd, "read_csv", too_little)
    with pytest.raises(MemoryError):
        read_table(b"gene,P1\nTP53,1\n")
