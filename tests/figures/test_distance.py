from __future__ import annotations

import pandas as pd

from mtm_core.figures.samples.distance import distance_by_batch, distance_strips


def test_every_sample_is_drawn_before_and_after_over_the_reference() -> None:
    distance = pd.DataFrame(
        {"distance_before": [3.0, 2.5], "distance_after": [1.0, 0.9]}, index=["S1", "S2"]
    )
    figure = distance_strips(distance, pd.Series({0.05: 0.7, 0.5: 0.95, 0.95: 1.4}))
    drawn = {trace.name: trace for trace in figure.data}
    assert list(drawn["before alignment"].x) == [3.0, 2.5]
    assert list(drawn["after alignment"].x) == [1.0, 0.9]
    assert list(drawn["after alignment"].customdata) == ["S1", "S2"]
    rows = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))
    for name, trace in drawn.items():
        assert abs(trace.y - rows[name]).max() < 0.5
    band, median = figure.layout.shapes
    assert (band.x0, band.x1) == (0.7, 1.4)
    assert median.x0 == median.x1 == 0.95


def test_each_batch_has_a_row_of_its_own() -> None:
    distance = pd.DataFrame(
        {"distance_before": [3.0, 2.5, 4.0], "distance_after": [1.0, 0.9, 1.1]},
        index=["S1", "S2", "S3"],
    )
    reference = pd.Series({0.05: 0.7, 0.5: 0.95, 0.95: 1.4})
    figure = distance_by_batch(distance, ["b", "a", "b"], reference)
    before, after = figure.data
    assert list(before.x) == [3.0, 2.5, 4.0]
    assert list(after.x) == [1.0, 0.9, 1.1]
    rows = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))
    assert rows["a"] > rows["b"]  # the first batch is uppermost
    for trace in (before, after):
        assert [batch for _, batch in trace.customdata] == ["b", "a", "b"]
        for y, (_, batch) in zip(trace.y, trace.customdata, strict=True):
            assert abs(y - rows[batch]) < 0.5
    (band,) = figure.layout.shapes
    assert (band.x0, band.x1) == (0.7, 1.4)
