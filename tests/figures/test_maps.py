from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.figures.shared.maps import sample_map, tissue_map


@pytest.fixture
def positions(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(rng.normal(size=(4, 2)), list("ABCD"), ["first", "second"])


def test_tissues_are_points_in_their_colours(positions: pd.DataFrame) -> None:
    figure = tissue_map(positions, (0.5, 0.25), {"A": "#123456"}, {"A": "a"}, chosen="B")
    points, ring = figure.data
    assert list(points.x) == positions["first"].tolist()
    assert list(points.y) == positions["second"].tolist()
    assert points.marker.color[0] == "#123456"
    assert (list(ring.text), ring.x[0]) == (["B"], positions.loc["B", "first"])
    assert figure.layout.xaxis.title.text == "first component (50% of the variance)"
    assert len(tissue_map(positions, (1, 0), {}, {}, chosen="Z").data) == 1


def test_samples_take_the_colour_of_their_number(positions: pd.DataFrame) -> None:
    numbers = pd.Series([1.0, np.nan, 3.0, 4.0], positions.index)
    unknown, known = sample_map(positions, (0.5, 0.2), numbers=numbers, title="age").data
    assert [row[0] for row in unknown.customdata] == ["B"]
    assert list(known.marker.color) == [1.0, 3.0, 4.0]
    assert list(known.x) == positions.loc[["A", "C", "D"], "first"].tolist()
    assert known.marker.colorbar.title.text == "age"


def test_groups_differ_in_colour_and_shape(positions: pd.DataFrame) -> None:
    groups = pd.Series(["sick", "well", np.nan, "sick"], positions.index)
    unknown, sick, well = sample_map(positions, (0.5, 0.2), groups=groups, title="group").data
    assert (unknown.name, sick.name, well.name) == ("not known", "sick (n = 2)", "well (n = 1)")
    assert list(sick.y) == positions.loc[["A", "D"], "second"].tolist()
    assert sick.marker.color != well.marker.color
    assert sick.marker.symbol != well.marker.symbol
    (plain,) = sample_map(positions, (0.5, 0.2)).data
    assert len(plain.x) == 4
