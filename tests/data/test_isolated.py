"""Tables read in a process of their own: the same as in this one, and nothing that hangs."""

from __future__ import annotations

import gzip
import io
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from mtm_core.data.expression import read_expression
from mtm_core.data.isolated import read_isolated
from mtm_core.data.metadata import read_metadata
from mtm_core.data.raw_table import RawTable
from mtm_core.data.tables import read_table
from mtm_core.errors import InputFileError

BAD_FILES = Path(__file__).parent / "bad_files"


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
        }
    )


def equal(actual: RawTable, expected: RawTable) -> None:
    pd.testing.assert_frame_equal(actual.cells, expected.cells, check_exact=True)
    for field in ("header", "format", "delimiter", "notes"):
        assert getattr(actual, field) == getattr(expected, field)


@pytest.mark.parametrize("kind", ["parquet", "xlsx", "h5ad", "h5ad.gz", "csv", "csv.gz"])
def test_the_table_is_the_one_that_is_read_in_place(mixed: pd.DataFrame, kind: str) -> None:
    file = io.BytesIO()
    if kind == "parquet":
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
    data = gzip.compress(data) if kind.endswith("gz") else data
    equal(read_isolated(data), read_table(data))


def test_a_file_that_never_ends_in_hdf5_is_stopped() -> None:
    """One of the files that came of changing some bytes of an h5ad at random."""
    data = gzip.decompress((BAD_FILES / "hangs.h5ad.gz").read_bytes())
    started = time.monotonic()
    with pytest.raises(InputFileError, match=r"longer than 3 seconds .* damaged .* as csv"):
        read_isolated(data, seconds=3)
    assert time.monotonic() - started < 20


def test_what_is_raised_while_it_reads_ends_the_process() -> None:
    data = gzip.decompress((BAD_FILES / "hangs.h5ad.gz").read_bytes())
    asked: list[float] = []

    def check() -> None:
        asked.append(time.monotonic())
        if len(asked) == 4:
            raise InterruptedError("cancelled")

    with pytest.raises(InterruptedError, match="cancelled"):
        read_isolated(data, check=check)  # comes back when the process has ended
    assert len(asked) == 4
    assert asked[-1] - asked[0] < time.monotonic() - asked[0] < 20


def test_an_error_comes_back_in_its_own_words() -> None:
    data = b"PAR1" + b"junk" * 50
    with pytest.raises(InputFileError) as here:
        read_table(data)
    with pytest.raises(InputFileError) as there:
        read_isolated(data)
    assert str(there.value) == str(here.value)
    with pytest.raises(InputFileError, match="is larger than"):
        read_isolated((BAD_FILES / "hangs.h5ad.gz").read_bytes(), max_bytes=1000)


def test_memory_that_the_process_may_not_have_is_refused() -> None:
    """A column of text of one billion bytes in a file of some thousand."""
    pyarrow = pytest.importorskip("pyarrow")
    file = io.BytesIO()
    word = "x" * 2_000_000
    table = pyarrow.table({"gene": pyarrow.array([word]).dictionary_encode().take([0] * 4000)})
    pyarrow.parquet.write_table(table, file, compression="zstd")
    assert len(file.getvalue()) < 100_000
    with pytest.raises(InputFileError, match="more memory than it may have"):
        read_isolated(file.getvalue(), max_bytes=10_000_000)


def test_expression_and_metadata_are_read_so_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    values = pd.DataFrame({"TP53": [1, 2], "MLH1": [3, 4], "BRCA1": [5, 6]}, index=["P1", "P2"])
    file = io.BytesIO()
    values.to_parquet(file)
    data = file.getvalue()
    here = read_expression(io.BytesIO(data), "a.parquet")
    there = read_expression(io.BytesIO(data), "a.parquet", isolated=True)
    pd.testing.assert_frame_equal(there.values, here.values)
    assert there.report == here.report

    monkeypatch.setattr(sys, "executable", "/bin/false")  # a process that ends with status 1
    with pytest.raises(InputFileError, match=r"^a\.parquet: .* stopped the program .*status 1"):
        read_expression(io.BytesIO(data), "a.parquet", isolated=True)
    with pytest.raises(InputFileError, match=r"^m\.parquet: .* stopped the program .*status 1"):
        read_metadata(io.BytesIO(data), "m.parquet", samples=["P1"], isolated=True)
