"""Other names of genes, against HGNC's table read row by row, and renamings that are well known."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.genes.index import GeneIndex, collapse
from mtm_core.data.genes.names import TABLE, genes_named

MODEL = pd.DataFrame(
    {
        "symbol": ["MUT", "TP53", "MARCH1", "SEPT2", "DEC1", "CAP1", "KMT2D"],
        "entrez": ["4594", "7157", "55016", "4735", "50514", "10487", "8085"],
    },
    index=pd.Index(
        [
            "ENSG00000146085.7",
            "ENSG00000141510.16",
            "ENSG00000145416.13",
            "ENSG00000168385.17",
            "ENSG00000173077.15",
            "ENSG00000131236.16",
            "ENSG00000167548.14",
        ],
        name="gene_id",
    ),
)
INDEX = GeneIndex(MODEL)


def rows() -> list[dict[str, str]]:
    with gzip.open(TABLE, "rt", encoding="utf-8") as file:
        lines = [line for line in file if not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t"))


def test_names_are_those_of_a_search_row_by_row(rng: np.random.Generator) -> None:
    table = rows()
    assert len(table) > 43_000
    approved = {row["symbol"].upper() for row in table}
    of_row = [
        {name.upper() for key in ("previous", "alias") for name in row[key].split("|") if name}
        for row in table
    ]
    drawn = [table[i] for i in rng.choice(len(table), 60, replace=False)]
    names = [n for row in drawn for n in (row["symbol"], *row["previous"].split("|")) if n]
    for name in [*names, "HAP1", "P53", "CAP1", "DEC1", "not a gene"]:
        key = name.upper()
        if key in approved:
            expected = {row["symbol"] for row in table if row["symbol"].upper() == key}
        else:
            expected = {row["symbol"] for row, own in zip(table, of_row, strict=True) if key in own}
        assert {gene.symbol for gene in genes_named(f" {name.lower()} ")} == expected


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        ("MUT", {"MMUT"}),
        ("p53", {"TP53"}),
        ("MLL2", {"KMT2D", "KMT2B"}),
        ("1-Mar", {"MARCHF1", "MTARC1"}),
        ("Mar-01", {"MARCHF1", "MTARC1"}),
        ("3-Sep", {"SEPTIN3"}),
        ("3-Feb", set()),
        ("NaN", set()),
        ("", set()),
    ],
)
def test_renamed_and_damaged_names(name: str, symbols: set[str]) -> None:
    assert {gene.symbol for gene in genes_named(name)} == symbols


def test_a_model_gene_is_found_by_its_new_name_and_by_an_old_one() -> None:
    match = INDEX.match(["MMUT", "p53", "MARCHF1", "ACTB"])
    assert match.gene_of.tolist() == [0, 1, 2, -1]
    assert match.by_other_name["name"].tolist() == ["MMUT", "p53", "MARCHF1"]
    assert match.by_other_name["symbol"].tolist() == ["MUT", "TP53", "MARCH1"]
    assert any(
        "'p53 for TP53'" in note.found and "read by that name" in note.done for note in match.notes
    )
    values = pd.DataFrame([[1.0, 2.0, 3.0, 4.0]], columns=["MMUT", "p53", "MARCHF1", "ACTB"])
    linear, found = collapse(values, match)
    assert linear.to_numpy()[0, :3].tolist() == [1.0, 2.0, 3.0]
    assert found.tolist() == [True] * 3 + [False] * 4


def test_another_name_counts_only_where_the_gene_is_not_there_by_its_own() -> None:
    match = INDEX.match(["TP53", "p53", "LFS1"])
    assert match.gene_of.tolist() == [1, -1, -1]
    assert match.by_other_name.empty


def test_the_approved_name_of_one_gene_is_not_another_gene() -> None:
    """CAP1 was once a name of several genes; now it is the symbol of one."""
    other = GeneIndex(
        pd.DataFrame({"symbol": ["PRSS8"], "entrez": ["5652"]}, index=pd.Index(["ENSG00000052344"]))
    )
    assert other.match(["CAP1"]).gene_of.tolist() == [-1]


@pytest.mark.parametrize("name", ["1-Mar", "2-Sep", "MLL2"])
def test_ambiguous_gene_names_are_not_guessed(name: str) -> None:
    match = INDEX.match(["TP53", name])
    assert match.gene_of.tolist() == [1, -1]
    (note,) = [note for note in match.notes if "may be genes that are missing" in note.found]
    assert name in note.found
    assert " or " in note.found
    assert note.done == "They were not used."


def test_two_other_names_of_one_gene_are_not_guessed_at() -> None:
    match = INDEX.match(["p53", "LFS1", "MMUT"])
    assert match.gene_of.tolist() == [-1, -1, 0]
    (note,) = [note for note in match.notes if "may be genes" in note.found]
    assert "p53 (TP53)" in note.found
    assert "LFS1 (TP53)" in note.found


def test_two_spellings_of_an_alias_are_one_gene() -> None:
    match = INDEX.match(["p53", "P53 ", "MMUT"])
    assert match.gene_of.tolist() == [1, 1, 0]
    assert match.duplicated["n_rows"].tolist() == [2]
