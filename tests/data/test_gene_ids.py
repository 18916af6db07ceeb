from __future__ import annotations

import pytest

from mtm_core.data.genes.ids import damaged_names, describe_foreign, id_type_of, strip_version


@pytest.mark.parametrize(
    ("gene", "expected"),
    [
        ("ENSG00000141510.16", "ENSG00000141510"),
        ("ENSG00000141510", "ENSG00000141510"),
        ("ENSG00000182378.13_PAR_Y", "ENSG00000182378_PAR_Y"),
        ("AC004556.1", "AC004556.1"),
    ],
)
def test_version_is_stripped_from_ensembl_ids_alone(gene: str, expected: str) -> None:
    assert strip_version(gene) == expected


def test_names_that_became_dates() -> None:
    dates = ["1-Mar", "2-Sep", "Mar-01", "15-Sept", "2024-03-01 00:00:00", "3/1/2024", "1-Dec-24"]
    genes = ["MARCH1", "SEPT2", "HLA-A", "NKX2-1", "ENSG00000139618", "7157", "DEC1", "MARC1"]
    assert damaged_names([*genes, *dates]) == tuple(dates)


def test_foreign_ids_are_recognised() -> None:
    assert "transcripts" in describe_foreign(["ENST00000269305.8", "ENST00000000233"])
    assert "another species" in describe_foreign(["ENSMUSG00000059552", "ENSMUSG00000041147"])
    assert "probes" in describe_foreign(["1007_s_at", "1053_at", "x"])
    assert describe_foreign(["a", "b"]) == ""


def test_type_needs_nine_tenths() -> None:
    assert id_type_of(["TP53"] * 9 + ["7157"]) == "symbol"
    assert id_type_of(["TP53"] * 8 + ["7157"] * 2) == "mixed"
