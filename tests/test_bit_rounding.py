"""Values rounded to a few binary digits."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from mtm_core.bit_rounding import rounded


def rounded_exactly(value: float, bits: int) -> float:
    """By integers: the nearest number of the form m * 2**e with 1 + bits binary digits."""
    mantissa, exponent = np.frexp(np.float64(value))
    return float(np.ldexp(np.rint(np.ldexp(mantissa, bits + 1)), exponent - bits - 1))


@pytest.mark.parametrize("bits", [1, 7, 10, 22])
def test_rounding_is_to_the_nearest(rng: np.random.Generator, bits: int) -> None:
    values = (rng.standard_normal(500) * 10.0 ** rng.integers(-8, 9, 500)).astype(np.float32)
    values[:6] = [0, -0.0, 1, 1.5, 65_504 * 4, 2**-126]
    expected = np.array([rounded_exactly(value, bits) for value in values], dtype=np.float32)
    got = rounded(values.reshape(50, 10), bits).ravel()
    np.testing.assert_array_equal(got, expected)
    as_bits = [struct.unpack("<I", struct.pack("<f", value))[0] for value in got]
    assert all(value % 2 ** (23 - bits) == 0 for value in as_bits)


def test_full_precision_and_non_finite_values_are_unchanged() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 0.1], dtype=np.float32)
    assert rounded(values, 23) is values
    np.testing.assert_array_equal(rounded(values, 4)[:3], values[:3])


def test_a_nan_of_any_bits_stays_one_and_the_input_is_unchanged() -> None:
    values = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0x3DCCCCCD], np.uint32).view(np.float32)
    before = values.copy()
    got = rounded(values, 10)
    np.testing.assert_array_equal(got.view(np.uint32)[:3], before.view(np.uint32)[:3])
    np.testing.assert_array_equal(values.view(np.uint32), before.view(np.uint32))
    wide = np.array([0.1, np.nan, 1 / 3])
    assert rounded(wide, 12)[[0, 2]].tolist() == [rounded_exactly(v, 12) for v in (0.1, 1 / 3)]
