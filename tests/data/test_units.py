"""The table of units: words, ranges, and the way back to a linear scale."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from mtm_core.data.units import (
    LINEAR,
    UNIT_HELP,
    UNIT_TABLE,
    UNITS,
    Unit,
    UnitChoice,
    check_possible,
    check_range,
    per_million,
    to_linear,
    zero_levels,
)
from mtm_core.errors import ExpressionError

FORMULAS = {
    "log2": lambda x: np.log2(1 + x),
    "ln": np.log1p,
    "log10": lambda x: np.log10(1 + x),
    "log2-0.001": lambda x: np.log2(x + 0.001),
    "log2-0.01": lambda x: np.log2(x + 0.01),
    "log2-0": np.log2,
}


def frame(values: np.ndarray) -> pd.DataFrame:
    n, g = np.shape(values)
    return pd.DataFrame(
        values, index=[f"s{i}" for i in range(n)], columns=[f"g{j}" for j in range(g)]
    )


@pytest.fixture
def counts(rng: np.random.Generator) -> pd.DataFrame:
    return frame(rng.poisson(rng.gamma(0.5, 2000, size=200), size=(6, 200)).astype(float))


def test_every_unit_is_named_once_everywhere() -> None:
    assert tuple(UNIT_TABLE) == UNITS == get_args(Unit)
    assert get_args(UnitChoice) == ("auto", *UNITS)
    labels = [kind.label for kind in UNIT_TABLE.values()]
    assert len(set(labels)) == len(labels)
    assert all(f"{unit}: " in UNIT_HELP for unit in UNITS)
    docs = (Path(__file__).parents[2] / "docs" / "units.md").read_text()
    for kind in UNIT_TABLE.values():
        assert f"| `{kind.unit}` | {kind.label} | {kind.meaning} |" in docs


@pytest.mark.parametrize("unit", FORMULAS)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_each_logarithm_is_undone(counts: pd.DataFrame, unit: Unit) -> None:
    written = FORMULAS[unit](counts / 7)
    np.testing.assert_allclose(UNIT_TABLE[unit].transform(counts.to_numpy() / 7), written)
    np.testing.assert_allclose(to_linear(written, unit), counts / 7, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("unit", LINEAR)
def test_linear_values_are_left(counts: pd.DataFrame, unit: Unit) -> None:
    assert to_linear(counts, unit).equals(counts)


def test_log_cpm_is_undone_by_what_a_zero_is_in_each_sample(counts: pd.DataFrame) -> None:
    counts.iloc[:, :3] = 0
    library = counts.sum(axis=1)
    voom = np.log2((counts + 0.5).mul(1e6 / (library + 1), axis=0))
    expected = counts.mul(1e6 / (library + 1), axis=0)
    np.testing.assert_allclose(to_linear(voom, "logcpm"), expected, atol=1e-9)
    np.testing.assert_allclose(zero_levels(voom.to_numpy()), np.log2(0.5e6 / (library + 1)))


def test_vst_is_undone_by_what_a_zero_is_alone(counts: pd.DataFrame) -> None:
    s, a = 2.7, 0.03
    root = np.sqrt(a * counts * (s + a * counts))
    vst = np.log2((s + 2 * a * counts + 2 * root) / (4 * a))
    zero = np.full(len(counts), np.log2(s / (4 * a)))
    np.testing.assert_allclose(to_linear(vst, "vst", zero), counts, rtol=1e-9, atol=1e-9)
    # Where no zero shows, it is read as log2.
    unknown = np.full(len(counts), np.nan)
    np.testing.assert_allclose(to_linear(vst, "vst", unknown), 2**vst)


def test_the_least_value_of_one_gene_alone_is_no_zero() -> None:
    assert np.isnan(zero_levels(np.array([[1.0, 2.0, 2.0]]))).all()


def test_logarithms_below_zero_expression_become_0() -> None:
    linear = to_linear(frame(np.array([[-1.0, 1.0], [-0.5, 0.0]])), "log2")
    np.testing.assert_array_equal(linear, [[0, 1], [0, 0]])


def test_negative_linear_value_is_named() -> None:
    values = frame(np.array([[1.0, 2.0], [3.0, -4.0]]))
    with pytest.raises(ExpressionError, match=r"'s1', gene 'g1': -4.*give the unit as log2"):
        to_linear(values, "counts")


def test_values_that_no_unit_has_are_named() -> None:
    with pytest.raises(
        ExpressionError, match=r"'s1', gene 'g1': -4\. No logarithm reaches from -4 to 300"
    ):
        check_possible(frame(np.array([[300.0, 2.0], [3.0, -4.0]])))
    check_possible(frame(np.array([[20.0, 2.0], [3.0, -4.0]])))


@pytest.mark.parametrize("unit", [unit for unit in UNITS if UNIT_TABLE[unit].is_log])
def test_linear_values_are_refused_as_logarithms(unit: Unit) -> None:
    with pytest.raises(ExpressionError, match=f"'s0', gene 'g1': 700.*{', '.join(LINEAR)}"):
        check_range(frame(np.array([[1.0, 700.0]])), unit)


def test_per_million(counts: pd.DataFrame) -> None:
    expected = [[1e6 * x / sum(row) for x in row] for row in counts.to_numpy()]
    np.testing.assert_allclose(per_million(counts), expected)
    twice = per_million(counts, 2 * counts.sum(axis=1))
    np.testing.assert_allclose(2 * twice, expected)
    counts.loc["s2"] = 0
    with pytest.raises(ExpressionError, match=r"1 of 6 samples .* 's2'"):
        per_million(counts)
