from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from mtm_core.figures.samples.gene_strips import expression_strips

COLOURS = {"Lung": "#99FF00", "Liver": "#AABB66"}


@pytest.fixture
def predicted() -> pd.DataFrame:
    return pd.DataFrame(
        [[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]], index=["S1", "S2", "S3"], columns=["Lung", "Liver"]
    )


def draw(predicted: pd.DataFrame, **changes: Any) -> go.Figure:
    levels = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    reference = pd.DataFrame(
        [np.arange(7.0), np.arange(7.0) + 10], index=["Liver", "Lung"], columns=list(levels)
    )
    options: dict[str, Any] = {
        "unit": "TPM",
        "colours": COLOURS,
        "accuracy": {"Lung": "rho 0.40, n = 80", "Liver": "not evaluated"},
    }
    return expression_strips(predicted, reference, **{**options, **changes})


def named(figure: go.Figure, name: str) -> go.Scatter:
    (trace,) = [trace for trace in figure.data if trace.name == name]
    return trace


def test_each_value_is_drawn_with_its_sample_and_tissue(predicted: pd.DataFrame) -> None:
    points = named(draw(predicted), "your samples, predicted")
    drawn = {tuple(names): x for names, x in zip(points.customdata, points.x, strict=True)}
    assert drawn == {(s, t): predicted.loc[s, t] for s in predicted.index for t in predicted}


def test_points_lie_in_the_row_of_their_tissue(predicted: pd.DataFrame) -> None:
    figure = draw(predicted)
    rows = dict(zip(figure.layout.yaxis.ticktext, figure.layout.yaxis.tickvals, strict=True))
    points = named(figure, "your samples, predicted")
    for (_, tissue), y in zip(points.customdata, points.y, strict=True):
        assert abs(y - rows[tissue]) < 0.5
    assert len(set(points.y)) == points.y.size


def test_reference_bars_take_the_quantiles_of_their_own_tissue(predicted: pd.DataFrame) -> None:
    bars = [trace for trace in draw(predicted).data if trace.type == "bar"]
    spans = {
        (colour, (low, low + length))
        for bar in bars
        for colour, low, length in zip(bar.marker.color, bar.base, bar.x, strict=True)
    }
    assert spans == {
        (COLOURS["Lung"], (11.0, 15.0)),
        (COLOURS["Lung"], (12.0, 14.0)),
        (COLOURS["Liver"], (1.0, 5.0)),
        (COLOURS["Liver"], (2.0, 4.0)),
    }
    median = named(draw(predicted), "reference median")
    assert list(median.x) == [13.0, 3.0]


def test_accuracy_is_written_beside_its_tissue(predicted: pd.DataFrame) -> None:
    figure = draw(predicted)
    rows = dict(zip(figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext, strict=True))
    written = {rows[note.y]: note.text for note in figure.layout.annotations}
    assert written == {"Lung": "rho 0.40, n = 80", "Liver": "not evaluated"}


def test_marked_sample_is_drawn_apart(predicted: pd.DataFrame) -> None:
    figure = draw(predicted, highlighted="S2")
    assert list(named(figure, "S2").x) == [2.0, 6.0]
    assert len(named(figure, "your samples, predicted").x) == 4


def test_marked_sample_has_its_interval(predicted: pd.DataFrame) -> None:
    interval = pd.DataFrame({"lower": [5.5, 0.5], "upper": [6.25, 4.0]}, index=["Liver", "Lung"])
    star = named(draw(predicted, highlighted="S2", interval=interval), "S2")
    assert list(star.x - star.error_x.arrayminus) == [0.5, 5.5]
    assert list(star.x + star.error_x.array) == [4.0, 6.25]


def test_a_single_marked_sample_leaves_no_others(predicted: pd.DataFrame) -> None:
    figure = draw(predicted.loc[["S2"]], highlighted="S2")
    assert "your samples, predicted" not in {trace.name for trace in figure.data}


def test_the_axis_names_scale_and_unit(predicted: pd.DataFrame) -> None:
    assert draw(predicted).layout.xaxis.title.text == "log2(1 + TPM)"


def test_the_interval_of_a_marked_sample_is_that_of_the_tissue_it_is_drawn_in(
    predicted: pd.DataFrame,
) -> None:
    predicted.loc["S2", "Lung"] = np.nan
    interval = pd.DataFrame({"lower": [5.5, 0.5], "upper": [6.25, 4.0]}, index=["Liver", "Lung"])
    star = named(draw(predicted, highlighted="S2", interval=interval), "S2")
    assert star.x.tolist() == [6.0]
    assert star.error_x.array.tolist() == [0.25]
    assert star.error_x.arrayminus.tolist() == [0.5]
