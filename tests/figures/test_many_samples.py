"""Figures of many samples: more than a browser has patience to draw one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from mtm_core.figures.samples.distance import distance_strips
from mtm_core.figures.samples.gene_strips import expression_strips
from mtm_core.figures.samples.group_strips import group_strips
from mtm_core.figures.samples.reference_position import percentile_strips
from mtm_core.figures.shared.style import MOST_OF_SAMPLES

LEVELS = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]


def figures(n: int) -> dict[str, go.Figure]:
    """Draw ``n`` samples of two tissues in every figure that shows each of them."""
    samples = pd.Index([f"S{i}" for i in range(n)])
    values = pd.DataFrame(1.0, samples, ["Lung", "Liver"])
    quantiles = pd.DataFrame([LEVELS] * 2, ["Lung", "Liver"], LEVELS)
    positions = pd.DataFrame(
        {
            "sample": np.repeat(samples, 2),
            "tissue": ["Lung", "Liver"] * n,
            "origin": "predicted",
            "log2_expression": 1.0,
            "percentile": 50.0,
        }
    )
    return {
        "distance": distance_strips(
            pd.DataFrame(1.0, samples, ["distance_before", "distance_after"]), quantiles.loc["Lung"]
        ),
        "gene": expression_strips(
            values,
            quantiles,
            unit="TPM",
            colours=dict.fromkeys(values, "#99FF00"),
            accuracy=dict.fromkeys(values, "rho 0.4"),
        ),
        "groups": group_strips(
            values, pd.Series("a", samples), case="a", control="b", scale="log2(1 + TPM)"
        ),
        "percentiles": percentile_strips(positions, None),
    }


def points_of(figure: go.Figure) -> list[go.Scatter | go.Scattergl]:
    """Return the traces whose points are samples: medians and means are few."""
    return [trace for trace in figure.data if trace.x is not None and len(trace.x) > 10]


@pytest.mark.parametrize("n", [50, 7000])
def test_no_more_samples_are_drawn_as_elements_than_a_browser_has_patience_for(n: int) -> None:
    for name, figure in figures(n).items():
        points = points_of(figure)
        assert points, name
        elements = [len(trace.x) for trace in points if trace.type == "scatter"]
        assert sum(elements) <= MOST_OF_SAMPLES, name
        assert (name == "distance" and n > 50) == (not elements), name


@pytest.mark.parametrize("name", ["gene", "groups", "percentiles"])
def test_a_figure_says_how_many_of_the_samples_it_draws(name: str) -> None:
    """Of two tissues 3,000 samples each are drawn: as many as there may be elements."""
    few, many = (points_of(figures(n)[name])[0] for n in (50, 7000))
    assert "3,000 of 7,000 in each tissue" in many.name
    assert "in each tissue" not in few.name
    assert len(few.x) == 100
    drawn = pd.Series([tissue for _, tissue, *_ in many.customdata]).value_counts()
    assert drawn.to_dict() == {"Lung": 3000, "Liver": 3000}
