"""Names in one option, and options in one command: what is written is read again."""

from __future__ import annotations

import itertools

import pytest

from mtm_core.data.files.reading_options import ReadingOptions
from mtm_core.data.people.metadata_options import MetadataOptions
from mtm_core.errors import SelectionError
from mtm_core.inference.options import PredictionOptions
from mtm_core.reporting.name_lists import (
    join_groups,
    join_names,
    split_column,
    split_names,
    two_names,
)

ODD = [
    *("COVID, severe", "a=b", "$(touch x)", "`id`", "it's", 'say "no"', "-v", "--help", "all"),
    *("two  spaces", "line\nend", "\ttab", "é", "#1", "*", "~", "\\", "%s", ";", "&&", "None"),
]


@pytest.mark.parametrize("names", [*([name] for name in ODD), ODD, list(reversed(ODD))])
def test_names_are_read_as_they_were_written(names: list[str]) -> None:
    assert split_names(join_names(names)) == [name.strip() for name in names]
    assert split_names([join_names([name]) for name in names]) == [n.strip() for n in names]


def test_groups_are_read_as_they_were_written() -> None:
    for column, case, control in itertools.islice(itertools.permutations(ODD, 3), 0, None, 97):
        got, text = split_column(join_groups(column, case, control))
        assert (got, *two_names(text)) == (column.strip(), case.strip(), control.strip())


def test_a_comma_of_a_known_name_needs_no_quotes_where_one_reading_is_meant() -> None:
    levels = ["COVID, severe", "COVID, mild", "healthy"]
    assert two_names("COVID, severe,healthy", levels) == ("COVID, severe", "healthy")
    assert two_names("COVID, severe,COVID, mild", levels) == ("COVID, severe", "COVID, mild")
    for text in ("a,b,c", "COVID, severe,other", "healthy"):
        with pytest.raises(SelectionError, match="expects COLUMN=CASE,CONTROL"):
            two_names(text, levels)
    with pytest.raises(SelectionError, match="expects COLUMN=CASE,CONTROL"):
        two_names("a,b,a", ["a,b", "a", "b,a"])  # two readings
    with pytest.raises(SelectionError, match="double quotes"):
        split_names('"a,b')


def test_options_come_back_from_json() -> None:
    options = PredictionOptions(
        "Spleen",
        ("Lung", "Liver"),
        "counts",
        "none",
        ReadingOptions(take_back=("a", "b"), numbers="comma", sheet="Data"),
        MetadataOptions("Alter", "", (("1", "male"),), ("NA",), True, "People"),
    )
    assert PredictionOptions.from_json(options.to_json()) == options
    assert PredictionOptions.from_json(PredictionOptions().to_json()) == PredictionOptions()
