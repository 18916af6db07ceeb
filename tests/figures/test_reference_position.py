from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.figures.samples.reference_position import percentile_strips, strata_bars

SAMPLES = [f"s{i}" for i in range(6)]


@pytest.fixture
def positions(rng: np.random.Generator) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "sample": SAMPLES,
                "tissue": tissue,
                "origin": origin,
                "log2_expression": rng.normal(8, 1, 6),
                "percentile": rng.uniform(1, 99, 6),
            }
        )
        for tissue, origin in (("Whole Blood", "measured"), ("Lung", "predicted"))
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture
def groups() -> pd.Series:
    return pd.Series(["b", "a", "b", "a", np.nan, "a"], index=SAMPLES)


def test_every_sample_is_at_its_percentile_in_the_row_of_its_tissue(
    positions: pd.DataFrame,
) -> None:
    figure = percentile_strips(positions, None, marked="s3")
    samples, median, ring = figure.data
    assert samples.name == "your samples"
    np.testing.assert_allclose(samples.x, positions["percentile"], rtol=1e-6)
    rows = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))
    for y, (_, tissue, _) in zip(samples.y, samples.customdata, strict=True):
        origin = "measured" if tissue == "Whole Blood" else "predicted"
        assert abs(y - rows[f"{tissue} ({origin})"]) <= 0.25
    expected = positions.groupby("tissue", sort=False)["percentile"].median()
    assert dict(zip(median.customdata, median.x, strict=True)) == expected.to_dict()
    assert list(ring.x) == positions.loc[positions["sample"] == "s3", "percentile"].tolist()


def test_groups_are_drawn_apart_with_a_median_each(
    positions: pd.DataFrame, groups: pd.Series
) -> None:
    figure = percentile_strips(positions, groups)
    a, a_median, b, _ = figure.data
    assert (a.name, b.name) == ("a", "b")
    assert {data[0] for data in a.customdata} == {"s1", "s3", "s5"}
    assert {data[0] for data in b.customdata} == {"s0", "s2"}
    assert a.marker.symbol != b.marker.symbol
    own = positions[positions["sample"].isin(["s1", "s3", "s5"])]
    assert list(a_median.x) == own.groupby("tissue", sort=False)["percentile"].median().tolist()


def test_strata_lie_below_the_samples_and_those_alike_are_coloured(
    positions: pd.DataFrame, groups: pd.Series
) -> None:
    strata = pd.DataFrame(
        {
            "stratum": ["all donors", "female", "female, 60-69"],
            "n": [100, 40, 12],
            0.05: [5.0, 5.5, 6.0],
            0.25: [6.0, 6.5, 7.0],
            0.5: [7.0, 7.5, 8.0],
            0.75: [8.0, 8.5, 9.0],
            0.95: [9.0, 9.5, 10.0],
        }
    )
    own = positions[positions["tissue"] == "Lung"]
    figure = strata_bars(strata, own, groups, unit="TPM", strong=["female, 60-69"])
    assert list(figure.layout.yaxis.ticktext) == [
        *("female, 60-69 (n = 12)", "female (n = 40)", "all donors (n = 100)", "your samples"),
    ]
    bars = [trace for trace in figure.data if trace.type == "bar"]
    ends = {
        (y, low, low + length): colour
        for bar in bars
        for y, low, length, colour in zip(bar.y, bar.base, bar.x, bar.marker.color, strict=True)
    }
    assert set(ends) == {
        *((0, 6.0, 10.0), (0, 7.0, 9.0), (1, 5.5, 9.5)),
        *((1, 6.5, 8.5), (2, 5.0, 9.0), (2, 6.0, 8.0)),
    }
    coloured = {row for (row, *_), colour in ends.items() if colour != ends[(2, 5.0, 9.0)]}
    assert coloured == {0}
    drawn = {t.name: list(t.customdata) for t in figure.data if t.name in ("a", "b")}
    assert drawn == {"a": ["s1", "s3", "s5"], "b": ["s0", "s2"]}
    top = next(t for t in figure.data if t.name == "a")
    assert all(abs(y - 3) <= 0.25 for y in top.y)
