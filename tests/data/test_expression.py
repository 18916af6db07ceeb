"""Users' tables: every format and orientation gives the same table, every bad one a clear error."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from datetime import datetime
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import openpyxl
import pandas as pd
import pytest
from scipy import sparse

from mtm_core.data.expression import read_expression
from mtm_core.data.gct import read_gct
from mtm_core.data.genes import GeneIndex, collapse
from mtm_core.data.gtex import read_gene_table
from mtm_core.data.report import IngestReport
from mtm_core.errors import ExpressionError, InputFileError, MTMError

SYMBOLS = ["TP53", "BRCA1", "BRCA2", "MLH1", "KCNH2", "LDLR"]
ENSEMBL = [f"ENSG0000000000{i}.{i}" for i in range(6)]
ENTREZ = ["7157", "672", "675", "4292", "3757", "3949"]
SAMPLES = ["P-1", "P-2", "P-3", "P-4"]
KNOWN = GeneIndex(
    pd.DataFrame({"symbol": SYMBOLS, "entrez": ENTREZ}, index=pd.Index(ENSEMBL, name="gene_id"))
)


@pytest.fixture
def values(rng: np.random.Generator) -> pd.DataFrame:
    """Four samples of six genes and of two that the model does not have, as counts."""
    counts = rng.poisson(300, size=(4, 8)).astype(float)
    return pd.DataFrame(counts, index=SAMPLES, columns=[*SYMBOLS, "ACTB", "GAPDH"])


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


# --- formats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sep", [",", "\t", ";", " "])
@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("orientation", ["genes in rows", "samples in rows"])
@pytest.mark.parametrize("known", [KNOWN, None])
def test_text_of_any_delimiter_and_orientation(
    values: pd.DataFrame, sep: str, gzipped: bool, orientation: str, known: GeneIndex | None
) -> None:
    table = values.T if orientation == "genes in rows" else values
    data = text(table, sep, index_label="id")
    found = report(gzip.compress(data) if gzipped else data, known)
    same(read(gzip.compress(data) if gzipped else data, "a.b.dat", known), values)
    names = {",": "comma", "\t": "tab", ";": "semicolon", " ": "space"}
    formats = {",": "csv", "\t": "tsv", ";": "csv", " ": "txt"}
    assert found.delimiter == names[sep]
    assert found.format == formats[sep] + (".gz" if gzipped else "")
    assert found.orientation == orientation
    assert (found.n_samples, found.n_genes, found.id_type) == (4, 8, "symbol")
    assert found.unit == "counts"


@pytest.mark.parametrize("ids", [SYMBOLS, ENSEMBL, ENTREZ])
@pytest.mark.parametrize("transposed", [False, True])
def test_all_formats_give_the_same_table(
    values: pd.DataFrame, ids: list[str], transposed: bool, tmp_path: Path
) -> None:
    values = values[SYMBOLS].set_axis(ids, axis=1)
    table = values.T if transposed else values
    files = {
        "csv": text(table),
        "parquet": parquet(table),
        "xlsx": xlsx(sheet(table)),
        "gct": gct(values),
        "h5ad": h5ad(values, tmp_path),
    }
    for name, data in files.items():
        same(read(data, "wrong.name"), values)
        assert report(data).format == name
    same(read(h5ad(values, tmp_path, as_sparse=True)), values)


def test_path_is_read_and_named(values: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "my.blood.v2.csv").write_bytes(text(values))
    table = read_expression(tmp_path / "my.blood.v2.csv", known_genes=KNOWN)
    same(table.values, values)
    assert table.report.file == "my.blood.v2.csv"
    with pytest.raises(InputFileError, match=r"none\.csv: cannot open .*No such file"):
        read_expression(tmp_path / "none.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_encodings_and_line_ends(values: pd.DataFrame, encoding: str, line_end: str) -> None:
    values = values.rename(index={"P-1": "Müller"})
    same(read(values.to_csv(lineterminator=line_end).encode(encoding)), values)
    unnamed = values.to_csv(lineterminator=line_end, index=False).encode(encoding)
    assert read(unnamed).columns.tolist() == values.columns.tolist()


def test_header_one_field_short_as_r_writes_it(values: pd.DataFrame) -> None:
    data = text(values.T, "\t").removeprefix(b"\t")
    same(read(data), values)


def test_trailing_delimiters_blank_lines_and_comments(values: pd.DataFrame) -> None:
    lines = text(values.T, index_label="gene").decode().splitlines()
    data = "# made by x\n\n" + ",\n".join(lines) + ",\n" + "," * 5 + "\n\n"
    same(read(data.encode()), values)
    assert not any("rows without" in note.found for note in report(data.encode()).notes)
    same(read(("#" + "\n".join(lines)).encode()), values)
    same(read(text(values) + b"," * 8 + b"\n\n"), values)


def test_numbers_keep_all_digits(values: pd.DataFrame, rng: np.random.Generator) -> None:
    exact = values * rng.random(values.shape)
    np.testing.assert_allclose(read(text(exact)), exact, rtol=1e-15)


# --- orientation and columns --------------------------------------------------------------------


def test_ensembl_ids_need_no_known_genes(values: pd.DataFrame) -> None:
    values = values[SYMBOLS].set_axis(ENSEMBL, axis=1)
    assert report(text(values), None).orientation == "samples in rows"
    assert report(text(values.T), None).orientation == "genes in rows"


@pytest.mark.parametrize("genes", [ENTREZ, ["TP53", "AAA1", "BBB2", "CCC3", "DDD4", "EEE5"]])
def test_numbered_samples_are_no_entrez_ids(values: pd.DataFrame, genes: list[str]) -> None:
    """Samples 1..800 would else match model genes 672 and 675 by chance."""
    many = pd.concat([values[SYMBOLS]] * 200).set_axis(genes, axis=1).set_axis(range(1, 801))
    for table in (many, many.T):
        found = read(text(table))
        assert found.columns.tolist() == genes
        assert found.shape == (800, 6)


def test_row_numbers_give_way_to_the_column_that_names(values: pd.DataFrame) -> None:
    genes = values.T.rename_axis("gene").reset_index()
    same(read(text(genes)), values)
    samples = values.rename_axis("sample").reset_index()
    same(read(text(samples)), values)
    assert report(text(genes)).set_aside == ("column 1",)


def test_text_and_annotation_columns_are_set_aside(values: pd.DataFrame) -> None:
    genes = values.T.copy()
    genes.insert(0, "Description", "a long name")
    genes.insert(1, "Length", 1200)
    genes.insert(2, "empty", np.nan)
    same(read(text(genes, "\t")), values)
    assert report(text(genes, "\t")).set_aside == ("Description", "Length", "empty")


def test_second_column_may_hold_the_better_ids(values: pd.DataFrame) -> None:
    genes = values.T.rename_axis("symbol").reset_index()
    genes.insert(0, "transcript", [f"transcript {i}" for i in range(8)])
    same(read(text(genes, index=False)), values)
    assert report(text(genes, index=False)).set_aside == ("transcript",)


def test_metadata_of_samples_is_set_aside(values: pd.DataFrame) -> None:
    meta = values.copy()
    meta.insert(0, "sex", ["f", "m", "f", ""])
    meta.insert(1, "Age", [40, 50, 60, 70])
    meta["smoker"] = [True, False, None, True]
    same(read(text(meta)), values)
    found = report(text(meta))
    assert found.set_aside == ("sex", "Age", "smoker")
    assert any("'Age'" in note.found for note in found.notes)
    by_ensembl = values[SYMBOLS].set_axis(ENSEMBL, axis=1).assign(score=1.5)
    assert "score" in report(text(by_ensembl)).set_aside


def test_samples_without_a_name_column_are_numbered(values: pd.DataFrame) -> None:
    found = read(text(values, index=False))
    assert found.index.tolist() == ["sample 1", "sample 2", "sample 3", "sample 4"]
    np.testing.assert_array_equal(found, values)


def test_tallies_and_rows_without_gene_are_set_aside(values: pd.DataFrame) -> None:
    genes = values.T.rename(index={"ACTB": "__no_feature", "GAPDH": "NA"})
    found = read_expression(io.BytesIO(text(genes)), known_genes=KNOWN)
    same(found.values, values[SYMBOLS])
    assert sum("set aside" in note.done for note in found.report.notes) == 2


def test_neither_axis_has_genes(values: pd.DataFrame) -> None:
    odd = values.set_axis([f"measure {i}" for i in range(8)], axis=1)
    with pytest.raises(ExpressionError, match=r"blood\.csv: .*'P-1'.*'measure 0'"):
        read(text(odd))
    mouse = values.T.set_axis([f"ENSMUSG0000005955{i}" for i in range(8)], axis=0)
    with pytest.raises(ExpressionError, match="another species' Ensembl genes"):
        read(text(mouse))


# --- cells --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("abc", "1 cells are no numbers, the first in row 'BRCA1', column 'P-2': 'abc'"),
        ("", "1 cells are blank, the first in row 'BRCA1', column 'P-2'"),
        ("NA", "1 cells are blank, the first in row 'BRCA1', column 'P-2'"),
        ("NaN", "1 cells are blank, the first in row 'BRCA1', column 'P-2'"),
        ("1e3000000000", "1 cells are no numbers, .* column 'P-2': '1e3000000000'"),
        ("inf", "1 cells are infinite, the first in row 'BRCA1', column 'P-2'"),
        ("-7000", "1 values are negative, the first in sample 'P-2', gene 'BRCA1': -7000"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_bad_cell_is_named(values: pd.DataFrame, cell: str, message: str, kind: str) -> None:
    table = values.T.astype(object)
    table.loc["BRCA1", "P-2"] = float(cell) if kind == "xlsx" and cell == "-7000" else cell
    data = text(table) if kind == "csv" else xlsx(sheet(table))
    with pytest.raises(ExpressionError, match=message):
        read(data)


def test_a_bad_cell_is_named_the_other_way_too(values: pd.DataFrame) -> None:
    table = values.astype(object)
    table.loc["P-2", ["BRCA1", "LDLR"]] = "low"
    with pytest.raises(ExpressionError, match=r"2 cells .* row 'P-2', column 'BRCA1': 'low'"):
        read(text(table))


def test_negative_logarithms_are_read(values: pd.DataFrame) -> None:
    logs = np.log2(values) - 9
    same(read(text(logs)), logs)
    assert report(text(logs)).unit == "log2"


@pytest.mark.parametrize("sep", [",", ";", "\t"])
def test_decimal_commas_are_read_and_reported(values: pd.DataFrame, sep: str) -> None:
    fractions = (values / 7).round(2)
    data = text(fractions.T, sep, decimal=",", quoting=2 if sep == "," else 0)
    np.testing.assert_allclose(read(data), fractions)
    assert any("decimal commas" in note.found for note in report(data).notes)


def test_thousands_are_not_guessed_at(values: pd.DataFrame) -> None:
    data = (values.T * 1000).map("{:,.0f}".format).to_csv(sep="\t").encode()
    with pytest.raises(InputFileError, match=r"thousands separator or with a decimal comma"):
        read(data)


def test_duplicate_samples_are_refused(values: pd.DataFrame) -> None:
    twice = values.set_axis(["P-1", "P-2", "P-1", "P-4"], axis=0)
    for table in (twice, twice.T):
        with pytest.raises(ExpressionError, match="1 sample names stand more than once: 'P-1'"):
            read(text(table))
    with pytest.raises(ExpressionError, match="sample 3 has no name"):
        read(text(values.set_axis(["P-1", "P-2", "", "P-4"], axis=0)))


def test_duplicate_genes_are_kept_and_reported(values: pd.DataFrame) -> None:
    twice = values.rename(columns={"ACTB": "TP53"})
    for table in (twice, twice.T):
        same(read(text(table)), twice)
        assert report(text(table)).duplicates == ("TP53",)


def test_damaged_names_are_reported_from_text_and_from_excel(values: pd.DataFrame) -> None:
    damaged = values.rename(columns={"ACTB": "1-Mar", "GAPDH": "2-Sep"})
    assert report(text(damaged.T)).damaged_names == ("1-Mar", "2-Sep")
    rows = sheet(values.T)
    rows[-1][0] = datetime(2024, 3, 1)
    found = report(xlsx(rows))
    assert found.damaged_names == ("2024-03-01 00:00:00",)
    assert any("MARCH1" in note.found for note in found.notes)


def test_title_lines_and_sheets_of_a_workbook(values: pd.DataFrame) -> None:
    found = read_expression(
        io.BytesIO(xlsx([["Table S1. Blood"], [], *sheet(values.T)], "notes")), known_genes=KNOWN
    )
    same(found.values, values)
    assert {"They were skipped.", "'Sheet' was read."} <= {n.done for n in found.report.notes}


# --- files that are no tables -------------------------------------------------------------------


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
        (bytes(range(256)) * 20, "binary and none of the formats"),
        (b"%PDF-1.7\n1 0 obj", "a PDF"),
        (b"\n<!DOCTYPE html><html><body>404 Not Found", "a web page"),
        (b"#1.3\n2\t2\t0\t0\nid\ta\tb\n", "GCT 1.3"),
        (b"gene|s1|s2\nTP53|1|2\n", "not cut alike by tabs, commas, semicolons or spaces"),
        (b"gene,s1\nTP53,1,2,3\nMLH1,1,2,3\n", "not cut alike"),
        (b"gene,s1,s2\nTP53,1,2\nMLH1,1,2\nLDLR,1,2,3\n", r"Expected 3 fields in line 4, saw 4"),
        (b"TP53\t1.5\t2.5\nMLH1\t3.5\t1.5\n", r"first line holds values \('1.5', '2.5'\)"),
        (b"gene,s1,s2\nTP53,a,b\nMLH1,c,d\n", "no column holds numbers"),
        (gzip.compress(b"gene,s1\nTP53,1\n" * 50)[:-20], "ends early"),
        (b"\x1f\x8b\x08\x00junk junk junk junk", "gzip file is damaged"),
        (zipped("blood.csv", b"a,b\n"), "a zip archive"),
        (zipped("xl/workbook.xml", b"<x/>"), "workbook is damaged"),
        (b"PK\x03\x04" + b"junk" * 50, "workbook is damaged"),
        (b"PAR1" + b"junk" * 50, "parquet file is damaged"),
        (b"\x89HDF\r\n\x1a\n" + b"junk" * 50, r"expected an \.h5ad"),
        (xlsx([]), "no cells"),
    ],
)
def test_what_is_no_table_is_an_error_with_a_reason(data: bytes, message: str) -> None:
    with pytest.raises(MTMError, match=rf"^up\.csv: .*{message}"):
        read(data, "up.csv")


def test_index_outside_a_sparse_matrix_is_an_error(values: pd.DataFrame, tmp_path: Path) -> None:
    h5ad(values, tmp_path, as_sparse=True)
    with h5py.File(tmp_path / "blood.h5ad", "r+") as file:
        file["X/indices"][3] = 10_000
    with pytest.raises(InputFileError, match=r"expected an \.h5ad"):
        read_expression(tmp_path / "blood.h5ad")


def test_decompressed_size_is_capped(tmp_path: Path) -> None:
    zeros = pd.DataFrame(0.0, index=range(400), columns=[f"G{i}" for i in range(2000)])
    bombs = {
        "gzip": gzip.compress(text(zeros)),
        "xlsx": xlsx(sheet(zeros.iloc[:40])),
        "parquet": parquet(zeros.T.rename(columns=str)),
        "h5ad": h5ad(zeros.rename(index=str), tmp_path, as_sparse=True),
    }
    for name, data in bombs.items():
        assert len(data) < 1_000_000
        with pytest.raises(InputFileError, match=rf"^{name}: the \w+( \w+)? is larger than"):
            read_expression(io.BytesIO(data), name, max_bytes=1_000_000)
    with pytest.raises(InputFileError, match="the file is larger than"):
        read_expression(io.BytesIO(text(zeros)), max_bytes=50)


# --- the report ---------------------------------------------------------------------------------


def test_report_is_json_and_identifies_the_bytes(values: pd.DataFrame) -> None:
    data = text(values)
    written = json.loads(json.dumps(report(data).to_json()))
    assert written["sha256"] == hashlib.sha256(data).hexdigest()
    assert written["notes"][0]["level"] == "info"
    assert set(written) == set(IngestReport.__dataclass_fields__)


# --- the real external cohort -------------------------------------------------------------------


@pytest.mark.reference
def test_external_cohort_by_entrez_id(reference_data: Path) -> None:
    genes = read_gene_table(reference_data / "gencode_v26" / "gene_types.tsv.gz")
    (panel,) = (reference_data / "gtex_v8_acmg59").glob("*.gct.gz")
    ids = read_gct(panel, samples=["GTEX-1117F-0226-SM-5GZZ7"]).var_names
    model = genes.loc[[gene.split(".")[0] for gene in ids]].set_axis(ids)
    index = GeneIndex(model)
    path = reference_data / "gse152641_blood" / "GSE152641_counts_entrez.tsv.gz"

    table = read_expression(path, known_genes=index)
    found = table.report
    assert (found.n_samples, found.n_genes) == (86, 20_460)
    assert (found.orientation, found.unit, found.format) == ("genes in rows", "counts", "tsv.gz")

    match = index.match(list(table.values.columns))
    assert match.id_type == "Entrez"
    assert match.found.sum() == 59
    linear, _ = collapse(table.values, match)

    by_hand = {}
    with gzip.open(path, "rt") as file:
        next(file)
        for line in file:
            entrez, *counts = line.rstrip("\n").split("\t")
            by_hand[entrez] = [float(count) for count in counts]
    for gene, entrez in model["entrez"].items():
        assert linear[gene].tolist() == by_hand[entrez]
