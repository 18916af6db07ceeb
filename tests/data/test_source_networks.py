"""Networks of weighted targets: as a table, as GMT, bundled, and refused in words."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from mtm_core.data.gene_sets.networks import Network, find_network
from mtm_core.data.genes.index import GeneIndex
from mtm_core.errors import InputFileError, SelectionError

GENES = GeneIndex(
    pd.DataFrame(
        {"symbol": ["TP53", "MARCHF1", "BRCA1"], "entrez": ["7157", "55016", "672"]},
        index=["ENSG00000141510.16", "ENSG00000145416.1", "ENSG00000012048.2"],
    )
)
TABLE = (
    "source\ttarget\tweight\nA\tTP53\t1.5\nB\tBRCA1\t-2\n"
    "A\tENSG00000145416\t1\nA\tMARCHF1\t3\nB\tNONE\t1\n"
)


def test_weights_reach_the_genes_by_any_of_their_names() -> None:
    matched = Network.parse(TABLE.encode(), "own.tsv").match(GENES)
    # ENSG00000145416 and MARCHF1 are one gene: the mean of both weights.
    assert matched.weights.toarray().tolist() == [[1.5, 0], [2, 0], [0, -2]]
    assert "2 sources; 4 of their 5 target genes" in matched.in_words()


@pytest.mark.parametrize(
    "text",
    [
        TABLE.replace("\t", ","),
        TABLE.replace("source", "tf").replace("target", "gene").replace("weight", "mor"),
        '"source";"target";"weight"\n"1";"A";"TP53";"1.5"\n"2";"B";"BRCA1";"-2"\n'
        '"3";"A";"ENSG00000145416";"1"\n"4";"A";"MARCHF1";"3"\n"5";"B";"NONE";"1"\n',
        "confidence\t" + TABLE.replace("\nA", "\nx\tA").replace("\nB", "\nx\tB"),
    ],
    ids=["commas", "dorothea", "write.table of R", "more columns"],
)
def test_tables_of_other_programs_are_read(text: str) -> None:
    read = Network.parse(gzip.compress(text.encode()), "own")
    pairs = sorted(
        (read.sources[s], read.targets[t], w)
        for s, t, w in zip(read.source_of, read.target_of, read.weights, strict=True)
    )
    assert pairs == [
        ("A", "ENSG00000145416", 1), ("A", "MARCHF1", 3), ("A", "TP53", 1.5),
        ("B", "BRCA1", -2), ("B", "NONE", 1),
    ]  # fmt: skip


def test_gene_sets_are_sources_with_weights_of_one() -> None:
    read = Network.parse(b"first\tlink\tTP53\tBRCA1\nsecond\t\tBRCA1\n", "own.gmt")
    assert read.match(GENES).weights.toarray().tolist() == [[1, 0], [0, 0], [1, 1]]
    without = Network.parse(b"source,target\nA,TP53\n", "own.csv")
    assert without.weights.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("source\ttarget\tweight\nA\tTP53\thigh\n", "line 2: the weight is 'high'"),
        ("source\ttarget\tweight\nA\tTP53\tinf\n", "Expected a number"),
        ("source\ttarget\tweight\nA\tTP53\n", "line 2 has 2 columns"),
        ("source\ttarget\tweight\nA\tTP53\t1\nA\tTP53\t2\n", "'A' has two weights for 'TP53'"),
        ("source\ttarget\tweight\n", "no source has a target"),
        ("source\ttarget\tweight\nA\t\t1\n", "line 2 lacks a source or a target"),
        ("only a line\n", "line 1 is 'only a line'"),
        ("<html>", "a web page"),
    ],
)
def test_a_file_that_is_not_a_network_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputFileError, match=words) as caught:
        Network.parse(text.encode(), "own.tsv")
    assert str(caught.value).startswith("own.tsv: ")


def test_progeny_is_bundled_and_its_strongest_targets_are_known_ones(tmp_path: Path) -> None:
    network = find_network("progeny")
    assert len(network) == 14
    weight = {
        (network.sources[s], network.targets[t]): w
        for s, t, w in zip(network.source_of, network.target_of, network.weights, strict=True)
    }
    for pair in (("p53", "MDM2"), ("p53", "CDKN1A"), ("Hypoxia", "CA9"), ("TNFa", "NFKBIA"),
                 ("JAK-STAT", "ISG15"), ("MAPK", "DUSP6"), ("TGFb", "SERPINE1")):  # fmt: skip
        assert weight[pair] > 2, pair
    assert len(find_network("reactome")) == 2028
    with pytest.raises(SelectionError, match="did you mean 'progeny'"):
        find_network("progenie")
    with pytest.raises(InputFileError, match="cannot open"):
        find_network(tmp_path / "none.tsv")
