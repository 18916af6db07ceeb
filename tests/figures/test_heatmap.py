from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from mtm_core.figures.samples.heatmap import scale_end, z_heatmap


@pytest.fixture
def z() -> pd.DataFrame:
    return pd.DataFrame(
        [[0.2, -1.2, 0.4], [0.0, 0.7, -0.1]], index=["S1", "S2"], columns=["TP53", "RB1", "RET"]
    )


@pytest.fixture
def rho() -> pd.Series:
    return pd.Series({"RET": np.nan, "TP53": 0.6, "RB1": -0.1})


def heatmaps(figure: go.Figure) -> list[go.Heatmap]:
    return [trace for trace in figure.data if trace.type == "heatmap"]


def test_without_accuracy_there_are_cells_and_no_bars(z: pd.DataFrame) -> None:
    figure = z_heatmap(z, None, column="gene")
    (cells,) = figure.data
    np.testing.assert_allclose(cells.z, z, rtol=1e-6)
    assert list(cells.x) == ["TP53", "RB1", "RET"]
    assert list(cells.y) == ["S1", "S2"]


def test_bars_stand_over_their_own_columns(z: pd.DataFrame, rho: pd.Series) -> None:
    bars = z_heatmap(z, rho, column="gene").data[0]
    assert bars.type == "bar"
    assert list(bars.x) == ["TP53", "RB1", "RET"]
    np.testing.assert_array_equal(bars.y, [0.6, -0.1, np.nan])


def test_unpredictable_columns_are_drawn_paler_and_named_in_grey(
    z: pd.DataFrame, rho: pd.Series
) -> None:
    figure = z_heatmap(z, rho, column="gene", unpredictable=["RB1", "RET"])
    strong, pale = heatmaps(figure)
    assert strong.opacity == 1
    assert pale.opacity < 0.5
    np.testing.assert_array_equal(np.isnan(strong.z[0]), [False, True, True])
    np.testing.assert_array_equal(np.isnan(pale.z[0]), [True, False, False])
    names = figure.layout.xaxis2.ticktext
    assert names[0] == "TP53"
    assert "span" in names[1]
    assert len({figure.data[0].marker.color[i] for i in (0, 1)}) == 2


@pytest.mark.parametrize(("n", "gap"), [(40, 1), (1000, 0)])
def test_rows_thinner_than_their_gaps_have_none(n: int, gap: int, rng: np.random.Generator) -> None:
    """A gap of a pixel would leave nothing of a row: an empty figure."""
    figure = z_heatmap(pd.DataFrame(rng.normal(size=(n, 3))), None, column="gene")
    (cells,) = heatmaps(figure)
    assert cells.ygap == gap
    assert figure.layout.height > 2 * n * gap


def test_a_scale_without_any_accuracy_is_drawn(z: pd.DataFrame) -> None:
    empty = pd.Series(np.nan, index=z.columns)
    figure = z_heatmap(z, empty, column="gene", unpredictable=list(z.columns))
    assert len(heatmaps(figure)) == 1
    assert figure.layout.yaxis.range == (0, 1)


def test_colours_are_centred_on_zero_and_hold_every_value(z: pd.DataFrame) -> None:
    axis = z_heatmap(z, None, column="gene").layout.coloraxis
    assert (axis.cmin, axis.cmid, axis.cmax) == (-1.5, 0, 1.5)


@pytest.mark.parametrize(
    ("values", "end"), [([0.0, 0.0], 0.5), ([0.5, -0.2], 0.5), ([-2.1, 1], 3), ([33.0, np.nan], 33)]
)
def test_end_of_the_scale_is_round(values: list[float], end: float) -> None:
    assert scale_end(pd.DataFrame([values])) == end


def test_sample_names_that_are_numbers_stay_names(z: pd.DataFrame) -> None:
    z.index = pd.Index([101, 205])
    figure = z_heatmap(z, None, column="gene")
    assert list(figure.data[0].y) == ["101", "205"]
    assert figure.layout.yaxis.type == "category"
