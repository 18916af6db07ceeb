"""What is drawn of a contrast: every gene and tissue once, chance beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from mtm_core.figures.associations.preserved_changes import (
    BOTH,
    MEASURED,
    NEITHER,
    PREDICTED,
    changes_scatter,
    overlap_grid,
    preserved_by_tissue,
)
from mtm_core.figures.shared.style import OWN_MARK

PANELS = {"": "as it is", "age": "age out"}


@pytest.fixture
def genes(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "panel": [""] * 4 + ["age"] * 4,
            "gene": [f"G{i}" for i in range(4)] * 2,
            "gene_id": [f"E{i}" for i in range(4)] * 2,
            "observed": rng.normal(size=8),
            "predicted": rng.normal(size=8),
            "fdr_observed": 0.5,
            "fdr_predicted": 0.5,
            "significant": [BOTH, MEASURED, PREDICTED, BOTH, NEITHER, BOTH, BOTH, BOTH],
        }
    )


def points(figure: go.Figure, axis: str) -> set[tuple[str, float, float]]:
    return {
        (data[0], x, y)
        for trace in figure.data
        if trace.customdata is not None and trace.xaxis == axis
        for data, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }


def test_every_gene_is_drawn_in_its_panel(genes: pd.DataFrame) -> None:
    figure = changes_scatter(genes, PANELS, x="measured", y="predicted", marked=["E2"])
    for panel, axis in (("", "x"), ("age", "x2")):
        part = genes[genes["panel"] == panel]
        assert points(figure, axis) == set(
            zip(part["gene_id"], part["observed"], part["predicted"], strict=True)
        )
    # Across is what was measured.
    assert figure.layout.xaxis.title.text == "measured"
    assert figure.layout.yaxis.title.text == "predicted"
    rings = [trace for trace in figure.data if trace.text is not None and trace.mode[-4:] == "text"]
    assert [list(ring.text) for ring in rings] == [["G2"], ["G2"]]
    assert [trace.x[0] for trace in rings] == genes.loc[
        genes["gene_id"] == "E2", "observed"
    ].tolist()


def test_a_colour_is_named_once_though_only_the_second_panel_has_it(genes: pd.DataFrame) -> None:
    figure = changes_scatter(genes, PANELS, x="x", y="y")
    named = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(named) == sorted(["equal", BOTH, MEASURED, PREDICTED, NEITHER])
    assert figure.layout.xaxis2.matches == "x"


@pytest.fixture
def rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "panel": ["", "", "age", "age"],
            "tissue": ["Lung", "Liver"] * 2,
            "rho": [0.8, 0.2, 0.5, 0.1],
            "rho_low": [0.7, -0.1, 0.3, -0.2],
            "rho_high": [0.9, 0.5, 0.7, 0.4],
            "shuffled": [0.3, 0.25, 0.2, 0.35],
            "shuffle_p": [0.01, 0.6, 0.2, 0.9],
            "n_genes": 30,
            "people": "50 cases, 60 controls",
        }
    )


def test_tissues_stand_beside_what_shuffling_gives(rows: pd.DataFrame) -> None:
    figure = preserved_by_tissue(rows, PANELS, {"Lung": "#0A0B0C"}, title="rho", chosen="Liver")
    assert list(figure.layout.yaxis.ticktext) == ["Lung", f"{OWN_MARK}<b>Liver</b>"]
    height = dict(zip(["Lung", "Liver"], figure.layout.yaxis.tickvals, strict=True))
    shuffled = {
        trace.xaxis: dict(zip(trace.y, trace.x, strict=True))
        for trace in figure.data
        if trace.name and "shuffled, median" in trace.name
    }
    assert shuffled["x"] == {height["Lung"]: 0.3, height["Liver"]: 0.25}
    assert shuffled["x2"] == {height["Lung"]: 0.2, height["Liver"]: 0.35}
    filled = [trace for trace in figure.data if trace.name == "beyond shuffled (5 %)"]
    assert [(list(t.x), list(t.y), t.marker.color[0]) for t in filled] == [
        ([0.8], [height["Lung"]], "#0A0B0C")
    ]
    empty = [trace for trace in figure.data if trace.name == "not beyond shuffled"]
    assert [list(trace.x) for trace in empty] == [[0.2], [0.5, 0.1]]
    bars = next(trace for trace in figure.data if trace.mode == "lines")
    np.testing.assert_array_equal(bars.x, [0.7, 0.9, np.nan, -0.1, 0.5, np.nan])


def test_the_grid_shows_scores_stars_and_gaps() -> None:
    f1 = pd.DataFrame({"sex ↑": [0.5, np.nan], "sex ↓": [0.0, 1.0]}, index=["Liver", "Lung"])
    stars = pd.DataFrame({"sex ↑": ["*", ""], "sex ↓": ["", "***"]}, index=f1.index)
    (grid,) = overlap_grid(f1, stars, stars).data
    np.testing.assert_array_equal(grid.z, f1)
    assert np.array(grid.text).tolist() == stars.to_numpy().tolist()
    assert (grid.zmin, grid.zmax) == (0, 1)
    assert list(grid.y) == ["Liver", "Lung"]
