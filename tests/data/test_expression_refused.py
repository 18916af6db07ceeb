"""Files that are no tables: each is refused with a reason."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import h5py
import pandas as pd
import pytest

from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import InputFileError, MTMError
from tests.data.user_tables import h5ad, parquet, read, sheet, text, xlsx


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"gene,s1,s2\n", "a header and no rows"),
        (b"gene,s1,s2\n,,\n", "a header and no rows"),
        (bytes(range(256)) * 20, "binary and not in a supported format"),
        (b"%PDF-1.7\n1 0 obj", "a PDF"),
        (b"\n<!DOCTYPE html><html><body>404 Not Found", "a web page"),
        (b"#1.3\n2\t2\t0\t0\nid\ta\tb\n", "a header and no rows"),
        (
            b"gene|s1|s2\nTP53|1|2\n",
            "not have the same number of columns when split by tabs, commas, semicolons or spaces",
        ),
        (b"gene,s1\nTP53,1,2,3\nMLH1,1,2,3\n", "not have the same number of columns"),
        (b"gene,s1,s2\nTP53,1,2\nMLH1,1,2\nLDLR,1,2,3\n", r"Expected 3 fields in line 4, saw 4"),
        (b"TP53\t1.5\t2.5\nMLH1\t3.5\t1.5\n", r"first line holds values \('1.5', '2.5'\)"),
        (b"gene,s1,s2\nTP53,a,b\nMLH1,c,d\n", "no column holds numbers"),
        (gzip.compress(b"gene,s1\nTP53,1\n" * 50)[:-20], "ends early"),
        (b"\x1f\x8b\x08\x00junk junk junk junk", "gzip file is damaged"),
        (zipped("blood.csv", b"a,b\n"), "a header and no rows"),
        (zipped("xl/workbook.xml", b"<x/>"), "workbook is damaged"),
        (b"PK\x03\x04" + b"junk" * 50, "zip archive is damaged"),
        (b"PAR1" + b"junk" * 50, "parquet file is damaged"),
        (b"\x89HDF\r\n\x1a\n" + b"junk" * 50, r"the \.h5ad is damaged"),
        (xlsx([]), "no cells"),
    ],
)
def test_a_file_that_is_not_a_table_is_an_error_with_a_reason(data: bytes, message: str) -> None:
    with pytest.raises(MTMError, match=rf"^up\.csv: .*{message}"):
        read(data, "up.csv")


def test_index_outside_a_sparse_matrix_is_an_error(values: pd.DataFrame, tmp_path: Path) -> None:
    h5ad(values, tmp_path, as_sparse=True)
    with h5py.File(tmp_path / "blood.h5ad", "r+") as file:
        file["X/indices"][3] = 10_000
    with pytest.raises(InputFileError, match=r"the \.h5ad is damaged"):
        read_expression(tmp_path / "blood.h5ad")


def test_decompressed_size_is_capped(tmp_path: Path) -> None:
    zeros = pd.DataFrame(0.0, index=range(400), columns=[f"G{i}" for i in range(2000)])
    bombs = {
        "gzip": gzip.compress(text(zeros)),
        "xlsx": xlsx(sheet(zeros.iloc[:15])),
        "parquet": parquet(zeros.T.rename(columns=str)),
        "h5ad": h5ad(zeros.rename(index=str), tmp_path, as_sparse=True),
    }
    for name, data in bombs.items():
        assert len(data) < 1_000_000
        with pytest.raises(InputFileError, match=rf"^{name}: the \w+( \w+)? is larger than"):
            read_expression(io.BytesIO(data), name, max_bytes=1_000_000)
    with pytest.raises(InputFileError, match="the file is larger than"):
        read_expression(io.BytesIO(text(zeros)), max_bytes=50)
