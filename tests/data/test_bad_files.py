"""A corpus of files that are not as they should be: what each must be answered, word for word.

Every case is what some program, spreadsheet or person has made of one small table. A case is an
error, or a table with the line of the report that says what was found and done.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import openpyxl
import pandas as pd
import pytest

from mtm_core.data.people.metadata_file import read_metadata
from mtm_core.data.tables.expression import ExpressionTable, read_expression
from mtm_core.errors import MTMError
from tests.data.user_tables import ENSEMBL, KNOWN, SYMBOLS
from tests.table_files import as_parquet

GOOD = pd.DataFrame(
    {f"P{j}": [10 * j + i for i in range(6)] for j in (1, 2, 3)},
    index=pd.Index(SYMBOLS, name="gene"),
)
CSV = GOOD.to_csv()
TSV = CSV.replace(",", "\t")
SEMICOLON = CSV.replace(",", ";")
BY_SAMPLE = GOOD.T.to_csv(index_label="sample")


def read(data: bytes | str) -> ExpressionTable:
    raw = data.encode() if isinstance(data, str) else data
    return read_expression(io.BytesIO(raw), "up.csv", known_genes=KNOWN)


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, CSV)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("blood.csv")
        member.size = len(CSV)
        archive.addfile(member, io.BytesIO(CSV.encode()))
    return file.getvalue()


def xlsx(*rows: list[object], merge: str = "") -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    if merge:
        book.active.merge_cells(merge)
    book.create_sheet("Notes").append(["of another kind"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def h5ad(folder: Path, adata: ad.AnnData) -> bytes:
    adata.write_h5ad(folder / "x.h5ad")
    return (folder / "x.h5ad").read_bytes()


def change(old: str, new: str, table: str = CSV) -> str:
    assert old in table
    return table.replace(old, new)


GCT = "#1.2\n6\t3\n" + GOOD.assign(D="a gene")[["D", *GOOD]].to_csv(sep="\t", index_label="Name")
SHEET = [
    ["gene", *GOOD.columns],
    *([g, *map(int, row)] for g, row in zip(SYMBOLS, GOOD.to_numpy(), strict=True)),
]

ERRORS: dict[str, tuple[bytes | str, str]] = {
    "empty sample": (
        "\n".join(f"{line}," if i else f"{line},P4" for i, line in enumerate(CSV.split())),
        "column 'P4' is named as the samples are, and it is empty. Give its values, or leave it",
    ),
    "sample of words": (
        "\n".join(f"{line},failed" if i else f"{line},P4" for i, line in enumerate(CSV.split())),
        "column 'P4' is named as the samples are, and it holds words, such as 'failed'.",
    ),
    "formulas without results": (
        xlsx(["gene", "P1", "P2"], *(["TP53", "=1+1", "=2+2"], ["MLH1", "=3", "=4"])),
        "'P1' is empty. If it holds formulas, open the workbook in a spreadsheet program",
    ),
    # files that are no tables
    "web page": ("<table><tr><td>TP53</td></tr></table>", "a web page, .* download again"),
    "web page after a comment": ("<!-- cdn --><html>", "a web page"),
    "JSON object": ('{"TP53": [1, 2]}', "JSON, not a table. Save the table as csv"),
    "JSON list": ('[{"gene": "TP53"}]', "JSON"),
    "FASTA": (">ENST1\nACGT\n", "FASTA"),
    "variants": ("##fileformat=VCFv4.2\n#CHROM\tPOS\n1\t100\n", "VCF"),
    "GEO matrix": ('!Series_title\t"x"\n"ID_REF"\t"GSM1"\n', "start with '!'"),
    "Word or Excel of before 2007": (b"\xd0\xcf\x11\xe0" + bytes(600), r"\.xls\), .* as xlsx"),
    "workbook with a password": (
        b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
        "has a password. Save it without one",
    ),
    "binary workbook": (zipped("xl/workbook.bin"), r"\.xlsb\)\. Save it as xlsx"),
    "OpenDocument": (zipped("content.xml"), r"\.ods\)\. Save it as xlsx"),
    "zip of several tables": (zipped("a.csv", "b.csv"), "none of the 2 files holds one sample: 'a"),
    "tar.gz": (tarred(), "a tar archive. Unpack it"),
    "7z": (b"7z\xbc\xaf\x27\x1c", "7z archive"),
    "rar": (b"Rar!\x1a\x07", "rar archive"),
    "zstd": (b"\x28\xb5\x2f\xfd\x00", "zstd.* gzip"),
    "gzipped twice": (gzip.compress(gzip.compress(CSV.encode())), "compressed twice"),
    "gzip of nothing": (gzip.compress(b""), "the gzip file is empty"),
    "gzip cut off": (gzip.compress(CSV.encode())[:-9], "ends early. Upload it again"),
    "NUL bytes": (change("MLH1", "ML\0H1"), "binary and not in a supported format"),
    # lines and headers
    "GCT cut off": (
        "#1.2\n99\t3\nName\tDescription\tP1\tP2\tP3\nTP53\tx\t1\t2\t3\nMLH1\tx\t1\t2\t3",
        "says 99 genes and 3 samples; there are 2 and 3, and the last line breaks off. The file is",
    ),
    "GCT cut off within a line": (
        "#1.2\n2\t3\nName\tDescription\tP1\tP2\tP3\nTP53\tx\t1\t2\t3\nMLH1\tx\t1\t2\n",
        "there are 2 and 3, and the last line breaks off. The file is cut off: get it again",
    ),
    "quote without its partner": (change("TP53", '"TP53'), "a quote may not be closed"),
    "no header, tallies first": (
        "N_unmapped\t7\t8\nENSG00000000001\t1\t2\nENSG00000000002\t3\t4\n",
        r"holds values \('7', '8'\)",
    ),
    "two headers": (
        "batch,b1,b1,b2\n" + CSV,
        "own name. 1 row holds no number: 'gene'. If that is the header",
    ),
    "samples of one name": (
        change("P2", "P1"),
        "1 sample name is duplicated: 'P1'. Give every sample its own",
    ),
    "samples of one name, by sample": (
        change("P2", "P1", BY_SAMPLE),
        "1 sample name is duplicated: 'P1'",
    ),
    "sample without a name": (change("P2", ""), "sample 2 has no name"),
    "last sample without a name": (change("P3", ""), "sample 3 has no name"),
    # columns that are not samples
    "results of a test": (
        "gene,log2FoldChange,pvalue,padj\nTP53,-1.5,0.01,0.1\nMLH1,1,0.5,0.9\n",
        "are results of one test, not samples. Use the table that they were computed from",
    ),
    # ids
    "transcripts": ("id,P1,P2\nENST00000269305.8,1,2\nENST00000000233,1,2\n", "Sum transcripts"),
    "Ensembl proteins": (
        "id,a,b\nENSP00000269305,1,2\nENSP00000350283,1,2\n",
        "not clear.*proteins",
    ),
    "UniProt proteins": ("id,a,b\nP04637,1,2\nP38398,1,2\nQ8TCQ1,3,4\n", "UniProt proteins"),
    "HGNC ids": ("id,a,b\nHGNC:11998,1,2\nHGNC:1100,1,2\n", "HGNC ids. Use symbols"),
    "mouse Ensembl": (
        "id,a,b\nENSMUSG00000059552,1,2\nENSMUSG00000041147,1,2\n",
        "another species",
    ),
    "quoted with '": ("'gene','P1','P2'\n'TP53','1','2'\n'MLH1','3','4'\n", "not clear.*'TP53'"),
    # cells
    "#DIV/0!": (
        change("10", "#DIV/0!"),
        "row 'TP53', column 'P1': '#DIV/0!'. Enter the right number",
    ),
    "below detection": (change("10", "<0.1"), "not a number.*'<0.1'"),
    "percent": (change("10", "10%"), "not a number.*'10%'"),
    "true": (change("10", "TRUE"), "not a number.*'TRUE'"),
    "two numbers in a cell": (change(";10;", ";1 23;", SEMICOLON), "not a number.*'1 23'"),
    "points here and there": (
        change(";10;", ";1.23.4567;", SEMICOLON),
        "not a number.*'1.23.4567'",
    ),
    "thousands by commas": (change(",10,", ',"1,234",'), "thousands separator or .* decimal comma"),
    "row cut short": (change("MLH1,13,23,33", "MLH1,13,23"), "blank.*row 'MLH1', column 'P3'"),
    "minus infinity": (change("10", "-inf"), r"infinite.*'-inf'\. Was a logarithm taken of 0"),
    "blank, by sample": (change("P2,20,", "P2,,", BY_SAMPLE), "blank.*row 'P2', column 'TP53'"),
    "infinite, by sample": (change("P2,20,", "P2,inf,", BY_SAMPLE), "infinite.*row 'P2'"),
    "negative, by sample": (change("P2,20,", "P2,-9000,", BY_SAMPLE), "negative.*sample 'P2'"),
    "formula that was never reckoned": (
        xlsx(*SHEET[:-1], ["LDLR", "=1+1", 3, 4]),
        "1 cell is blank, the first in row 'LDLR', column 'P1'",
    ),
    # HDF5 that is no AnnData: see also below
    "parquet cut off": (as_parquet(GOOD.reset_index())[:-40], "parquet file is damaged"),
}

NOTES: dict[str, tuple[bytes | str, str]] = {
    "rows of metadata": (
        change("TP53,10", "Age,55,60,65\nsex,f,m,f\nTP53,10"),
        "2 rows hold metadata: 'Age', 'sex'. They were set aside.",
    ),
    "row of words": (
        change("TP53,10", "plate,a,b,a\nTP53,10"),
        "1 row holds no number: 'plate'. It was set aside. If that is the header,",
    ),
    "units below the header": (
        change("TP53,10", ",TPM,TPM,TPM\nTP53,10"),
        "1 row has no gene id. It was set aside.",
    ),
    "title": ("Table S1: blood\n" + CSV, "1 line is above the table. It was skipped."),
    "titles, padded": (
        "Table S1,,,\nof blood,,,\n" + CSV,
        "2 lines are above the table. They were skipped.",
    ),
    "empty columns": (
        "\n".join(f"{line},," if i else f"{line},note,seen" for i, line in enumerate(CSV.split())),
        "2 columns are empty: 'note', 'seen'. They were set aside. If one of them is a sample",
    ),
    "dates for genes": (
        change("KCNH2", "1-Mar", change("LDLR", "2-Sep")),
        "2 gene ids are dates: '1-Mar', '2-Sep'. A spreadsheet has turned gene names",
    ),
    "dates as a spreadsheet counts them": (
        change("KCNH2", "2001-03-01", change("LDLR", "43160")),
        "2 gene ids are dates: '2001-03-01', '43160'.",
    ),
    "ids of several types": (
        change("BRCA1", ENSEMBL[1], change("MLH1", "4292")),
        "several types: 4 symbol, 1 Ensembl with version, 1 Entrez. Each id was read as its own "
        "type.",
    ),
    "symbols as of mice": (
        "\n".join(line.capitalize() for line in CSV.lower().splitlines()),
        "written like those of mice and rats: 'Tp53', 'Brca1', 'Brca2', …",
    ),
    "decimal commas": (
        change(";10;", ";1,5;", SEMICOLON),
        "1 column has decimal commas, such as '1,5'. They were read as decimal points.",
    ),
    "thousands by blanks": (
        change(";10;", ";1 234;", SEMICOLON),
        "1 column has blanks or apostrophes between thousands, such as '1 234'.",
    ),
    "thousands by points": (
        change(";10;", ";1.234.567;", SEMICOLON),
        "1 column has points between thousands, such as '1.234.567'.",
    ),
    "gene twice": (change("LDLR", "TP53"), "1 gene id is duplicated: 'TP53'. Rows of one gene"),
    "samples without a column of names": (
        as_parquet(GOOD.T),
        "No column names the samples. They were numbered.",
    ),
    "zip of one table": (zipped("t/a.csv"), "The zip archive holds one table. 't/a.csv' was read."),
    "GCT with genes taken out": (
        GCT.replace("6\t3", "99\t4"),
        "says 99 genes and 4 samples; there are 6 and 3. All that is there was read. Unless",
    ),
    "several sheets": (
        xlsx(*SHEET),
        "The workbook has 2 sheets: 'Sheet', 'Notes'. 'Sheet' was read. If expression is in",
    ),
    "merged header": (
        xlsx(["", "cases", "", "control"], *SHEET, merge="B1:C1"),
        "1 line is above the table. It was skipped.",
    ),
    "remarks below the table": (
        xlsx(*SHEET, [], ["Counts of the second run, by STAR."]),
        "1 line is below the table: 'Counts of the second run, by STAR.'. It was left out.",
    ),
}

SAME: dict[str, bytes | str] = {
    "lower case": change("gene", "GENE", CSV.lower().replace("p", "P").replace("tP53", "tp53")),
    "quotes": "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in CSV.splitlines()
    ),
    "blanks around": CSV.replace(",", " , "),
    "old Mac line ends": CSV.replace("\n", "\r"),
    "Windows line ends": CSV.replace("\n", "\r\n"),
    "delimiters at the ends": CSV.replace("\n", ",,,\n"),
    "delimiters at the ends of rows alone": CSV.replace("\n", ",,\n").replace(",,\n", "\n", 1),
    "byte order mark": b"\xef\xbb\xbf" + CSV.encode(),
    "UTF-16": TSV.encode("utf-16"),
    "UTF-32": TSV.encode("utf-32"),
    "comments": "# by salmon\n#\n" + CSV,
    "no name over the ids": CSV.removeprefix("gene"),
    "another name over the ids": change("gene", "Unnamed: 0"),
    "R without a name over the ids": TSV.removeprefix("gene\t"),
    "genes without an index": as_parquet(GOOD.reset_index()),
    "row numbers before the ids": GOOD.reset_index().to_csv(),
    "blank lines": CSV.replace("\n", "\n\n"),
    "GCT": GCT,
    "GCT saved by a spreadsheet with commas": "#1.2,,,,\n6,3,,,\n" + GCT[9:].replace("\t", ","),
    "GCT saved by a spreadsheet in quotes": '"#1.2";;;;\n"6";"3";;;\n'
    + re.sub("[^\t\n]+", r'"\g<0>"', GCT[9:]).replace("\t", ";"),
    "GCT as Unicode text": GCT.replace("\n", "\r\n").encode("utf-16"),
    "GCT without an end": GCT[:-1],
    "GCT 1.3": "#1.3\n6\t3\t2\t1\n"
    + GOOD.assign(type="coding", entrez=7)[["type", "entrez", *GOOD]]
    .to_csv(sep="\t", index_label="id")
    .replace("\n", "\nage\t\t\t50\t60\t70\n", 1),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_says_what_came_and_what_to_do(case: str) -> None:
    data, message = ERRORS[case]
    with pytest.raises(MTMError, match=rf"(?s)^up\.csv: .*{message}"):
        read(data)


@pytest.mark.parametrize("case", NOTES)
def test_report_says_what_was_found_and_done(case: str) -> None:
    data, line = NOTES[case]
    table = read(data)
    notes = [str(note) for note in table.report.notes]
    assert any(line in note for note in notes), notes
    # Whatever was set aside, what is left is the numbers of the genes that are left.
    values = table.values.T.rename(index=str.upper)
    assert values.loc["BRCA2"].iloc[:3].tolist() == GOOD.loc["BRCA2"].tolist()
    assert table.report.n_samples == 3


@pytest.mark.parametrize("case", SAME)
def test_harmless_differences_are_read_without_a_warning(case: str) -> None:
    table = read(SAME[case])
    values = table.values.T.rename(index=str.upper)
    assert values.to_numpy().tolist() == GOOD.to_numpy().tolist()
    assert values.index.tolist() == SYMBOLS
    assert values.columns.tolist() == ["P1", "P2", "P3"]
    assert [note for note in table.report.notes if note.level == "warning"] == []


def test_header_of_one_column_as_r_writes_it_is_no_title() -> None:
    metadata = read_metadata(io.BytesIO(b"sex\nP1\tf\nP2\tm\nP3\tf\n"), samples=["P1", "P2"])
    assert metadata.values["sex"].tolist() == ["f", "m", "f"]


def test_h5ad_with_genes_in_obs_is_turned(tmp_path: Path) -> None:
    adata = ad.AnnData(
        GOOD.to_numpy(np.float32), pd.DataFrame(index=GOOD.index), pd.DataFrame(index=GOOD.columns)
    )
    table = read(h5ad(tmp_path, adata))
    assert table.values.T.to_numpy().tolist() == GOOD.to_numpy().tolist()
    assert table.report.orientation == "genes in rows"


def test_h5ad_without_x_says_what_was_read_or_where_to_choose(tmp_path: Path) -> None:
    names = pd.DataFrame(index=GOOD.index), pd.DataFrame(index=GOOD.columns)
    x = GOOD.to_numpy(np.float32)
    one = read(h5ad(tmp_path, ad.AnnData(None, *names, layers={"counts": x})))
    assert str(one.report.notes[0]) == "The file holds 'counts', and no X. 'counts' was read."
    two = ad.AnnData(None, *names, layers={"counts": x, "tpm": x})
    with pytest.raises(MTMError, match=r"no matrix X; .* in 'counts', 'tpm'\. Choose one .*--quan"):
        read(h5ad(tmp_path, two))
    empty = ad.AnnData(0 * x, *names, layers={"counts": x})
    with pytest.raises(MTMError, match=r"X holds nothing but zeros; .* in 'counts'\. Choose"):
        read(h5ad(tmp_path, empty))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["measured"] = np.arange(3)
    with pytest.raises(MTMError, match=r"not an \.h5ad .*no obs and no var; it holds 'measured'"):
        read((tmp_path / "other.h5").read_bytes())


def test_gzip_bomb_is_stopped_while_it_unpacks() -> None:
    bomb = gzip.compress(b"0" * 30_000_000)
    assert len(bomb) < 50_000
    with pytest.raises(MTMError, match="the decompressed file is larger than"):
        read_expression(io.BytesIO(bomb), "up.csv", max_bytes=1_000_000)
