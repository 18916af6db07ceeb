from __future__ import annotations

import pytest

from mtm_core.data.people.sample_names import NearMatch, match_samples


def test_equal_names_match_in_the_order_of_the_expression_table() -> None:
    match = match_samples(["c", "a", "x"], ["a", "b", "c"])
    assert match.matched == ("a", "c")
    assert match.metadata_only == ("x",)
    assert match.expression_only == ("b",)
    assert match.near == ()


@pytest.mark.parametrize(
    ("metadata", "expression", "difference"),
    [
        ("gsm1", "GSM1", "upper and lower case"),
        ("S 1", "S1", "spaces"),
        ("S-1.a", "S.1-A", "punctuation"),
        ("101-1", "101.1", "punctuation"),
        ("7.0", "7", "a decimal zero"),
        ("1-a", "X1.a", "the X that R puts before a digit"),
    ],
)
def test_near_names_say_what_differs(metadata: str, expression: str, difference: str) -> None:
    match = match_samples([metadata, "other"], [expression, "another"])
    assert match.near == (NearMatch(metadata, expression, difference),)
    assert match.matched == ()


def test_a_form_that_two_names_share_is_proposed_to_neither() -> None:
    assert match_samples(["s-1", "s.1"], ["S_1"]).near == ()
    assert match_samples(["s_1"], ["S-1", "S.1"]).near == ()
    assert match_samples(["--"], ["__"]).near == ()


def test_the_smallest_difference_comes_first() -> None:
    match = match_samples(["a-1", "A.1"], ["A-1", "a_1"])
    assert match.near == (
        NearMatch("a-1", "A-1", "upper and lower case"),
        NearMatch("A.1", "a_1", "punctuation"),
    )


def test_different_numbers_are_never_near() -> None:
    assert match_samples(["S1", "S01"], ["S10", "S001"]).near == ()
    assert match_samples(["1.0"], ["10"]).near == ()
    assert match_samples(["P1-0", "2 1"], ["P10", "21"]).near == ()
