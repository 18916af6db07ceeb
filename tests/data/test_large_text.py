"""Text that is wide, long or packed tight: read soon, or refused soon, outside of a server."""

from __future__ import annotations

import gzip
import io
import time

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.formats.tables import read_table
from mtm_core.data.isolation.isolated import read_isolated
from mtm_core.data.isolation.reading_limits import MAX_NAMES
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import ExpressionError, InputFileError

WIDE = 20_000
SOON = 40  # seconds; what took the square of its columns took minutes


def row_of_genes(cell: str, delimiter: str = ",") -> bytes:
    genes = [f"ENSG{i:011d}" for i in range(WIDE)]
    rows = [["sample", *genes], *([f"P{i}", *([cell] * WIDE)] for i in range(3))]
    return "\n".join(delimiter.join(row) for row in rows).encode()


def test_decimal_commas_of_20_000_genes_are_read_quickly() -> None:
    started = time.monotonic()
    values = [[10 * (g % 97) + i * (g % 7) for g in range(WIDE)] for i in range(3)]
    rows = [f"P{i};" + ";".join(f"{value},5" for value in row) for i, row in enumerate(values)]
    genes = row_of_genes("1", ";").split(b"\n")[0]
    read = read_expression(io.BytesIO(b"\n".join([genes, *map(str.encode, rows)])), "wide.csv")
    assert time.monotonic() - started < SOON
    assert read.values.shape == (3, WIDE)
    assert (read.values.to_numpy() == np.array(values) + 0.5).all()
    assert "20,000 columns have decimal commas, such as '0,5'" in str(read.report.notes)


def test_rows_that_are_all_alike_are_no_samples() -> None:
    with pytest.raises(
        ExpressionError, match=r"no row is a sample: 'P0'.*value in every column.*--take-back"
    ):
        read_expression(io.BytesIO(row_of_genes("1,5", ";")), "wide.csv")


def test_words_in_20_000_columns_are_refused_quickly() -> None:
    started = time.monotonic()
    with pytest.raises(ExpressionError, match=r"60,000 cells are not numbers, .* row 'P0'"):
        read_expression(io.BytesIO(row_of_genes("x")), "wide.csv")
    assert time.monotonic() - started < SOON


def test_mixtures_become_text_in_their_places() -> None:
    mixed = pd.DataFrame(
        {"gene": ["TP53", "MLH1"], "flag": [True, 1.5], "P1": [1, 2], "kind": ["x", 3]}
    )
    file = io.BytesIO()
    mixed.to_excel(file, index=False)
    read = read_table(file.getvalue())
    assert read.header == ("gene", "flag", "P1", "kind")
    assert read.cells.T.to_numpy().tolist() == [
        ["TP53", "MLH1"],
        ["True", "1.5"],
        [1, 2],
        ["x", "3"],
    ]


@pytest.mark.parametrize("n", [1, 200_000])
def test_comments_above_a_table_are_left_out_however_many(n: int) -> None:
    started = time.monotonic()
    table = read_table(b"# said\n" * n + b"gene,P1\nTP53,1\n")
    assert time.monotonic() - started < SOON
    assert table.header == ("gene", "P1")
    assert table.cells.shape == (1, 2)


def test_a_table_of_too_many_rows_is_refused() -> None:
    data = b"gene,P1\n" + b"TP53,1\n" * (MAX_NAMES + 1)
    assert len(read_table(data).cells) == MAX_NAMES + 1
    with pytest.raises(InputFileError, match=r"500,001 rows and 2 columns\. A server .* 500,000"):
        read_isolated(data)


def test_a_table_of_words_is_refused_before_they_are_looked_at() -> None:
    row = b"TP53" + b",x" * 1_001 + b"\n"
    header = b"gene" + b"".join(b",P%d" % i for i in range(1_001)) + b"\n"
    with pytest.raises(InputFileError, match=r"10,020,000 cells .* hold text: expected numbers"):
        read_isolated(gzip.compress(header + row * 10_000))


def test_gzip_that_holds_more_than_may_be_is_refused_and_not_read() -> None:
    bomb = gzip.compress(b"gene,P1\n" + b"TP53,1\n" * 3_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(InputFileError, match="decompressed file is larger than"):
        read_isolated(bomb, max_bytes=1_000_000)
