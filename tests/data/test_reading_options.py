"""What a user says about a table goes with it, whole."""

from __future__ import annotations

import io

import pytest

from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.tables.expression import read_expression
from mtm_core.errors import SelectionError

SAID = ReadingOptions(("total",), ("P-1", "a, b"), "comma", "Tabelle 1", "TPM", "reverse")


def test_options_come_back_from_json_as_they_were() -> None:
    assert ReadingOptions.from_json(SAID.to_json()) == SAID


def test_unknown_choices_are_named() -> None:
    with pytest.raises(SelectionError, match=r"unknown strand: 'reversed' .did you mean 'reverse'"):
        ReadingOptions(strand="reversed")  # type: ignore[arg-type]


def test_a_table_has_the_options_it_was_read_with() -> None:
    said = ReadingOptions(numbers="point")
    table = read_expression(
        io.BytesIO(b"gene,P1,P2\nENSG00000141510,1,2\nENSG00000012048,3,4\n"), "a.csv", options=said
    )
    assert table.options is said
