"""One small table of a user's, written in every format and read again."""

from __future__ import annotations

import io
from pathlib import Path

import anndata as ad
import numpy as np
import openpyxl
import pandas as pd
from scipy import sparse

from mtm_core.data.genes.index import GeneIndex
from mtm_core.data.tables.expression import read_expression
from mtm_core.data.tables.ingest_report import IngestReport

SYMBOLS = ["TP53", "BRCA1", "BRCA2", "MLH1", "KCNH2", "LDLR"]
ENSEMBL = [f"ENSG0000000000{i}.{i}" for i in range(6)]
ENTREZ = ["7157", "672", "675", "4292", "3757", "3949"]
SAMPLES = ["P-1", "P-2", "P-3", "P-4"]
KNOWN = GeneIndex(
    pd.DataFrame({"symbol": SYMBOLS, "entrez": ENTREZ}, index=pd.Index(ENSEMBL, name="gene_id"))
)


def text(values: pd.DataFrame, sep: str = ",", **options: object) -> bytes:
    return values.to_csv(sep=sep, **options).encode()


def read(data: bytes, name: str = "blood.csv", known: GeneIndex | None = KNOWN) -> pd.DataFrame:
    return read_expression(io.BytesIO(data), name, known_genes=known).values


def report(data: bytes, known: GeneIndex | None = KNOWN) -> IngestReport:
    return read_expression(io.BytesIO(data), "blood.csv", known_genes=known).report


def xlsx(rows: list[list[object]], *more_sheets: str) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for title in more_sheets:
        book.create_sheet(title)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def h5ad(values: pd.DataFrame, folder: Path, *, as_sparse: bool = False) -> bytes:
    x = values.to_numpy(dtype=np.float32)
    adata = ad.AnnData(
        sparse.csr_matrix(x) if as_sparse else x,
        obs=pd.DataFrame({"age": 50}, index=values.index),
        var=pd.DataFrame(index=values.columns),
    )
    adata.write_h5ad(folder / "blood.h5ad")
    return (folder / "blood.h5ad").read_bytes()


def parquet(values: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    values.to_parquet(file)
    return file.getvalue()


def sheet(values: pd.DataFrame) -> list[list[object]]:
    return [
        ["", *values.columns],
        *([i, *row] for i, row in zip(values.index, values.to_numpy(), strict=True)),
    ]


def gct(values: pd.DataFrame) -> bytes:
    genes = values.T.copy()
    genes.insert(0, "Description", "a gene")
    lines = f"#1.2\n{len(genes)}\t{len(values)}\n".encode()
    return lines + text(genes, "\t", index_label="Name")


def same(actual: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        actual, expected, check_names=False, check_column_type=False, check_index_type=False
    )
