"""What unit a table is in, and the way back to a linear scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.units import (
    ValueSummary,
    check_range,
    counts_per_million,
    guess_unit,
    guess_unit_of,
    to_linear,
)
from mtm_core.errors import ExpressionError


def frame(values: np.ndarray) -> pd.DataFrame:
    n, g = np.shape(values)
    return pd.DataFrame(
        values, index=[f"s{i}" for i in range(n)], columns=[f"g{j}" for j in range(g)]
    )


@pytest.fixture
def counts(rng: np.random.Generator) -> pd.DataFrame:
    return frame(rng.poisson(rng.gamma(0.5, 2000, size=200), size=(6, 200)).astype(float))


@pytest.fixture
def tpm(rng: np.random.Generator) -> pd.DataFrame:
    x = rng.gamma(0.3, 1.0, size=(6, 200))
    return frame(1e6 * x / x.sum(axis=1, keepdims=True))


def test_counts_tpm_and_logarithms_are_told_apart(counts: pd.DataFrame, tpm: pd.DataFrame) -> None:
    assert guess_unit(counts).unit == "counts"
    assert guess_unit(tpm).unit == "tpm"
    assert "TPM from CPM" in guess_unit(tpm).reason
    assert guess_unit(np.log2(1 + tpm)).unit == "log2"
    assert guess_unit(np.log2(0.01 + tpm)).unit == "log2"
    assert "negative" in guess_unit(np.log2(0.01 + tpm)).reason


def test_part_of_a_tpm_table_is_a_stated_guess(tpm: pd.DataFrame) -> None:
    guess = guess_unit(tpm.iloc[:, :40])
    assert guess.unit == "tpm"
    assert "This is a guess" in guess.reason


def test_estimated_counts_are_no_tpm(counts: pd.DataFrame) -> None:
    assert counts.sum(axis=1).min() < 1.02e6
    assert guess_unit(counts * 100.25).unit == "counts"


def test_logarithm_is_undone(tpm: pd.DataFrame) -> None:
    linear, notes = to_linear(np.log2(1 + tpm), "log2")
    pd.testing.assert_frame_equal(linear, tpm, rtol=1e-9, atol=1e-9)
    assert notes == ()


def test_linear_values_are_left(tpm: pd.DataFrame) -> None:
    assert to_linear(tpm, "cpm")[0].equals(tpm)


def test_clipping_is_counted() -> None:
    linear, (note,) = to_linear(frame(np.array([[-1.0, 1.0], [-0.5, 0.0]])), "log2")
    np.testing.assert_array_equal(linear, [[0, 1], [0, 0]])
    assert note.level == "warning"
    assert "2 values (50.0%)" in note.found


def test_negative_linear_value_is_named() -> None:
    values = frame(np.array([[1.0, 2.0], [3.0, -4.0]]))
    with pytest.raises(ExpressionError, match=r"'s1', gene 'g1': -4.*choose log2"):
        to_linear(values, "counts")


def test_linear_values_are_refused_as_logarithms() -> None:
    with pytest.raises(ExpressionError, match=r"'s0', gene 'g1': 700"):
        check_range(frame(np.array([[1.0, 700.0]])), "log2")


def test_counts_per_million(counts: pd.DataFrame) -> None:
    cpm = counts_per_million(counts)
    expected = [[1e6 * x / sum(row) for x in row] for row in counts.to_numpy()]
    np.testing.assert_allclose(cpm, expected)
    counts.loc["s2"] = 0
    with pytest.raises(ExpressionError, match=r"1 of 6 samples .* 's2'"):
        counts_per_million(counts)


@pytest.mark.parametrize("kind", ["counts", "tpm", "log2"])
def test_parts_of_a_table_summarise_to_the_whole(
    counts: pd.DataFrame, tpm: pd.DataFrame, kind: str
) -> None:
    table = {"counts": counts, "tpm": tpm, "log2": np.log2(1 + tpm) - 0.1}[kind]
    values = table.to_numpy(dtype=np.float64)
    whole = ValueSummary.of(values)
    parts = ValueSummary.joined([ValueSummary.of(values[:1]), ValueSummary.of(values[1:])])
    np.testing.assert_array_equal(parts.sums, whole.sums)
    assert replace(parts, sums=whole.sums) == whole
    assert guess_unit_of(parts) == guess_unit(table)
    assert guess_unit_of(parts).unit == kind
