"""Notes count in words as one writes them."""

from __future__ import annotations

import io

import pytest

from mtm_core.data.cohort.normalise import explain_unit
from mtm_core.data.notes import counted, they_were
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import ExpressionError
from tests.cases import base


def test_one_and_many() -> None:
    assert counted(1, "column is", "columns are") == "1 column is"
    assert counted(1234, "column is", "columns are") == "1,234 columns are"
    assert [they_were(n, "left in") for n in (1, 2)] == ["It was left in.", "They were left in."]


def test_unit_that_its_name_does_not_tell_is_explained() -> None:
    words = "panel CPM (counts per million of the reads of the model's 59 genes)"
    assert explain_unit("panel CPM", 59) == words
    assert explain_unit("TPM", 59) == "TPM"


def test_note_on_columns_set_aside_is_short_enough_to_read() -> None:
    """Each column with its reason, in less than 130 characters, and how to put it back."""
    table = base.counts().copy()
    for place, name in enumerate(("start", "end", "length")):
        table.insert(0, name, [(7919 * (i + 3) * (place + 2)) % 99991 for i in range(len(table))])
    read = read_expression(
        io.BytesIO(table.to_csv().encode()), "x.csv", known_genes=base.predictor().genes
    )
    (note,) = [note for note in read.report.notes if note.level == "warning"]
    assert note.found.startswith("3 columns are not samples: 'length' (its correlation with the")
    assert note.done == "They were set aside."
    assert note.next_step == "To put one back: --take-back NAME (Columns, on the Upload page)."
    assert len(note.found) < 3 * 130


def test_metadata_given_as_expression_is_reported_where_it_belongs() -> None:
    table = b"sample,age,sex\nPT01,61,F\nPT02,55,M\n"
    with pytest.raises(ExpressionError, match=r"this as metadata \(Metadata page, --metadata\)"):
        read_expression(io.BytesIO(table), "meta.csv", known_genes=base.predictor().genes)
