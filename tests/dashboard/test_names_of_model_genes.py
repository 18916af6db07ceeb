from __future__ import annotations

import pandas as pd
import pytest

from mtm_core.dashboard.state.gene_names import GeneNames
from mtm_core.data.genes.names import TABLE

GENES = pd.DataFrame(
    {
        "symbol": ["TP53", "TP53BP1", "TP53BP2", "BRCA1", "KMT2D", "DUP", "DUP", "", "7157"],
        "entrez": ["7157", "7158", "7159", "672", "8085", "1", "2", "3", "4"],
    },
    index=[
        *("ENSG00000141510.16", "ENSG00000067369.13", "ENSG00000143514.16"),
        *("ENSG00000012048.20", "ENSG00000167548.15", "E1", "E2", "E3", "E4"),
    ],
)


@pytest.fixture(scope="module")
def names() -> GeneNames:
    return GeneNames.of(GENES)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        *(("TP53", "TP53"), (" tp53 ", "TP53"), ("ENSG00000141510", "TP53")),
        *(("ensg00000141510.99", "TP53"), ("672", "BRCA1"), ("MLL2", "KMT2D")),
        *(("7157", "7157"), ("DUP", None), ("DUP (E1)", "DUP (E1)"), ("TP5", None), ("", None)),
        *(("E3", "(E3)"), ("no such gene", None)),
    ],
)
def test_a_gene_is_named_by_symbol_id_or_earlier_name(
    names: GeneNames, text: str, label: str | None
) -> None:
    assert names.named(text) == label


def test_genes_that_begin_with_the_text_come_before_those_that_contain_it(names: GeneNames) -> None:
    assert names.find("tp53") == ["TP53", "TP53BP1", "TP53BP2"]
    assert names.find("53") == ["TP53", "TP53BP1", "TP53BP2"]
    assert names.find("p53b") == ["TP53BP1", "TP53BP2"]
    assert names.find("DUP") == ["DUP (E1)", "DUP (E2)"]
    assert names.find("ENSG0000014") == ["TP53", "TP53BP2"]
    assert names.find("MLL2") == ["KMT2D"]
    assert names.find(" ") == names.find("nothing") == []


def test_every_gene_of_a_genome_is_found_by_symbol_and_id_and_no_search_gives_more_than_fifty() -> (
    None
):
    table = pd.read_csv(TABLE, sep="\t", comment="#", dtype=str, keep_default_na=False)
    table = table[table["ensembl"] != ""].drop_duplicates("ensembl").head(19_291)
    genes = pd.DataFrame(
        {"symbol": table["symbol"].to_numpy(), "entrez": ""}, index=table["ensembl"] + ".1"
    )
    names = GeneNames.of(genes)
    for gene, symbol in list(genes["symbol"].items())[::97]:
        assert names[names.named(symbol.lower()) or ""] == gene
        assert names[names.named(gene.partition(".")[0]) or ""] == gene
    found = names.find("A")
    assert len(found) == 50
    by_hand = sorted(symbol for symbol in genes["symbol"] if symbol.upper().startswith("A"))
    assert set(found[1:]) <= set(by_hand) | {found[0]}
