from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.figures.accuracy.predictable_genes import (
    fold_change_over_size,
    predictable_scatter,
    upset,
)

COLOURS = {"Lung": "#99FF00", "Liver": "#AABB66"}
SHORT = {"Lung": "LUNG", "Liver": "LIVER"}


@pytest.fixture
def counts() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": [90, 300, 120, 200],
            "n_predictable": [4, 10, 7, 0],
            "n_predictable_other": [2, 20, 0, 5],
            "fold_change": [2.0, 0.5, np.nan, 0.0],
        },
        index=pd.Index(["Lung", "Liver", "Spleen", "Ovary"], name="tissue"),
    )


def test_numbers_of_two_methods(counts: pd.DataFrame) -> None:
    figure = predictable_scatter(counts, "mine", "yours", COLOURS, SHORT)
    diagonal, points = figure.data
    assert list(diagonal.x) == list(diagonal.y)
    assert diagonal.x[1] > 20
    assert list(points.x) == [2, 20, 0, 5]
    assert list(points.y) == [4, 10, 7, 0]
    assert [row[0] for row in points.customdata] == list(counts.index)
    assert figure.layout.xaxis.title.text.endswith("yours")
    assert figure.layout.yaxis.title.text.endswith("mine")


def test_fold_change_that_has_no_logarithm_is_not_drawn(counts: pd.DataFrame) -> None:
    figure = fold_change_over_size(counts, "mine", "yours", COLOURS, SHORT)
    (points,) = figure.data
    assert list(points.x) == [90, 300]
    assert list(points.y) == [2.0, 0.5]
    assert figure.layout.yaxis.type == "log"
    empty = fold_change_over_size(counts.iloc[2:], "mine", "yours", COLOURS, SHORT)
    assert len(empty.data[0].x) == 0


def test_each_combination_has_its_bar_and_its_dots() -> None:
    sets = pd.DataFrame(
        {
            "a": [True, False, True],
            "b": [True, True, False],
            "c": [True, False, True],
            "n": [9, 4, 1],
        }
    )
    sizes = pd.Series({"a": 10, "b": 13, "c": 10})
    figure = upset(sets, sizes)
    bars, empty, filled = figure.data[:3]
    assert list(bars.y) == [9, 4, 1]
    rows = dict(zip(figure.layout.yaxis2.tickvals, figure.layout.yaxis2.ticktext, strict=True))
    assert list(rows.values()) == ["a (10)", "b (13)", "c (10)"]
    dots = {(x, rows[y][0]) for x, y in zip(filled.x, filled.y, strict=True)}
    assert dots == {(0, "a"), (0, "b"), (0, "c"), (1, "b"), (2, "a"), (2, "c")}
    faint = {(x, rows[y][0]) for x, y in zip(empty.x, empty.y, strict=True)}
    assert faint == {(1, "a"), (1, "c"), (2, "b")}
    lines = {(trace.x[0], *(rows[y][0] for y in trace.y)) for trace in figure.data[3:-1]}
    assert lines == {(0, "c", "a"), (2, "c", "a")}
    assert list(bars.customdata) == ["a and b and c only", "b only", "a and c only"]
    assert list(filled.customdata)[:4] == [*["a and b and c only"] * 3, "b only"]
    assert list(figure.data[-1].x) == [10, 13, 10]
