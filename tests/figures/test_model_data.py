from __future__ import annotations

import numpy as np
import pandas as pd

from mtm_core.figures.model_data import interval_coverage, training_samples


def test_tissues_are_drawn_with_their_samples_and_colour() -> None:
    tissues = pd.DataFrame(
        {"n_samples": [90, 800], "colour": ["#99FF00", "#AABB66"]}, index=["Lung", "Muscle"]
    )
    (bars,) = training_samples(tissues).data
    assert list(bars.y) == ["Lung", "Muscle"]  # the last is drawn at the top
    assert list(bars.x) == [90, 800]
    assert list(bars.marker.color) == ["#99FF00", "#AABB66"]
    (bars,) = training_samples(tissues.iloc[::-1]).data
    assert list(bars.y) == ["Lung", "Muscle"]


def test_each_coverage_is_beside_the_line_of_its_nominal_level() -> None:
    coverage = pd.DataFrame(
        {"n": [300, 90], 50: [49.0, 55.0], 90: [90.5, np.nan]}, index=["Liver", "Lung"]
    )
    figure = interval_coverage(coverage)
    fifty, ninety = figure.data
    assert (fifty.name, ninety.name) == ("50 %", "90 %")
    assert list(fifty.x) == [49.0, 55.0]
    np.testing.assert_array_equal(ninety.x, [90.5, np.nan])
    assert [shape.x0 for shape in figure.layout.shapes] == [50, 90]
    assert [shape.line.color for shape in figure.layout.shapes] == [
        fifty.marker.color,
        ninety.marker.color,
    ]
    assert list(figure.layout.yaxis.ticktext) == ["Liver (300)", "Lung (90)"]
    assert list(fifty.y) == list(figure.layout.yaxis.tickvals) == [1, 0]
