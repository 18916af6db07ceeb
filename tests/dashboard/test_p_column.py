"""Columns of numbers of any size."""

from __future__ import annotations

import pytest

from mtm_core.dashboard.widgets.p_column import p_column


@pytest.mark.parametrize(("label", "digits"), [("p", 2), ("FDR", 2), ("mean, controls", 4)])
def test_a_column_is_wide_enough_for_its_head_and_for_the_longest_number(
    label: str, digits: int
) -> None:
    longest = f"{1.23456789e-6:.{digits + 5}f}"  # a browser writes these with zeros, smaller as e-7
    column = p_column(label, digits=digits)
    assert column["type_config"]["format"] == f"%.{digits}g"  # type: ignore[index]
    pixels = column["width"]
    assert isinstance(pixels, int)
    assert pixels >= 7.5 * max(len(label), len(longest)) + 16
