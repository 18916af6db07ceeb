"""Users' tables: which way round they are, which column names, which columns are no values."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import ExpressionError
from tests.data.user_tables import ENSEMBL, ENTREZ, KNOWN, SYMBOLS, read, report, same, text


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
