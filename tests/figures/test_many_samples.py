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


@pytest.mark.parametrize(("n", "elements"), [(50, True), (7000, False)])
def test_samples_are_elements_only_where_few(n: int, elements: bool) -> None:
    for name, figure in figures(n).items():
        drawn = [trace for trace in figure.data if trace.x is not None and len(trace.x) >= n]
        assert drawn, name
        assert {trace.type for trace in drawn} == {"scatter" if elements else "scattergl"}, name
