"""The clean table in the formats of other programs: each writes a file and gives its path.

Every case must be read as what it says: the z-scores are those of the clean table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import openpyxl
import pandas as pd
from openpyxl.chart import BarChart, Reference
from scipy import sparse

from mtm_core.data.files.reading_options import ReadingOptions
from tests.cases import base

Case = Callable[[Path], Path]
CASES: dict[str, Case] = {}
OPTIONS: dict[str, ReadingOptions] = {}
"""What a user says of a case, where something must be said."""


def case(function: Case) -> Case:
    """Enter a case under its name."""
    CASES[function.__name__] = function
    return function


def _gct(genes: pd.DataFrame, path: Path, end: str = "\n") -> Path:
    text = f"#1.2\n{len(genes)}\t{base.N_PEOPLE}\n" + genes.to_csv(sep="\t", index=False)
    path.write_bytes(text.replace("\n", end).encode())
    return path


def _described() -> pd.DataFrame:
    genes = base.counts().reset_index(names="Name")
    genes.insert(1, "Description", base.genes()["symbol"].to_numpy())
    return genes


@case
def gct_of_one_tissue(folder: Path) -> Path:
    return _gct(_described().reset_index(names="id"), folder / "blood.gct")


@case
def gct_description_first(folder: Path) -> Path:
    genes = _described()[["Description", "Name", *base.counts().columns]]
    return _gct(genes.rename(columns=str.upper), folder / "blood.gct", end="\r\n")


@case
def gct_1_3(folder: Path) -> Path:
    genes = _described().rename(columns={"Name": "id"})
    genes.insert(2, "length", base.lengths().to_numpy())
    rows = genes.to_csv(sep="\t", index=False).split("\n", 1)
    ages = "\t".join(["age", "", "", *(str(20 + i) for i in range(base.N_PEOPLE))])
    sizes = f"#1.3\n{len(genes)}\t{base.N_PEOPLE}\t2\t1\n"
    path = folder / "blood.gct"
    path.write_text(f"{sizes}{rows[0]}\n{ages}\n{rows[1]}")
    return path


@case
def gct_through_a_spreadsheet(folder: Path) -> Path:
    path = _gct(_described(), folder / "blood.gct")
    quoted = re.sub(r"[^\t\n]+", r'"\g<0>"', path.read_text()).replace("\t", ",")
    path.write_bytes(quoted.replace('"#1.2"', "#1.2" + "," * 25).encode("utf-8-sig"))
    return path


@case
def unicode_text(folder: Path) -> Path:
    path = folder / "blood.txt"
    path.write_bytes(base.counts().to_csv(sep="\t", lineterminator="\r\n").encode("utf-16"))
    return path


@case
def old_h5ad_sparse_with_raw(folder: Path) -> Path:
    """Write as AnnData 0.6 did: records, "h5sparse_format", the counts under raw.X alone."""
    path = folder / "old.h5ad"
    x = sparse.csr_matrix(base.counts().T.to_numpy(np.float32))
    with h5py.File(path, "w") as file:
        group = file.create_group("raw.X")
        for part in ("data", "indices", "indptr"):
            group[part] = getattr(x, part)
        group.attrs["h5sparse_format"], group.attrs["h5sparse_shape"] = b"csr", x.shape
        names = [gene.encode() for gene in base.counts().index]
        file["raw.var"] = np.array([(n, 1) for n in names], dtype=[("index", "S20"), ("n", "i4")])
        file["var"] = file["raw.var"][()]
        people = [(name.encode(), 50) for name in base.counts().columns]
        file["obs"] = np.array(people, dtype=[("index", "S8"), ("age", "i8")])
    return path


@case
def old_h5ad_groups_without_index_attribute(folder: Path) -> Path:
    path = folder / "old.h5ad"
    with h5py.File(path, "w") as file:
        file["X"] = base.counts().T.to_numpy(np.float32)
        file["obs/index"] = [name.encode() for name in base.counts().columns]
        file["var/_index"] = [gene.encode() for gene in base.counts().index]
        file["obs/__categories/sex"] = [b"f", b"m"]
    return path


@case
def h5ad_layer(folder: Path) -> Path:
    names = pd.DataFrame(index=base.counts().columns), pd.DataFrame(index=base.counts().index)
    x = base.counts().T.to_numpy(np.float32)
    layers = {"counts": sparse.csc_matrix(x), "scaled": x - x.mean(axis=0)}
    ad.AnnData(None, *names, layers=layers).write_h5ad(folder / "x.h5ad")
    return folder / "x.h5ad"


OPTIONS["h5ad_layer"] = ReadingOptions(quantity="Counts")


@case
def h5ad_genes_in_a_column(folder: Path) -> Path:
    var = pd.DataFrame({"gene_ids": base.counts().index}, index=map(str, range(200)))
    obs = pd.DataFrame(index=base.counts().columns)
    ad.AnnData(base.counts().T.to_numpy(np.float32), obs, var).write_h5ad(folder / "x.h5ad")
    return folder / "x.h5ad"


@case
def loom(folder: Path) -> Path:
    path = folder / "blood.loom"
    with h5py.File(path, "w") as file:
        file["matrix"] = base.counts().to_numpy(np.float32)
        file["row_attrs/Gene"] = [name.encode() for name in base.genes()["symbol"]]
        file["col_attrs/CellID"] = [name.encode() for name in base.counts().columns]
        for name in ("layers", "row_graphs", "col_graphs"):
            file.create_group(name)
    return path


def _fill(
    sheet: openpyxl.worksheet.worksheet.Worksheet, table: pd.DataFrame, skip: int = 0
) -> None:
    blank = [None] * skip
    sheet.append([*blank, "gene", *table.columns])
    for gene, row in zip(table.index, table.to_numpy().tolist(), strict=True):
        sheet.append([*blank, gene, *row])


@case
def xlsx_text_first(folder: Path) -> Path:
    book = openpyxl.Workbook()
    for line in ("Supplementary Table 4", "Counts of blood", "See the methods"):
        book.active.append([line])
    _fill(book.create_sheet("Expression"), base.counts())
    book.save(folder / "x.xlsx")
    return folder / "x.xlsx"


@case
def xlsx_metadata_first(folder: Path) -> Path:
    book = openpyxl.Workbook()
    for row in (["ID", "AGE", "BMI"], *([name, 50, 20.5] for name in base.counts().columns)):
        book.active.append(row)
    _fill(book.create_sheet("Counts"), base.counts())
    _fill(book.create_sheet("Log"), np.log2(base.counts() + 1))
    book.save(folder / "x.xlsx")
    return folder / "x.xlsx"


@case
def xlsx_chosen_sheet(folder: Path) -> Path:
    book = openpyxl.Workbook()
    _fill(book.active, base.counts() // 3)
    _fill(book.create_sheet("All reads"), base.counts())
    book.save(folder / "x.xlsx")
    return folder / "x.xlsx"


OPTIONS["xlsx_chosen_sheet"] = ReadingOptions(sheet="all reads ")


@case
def xlsx_hidden_charts_titles_and_margins(folder: Path) -> Path:
    book = openpyxl.Workbook()
    hidden = book.active
    hidden.sheet_state = "hidden"
    _fill(hidden, base.counts() // 3)
    chart = BarChart()
    chart.add_data(Reference(hidden, min_col=2, min_row=1, max_row=5))
    book.create_chartsheet("Chart").add_chart(chart)
    sheet = book.create_sheet("Reads")
    sheet.append([None, None, "Reads of 24 people"])
    sheet.merge_cells("C1:F1")
    sheet.append([None, None, None, "covid", *[None] * 11, "healthy"])
    sheet.merge_cells("D2:N2")
    _fill(sheet, base.counts(), skip=2)
    sheet.append([None, None, "Reads were counted by featureCounts."])
    book.save(folder / "x.xlsx")
    return folder / "x.xlsx"
