"""Users' tables: every format gives the same table, and a report that is true."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.genes.index import GeneIndex, collapse
from mtm_core.data.gtex.annotations import read_gene_table
from mtm_core.data.gtex.gct import read_gct
from mtm_core.data.tables.expression import read_expression
from mtm_core.data.tables.ingest_report import IngestReport
from mtm_core.errors import InputFileError
from tests.data.user_tables import (
    ENSEMBL,
    ENTREZ,
    KNOWN,
    SYMBOLS,
    gct,
    h5ad,
    parquet,
    read,
    report,
    same,
    sheet,
    text,
    xlsx,
)


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


def test_report_is_json_and_identifies_the_bytes(values: pd.DataFrame) -> None:
    data = text(values)
    written = json.loads(json.dumps(report(data).to_json()))
    assert written["sha256"] == hashlib.sha256(data).hexdigest()
    assert written["notes"][0]["level"] == "info"
    assert set(written) == set(IngestReport.__dataclass_fields__)


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
