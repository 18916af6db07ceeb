from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.figures.shared.tissue_marks import tissue_marks


def test_points_carry_the_colour_and_name_of_their_tissue() -> None:
    x, y = pd.Series({"Lung": 1.0, "Liver": 9.0}), pd.Series({"Lung": 5.0, "Liver": 2.0})
    marks = tissue_marks(x, y, {"Lung": "#000001", "Liver": "#000002"}, {"Lung": "LU"})
    assert marks["marker"]["color"] == ["#000001", "#000002"]
    assert marks["text"] == ["LU", ""]


@pytest.mark.parametrize("log_y", [False, True])
def test_names_hide_neither_each_other_nor_points(rng: np.random.Generator, log_y: bool) -> None:
    tissues = [f"T{i}" for i in range(48)]
    x, y = (pd.Series(np.exp(rng.normal(size=48)), index=tissues) for _ in range(2))
    text = tissue_marks(x, y, {}, {t: t for t in tissues}, log_y=log_y)["text"]
    heights = np.log(y) if log_y else y
    places = np.column_stack([x / np.ptp(x) / 0.1, heights / np.ptp(heights) / 0.05])
    named = [i for i, name in enumerate(text) if name]
    assert text[0] in ("", "T0")
    assert 5 < len(named) < 48
    for i in named:
        for j in range(48):
            apart = np.abs(places[j] - places[i])
            assert j == i or j not in named or apart.max() >= 1
            above = places[j] - places[i] - (0, 0.8)
            assert np.abs(above).max() >= 0.6


def test_one_tissue_and_none() -> None:
    one = pd.Series({"Lung": 1.0})
    assert tissue_marks(one, one, {}, {"Lung": "LU"})["text"] == ["LU"]
    assert tissue_marks(one.iloc[:0], one.iloc[:0], {}, {})["text"] == []
