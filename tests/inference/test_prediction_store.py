"""The ledger of a store, and values rounded to a few binary digits."""

from __future__ import annotations

import struct
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mtm_core.errors import OutputError
from mtm_core.inference.alignment import GeneMoments
from mtm_core.inference.prediction_store import PredictionStore, rounded


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


def test_ledger_gives_back_what_it_was_given(tmp_path: Path, rng: np.random.Generator) -> None:
    store = PredictionStore(tmp_path / "p.zarr", 10)
    assert store.begun() is None
    values = rng.gamma(2, 5, size=(9, 4)).astype(np.float32)
    moments = {"plate 1": GeneMoments.of(values[:5], "log2"), "": GeneMoments.of(values, "log2")}
    store.begin({"asked": {"unit": "tpm"}, "found": {}}, moments)
    assert store.begun() == {"asked": {"unit": "tpm"}, "found": {}}
    again = store.moments()
    assert again is not None
    assert list(again) == ["plate 1", ""]
    assert (again["plate 1"].n, again[""].n) == (5, 9)
    for batch, name in product(moments, ("mean", "squares", "low", "high")):
        np.testing.assert_array_equal(getattr(again[batch], name), getattr(moments[batch], name))
    assert store.done() == set()
    for name in ("0000003", "0000012", "0000013.part"):
        (store.progress / "done" / name).write_text("")
    assert store.done() == {3, 12}  # what is half entered is not
    assert not store.is_complete({"asked": {"unit": "tpm"}, "found": {}})


def test_without_alignment_there_are_no_moments(tmp_path: Path) -> None:
    store = PredictionStore(tmp_path / "p.zarr", 10)
    store.begin({"asked": {}, "found": {}}, None)
    assert store.moments() is None


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.zarr").write_text("mine")
    with pytest.raises(OutputError, match="exists already, and is not a prediction"):
        PredictionStore(tmp_path / "p.zarr", 10).begun()
