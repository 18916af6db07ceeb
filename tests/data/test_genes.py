"""Matching of ids, against a slow search gene by gene."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.genes.index import GeneIndex, collapse

GENES = pd.DataFrame(
    {
        "symbol": ["TP53", "BRCA2", "C1orf112", "IL3RA", "IL3RA", ""],
        "entrez": ["7157", "675", "55732", "3563", "3563", ""],
    },
    index=pd.Index(
        [
            "ENSG00000141510.16",
            "ENSG00000139618.14",
            "ENSG00000000460.16",
            "ENSG00000185291.11_PAR_Y",
            "ENSG00000185291.11",
            "ENSG00000000003.14",
        ],
        name="gene_id",
    ),
)
INDEX = GeneIndex(GENES)
STEMS = [gene.split(".")[0] for gene in GENES.index]


@pytest.mark.parametrize(
    ("ids", "id_type", "expected"),
    [
        (["ENSG00000139618", "ENSG00000141510", "ENSG00000999999"], "Ensembl", [1, 0, -1]),
        (["ENSG00000139618.99", "ENSG00000141510.16_2"], "Ensembl with version", [1, 0]),
        ([" brca2", "TP53 ", "C1ORF112", "NOTAGENE"], "symbol", [1, 0, 2, -1]),
        (["675", "7157.0", "1"], "Entrez", [1, 0, -1]),
        (["675", "TP53", "ENSG00000000460"], "mixed", [1, 0, 2]),
        (["ENSG00000139618.14|BRCA2", "?|7157"], "mixed", [1, 0]),
        (["ensg00000185291.11_PAR_Y", "ENSG00000185291.12"], "Ensembl with version", [3, 4]),
        (["IL3RA", "3563"], "mixed", [4, 4]),
    ],
)
def test_ids_are_found(ids: list[str], id_type: str, expected: list[int]) -> None:
    match = INDEX.match(ids)
    assert match.gene_of.tolist() == expected
    assert match.id_type == id_type
    assert match.n_not_in_model == expected.count(-1)
    assert match.found.tolist() == [i in expected for i in range(len(GENES))]


def test_copy_on_y_does_not_take_the_place_of_the_copy_on_x() -> None:
    only_y = GeneIndex(GENES.iloc[:4])
    assert only_y.find(["ENSG00000185291.11", "IL3RA"]).tolist() == [-1, 3]


def test_ids_are_matched_anew_by_another_model_and_in_another_order() -> None:
    ids = ["TP53", "BRCA2", "C1orf112"]
    other = GeneIndex(GENES.iloc[::-1])
    assert INDEX.match(ids).gene_of.tolist() == [0, 1, 2]
    assert other.match(ids).gene_of.tolist() == [5, 4, 3]
    assert INDEX.match(ids[::-1]).gene_of.tolist() == [2, 1, 0]
    assert INDEX.match(ids).gene_of.tolist() == [0, 1, 2]


def test_a_match_that_others_share_cannot_be_changed() -> None:
    match = INDEX.match(["TP53", "NOTAGENE"])
    with pytest.raises(ValueError, match="read-only"):
        match.gene_of[1] = 3
    with pytest.raises(ValueError, match="read-only"):
        match.found[1] = True


def test_blank_symbols_and_ids_match_nothing() -> None:
    assert INDEX.find(["", " ", "|", "nan"]).tolist() == [-1] * 4


def test_missing_and_duplicated_genes_are_named() -> None:
    match = INDEX.match(["TP53", "ENSG00000141510", "x", "BRCA2", "675"])
    assert match.missing.index.tolist() == GENES.index[[2, 3, 4, 5]].tolist()
    assert match.duplicated["n_rows"].to_dict() == {GENES.index[0]: 2, GENES.index[1]: 2}
    assert [p.tolist() for p in match.positions] == [[0, 1], [3, 4], [], [], [], []]
    missing, duplicated = match.notes
    assert "2 of the model's 6 genes" in missing.found
    assert "'C1orf112'" in missing.found
    assert "'ENSG00000000003.14'" in missing.found  # a gene without symbol goes by its id
    assert "summed on the linear scale" in duplicated.done


def test_collapse_equals_a_sum_gene_by_gene(rng: np.random.Generator) -> None:
    ids = ["675", "x", "TP53", STEMS[5], "BRCA2", "y", "TP53", STEMS[1]]
    values = pd.DataFrame(rng.gamma(1.0, size=(4, len(ids))), index=list("abcd"), columns=ids)
    linear, found = collapse(values, INDEX.match(ids))
    assert linear.columns.equals(GENES.index)
    assert linear.index.equals(values.index)
    rows_of = {0: [2, 6], 1: [0, 4, 7], 2: [], 3: [], 4: [], 5: [3]}
    for gene, rows in rows_of.items():
        assert found[gene] == bool(rows)
        expected = [sum(row[i] for i in rows) if rows else np.nan for row in values.to_numpy()]
        np.testing.assert_allclose(linear.iloc[:, gene], expected)


def test_order_of_the_file_does_not_matter(rng: np.random.Generator) -> None:
    ids = ["TP53", "x", "BRCA2", "675"]
    values = pd.DataFrame(rng.gamma(1.0, size=(3, 4)), columns=ids)
    shuffled = values.iloc[:, [2, 0, 3, 1]]
    pd.testing.assert_frame_equal(
        collapse(values, INDEX.match(ids))[0],
        collapse(shuffled, INDEX.match(list(shuffled.columns)))[0],
    )


def test_index_refuses_a_gene_twice() -> None:
    with pytest.raises(ValueError, match="1 duplicates"):
        GeneIndex(pd.concat([GENES, GENES.iloc[:1]]))
