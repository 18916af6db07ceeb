from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.figures.associations.association_scatter import association_scatter


@pytest.fixture
def points(rng: np.random.Generator) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "gene_id": [f"E{i}" for i in range(8)],
            "gene": [f"G{i}" for i in range(8)],
            "reference": rng.normal(size=8),
            "own": rng.normal(size=8),
            "predictable": ["yes", "no", "measured", "not evaluated"] * 2,
        }
    )


def test_every_gene_is_a_point_and_unpredictable_ones_are_grey(points: pd.DataFrame) -> None:
    figure = association_scatter(points, x="GTEx", y="yours", equal=False, marked=["E2"])
    grey, others, ring = figure.data
    assert (grey.name, others.name) == ("not predictable", "genes")
    assert [data[0] for data in grey.customdata] == ["E1", "E5"]
    part = points[points["predictable"] != "no"]
    assert list(others.x) == part["reference"].tolist()
    assert list(others.y) == part["own"].tolist()
    assert (list(ring.text), ring.x[0], ring.y[0]) == (
        ["G2"],
        points["reference"][2],
        points["own"][2],
    )
    assert figure.layout.xaxis.title.text == "GTEx"
    assert figure.layout.yaxis.title.text == "yours"


def test_equal_values_have_a_line_only_where_units_are_the_same(points: pd.DataFrame) -> None:
    figure = association_scatter(points, x="GTEx", y="yours", equal=True)
    (line,) = [trace for trace in figure.data if trace.mode == "lines"]
    assert list(line.x) == list(line.y)
    assert line.x[0] == points[["reference", "own"]].min(axis=None)
    assert line.x[1] == points[["reference", "own"]].max(axis=None)
    other = association_scatter(points, x="GTEx", y="yours", equal=False)
    assert not [trace for trace in other.data if trace.mode == "lines"]
