"""Ids that hold two: by whatever sign they are joined, they are the gene of the Ensembl id."""

from __future__ import annotations

import pandas as pd
import pytest

from mtm_core.data.genes.ids import id_type_of, parts_of
from mtm_core.data.genes.index import GeneIndex

TP53, BRCA1, MLH1 = "ENSG00000141510.16", "ENSG00000012048.20", "ENSG00000076242.14"
INDEX = GeneIndex(
    pd.DataFrame(
        {"symbol": ["TP53", "BRCA1", "MLH1"], "entrez": ["7157", "672", "4292"]},
        index=pd.Index([TP53, BRCA1, MLH1], name="gene_id"),
    )
)
STEM = "ENSG00000141510"


@pytest.mark.parametrize("joint", ["_", "|", ":", ";", ",", "/", " ", "__", "-", " | ", "; ", "."])
@pytest.mark.parametrize("version", ["", ".5", ".16_2"])
@pytest.mark.parametrize("symbol", ["TP53", "tp53", "P53-like", "Y_RNA"])
def test_ensembl_id_is_found_first_or_last(joint: str, version: str, symbol: str) -> None:
    compounds = [f"{STEM}{version}{joint}{symbol}", f"{symbol}{joint}{STEM}{version}"]
    for compound in compounds:
        assert INDEX.find([compound]).tolist() == [0], compound
    assert id_type_of(compounds) == ("Ensembl with version" if version else "Ensembl")


@pytest.mark.parametrize(
    ("gene", "expected"),
    [
        ("TP53|7157", 0),
        ("7157|TP53", 0),
        ("TP53 (7157)", 0),
        ("TP53_7157", 0),
        ("672_BRCA1", 1),
        ("gene:ENSG00000076242", 2),
        ("GeneID:672", 1),
        ("TP53;P53", 0),  # P53 is another name of TP53
        ("ENSG00000141510;ENSG00000012048", -1),  # reads of two genes
        ("TP53;BRCA1", -1),
        ("TP53;WRAP53", -1),  # a gene that the model does not have
        ("ENSG00000141510_PAR_Y", -1),  # the copy on Y is another row
        ("XENSG00000141510_TP53", -1),
        ("TP53_BRCA1", -1),
        ("Y_RNA", -1),
    ],
)
def test_parts_must_name_one_gene(gene: str, expected: int) -> None:
    assert INDEX.find([gene]).tolist() == [expected]


def test_copies_on_y_stay_apart() -> None:
    both = GeneIndex(
        pd.DataFrame(
            {"symbol": ["PLCXD1", "PLCXD1"], "entrez": ["", ""]},
            index=pd.Index(["ENSG00000182378.13", "ENSG00000182378.13_PAR_Y"], name="gene_id"),
        )
    )
    ids = ["ENSG00000182378.13_PAR_Y_PLCXD1", "ENSG00000182378_PLCXD1", "ENSG00000182378.9_PAR_Y"]
    assert both.find(ids).tolist() == [1, 0, 1]


def test_other_name_of_a_gene_is_found_in_a_compound() -> None:
    match = INDEX.match(["P53|ENSG00000999999", "ENSG00000012048.20_BRCA1"])
    assert match.gene_of.tolist() == [0, 1]
    assert match.by_other_name["name"].tolist() == ["P53"]
    assert parts_of("HLA-A") == ("HLA-A",)
