"""Samples of two tables of the same people, by name."""

from __future__ import annotations

import pytest

from mtm_core.data.people.same_people import match_people


@pytest.mark.parametrize(
    ("first", "further"),
    [
        ("GTEX-1117F-0005-SM-HL9SH", "GTEX-1117F-0226-SM-5GZZ7"),
        ("GTEX-1117F-0005-SM-HL9SH", "GTEX-1117F"),
        ("TCGA-02-0001-01B-02R", "TCGA-02-0001-11A"),
        ("P01_blood", "P01_skin"),
        ("P01", "p01"),
        ("P01.blood", "P01"),
        ("007", "7"),
        ("SIM-00070", "SIM-00070_lung"),
        ("P-1.blood", "p-1"),
    ],
)
def test_names_of_one_person_are_proposed_and_used_if_confirmed(first: str, further: str) -> None:
    match = match_people(["A", first], ["A", further])
    assert match.in_both == ("A",)
    assert [(n.expression, n.metadata) for n in match.near] == [(first, further)]
    assert match.only_first == (first,)
    assert match.only_further == (further,)
    assert not match.names
    taken = match_people(["A", first], ["A", further], take_near=True)
    assert taken.in_both == ("A", first)
    assert taken.only_first == taken.only_further == ()
    assert taken.names == {further: first}


def test_a_name_that_two_may_be_is_not_proposed() -> None:
    match = match_people(["P01_blood", "P01_blood2"], ["P01_skin"])
    assert match.near == ()
    assert match_people(["P-1"], ["P-1_a", "P-1_b"]).near == ()
    match = match_people(["GTEX-A-1", "GTEX-B-1"], ["GTEX-C-1"])
    assert match.near == ()


def test_the_diff_has_every_name_once() -> None:
    first, further = ["A", "B_1", "C", "D"], ["E", "B_2", "A"]
    table = match_people(first, further).as_table()
    assert table.to_numpy().tolist() == [
        ["A", "A", "both", ""],
        ["B_1", "B_2", "perhaps the same", "the last part of the name"],
        ["C", "", "first only", ""],
        ["D", "", "first only", ""],
        ["", "E", "second only", ""],
    ]
    taken = match_people(first, further, take_near=True).as_table()
    assert taken.to_numpy().tolist()[:2] == [["A", "A", "both", ""], ["B_1", "B_2", "both", ""]]
    assert len(taken) == 5
