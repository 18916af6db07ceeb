from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.figures.accuracy.method_accuracy import accuracy_by_method, wins_and_losses


@pytest.fixture
def tissues() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": ["b", "b", "a", "a", "c"],
            "tissue": ["Lung", "Liver", "Lung", "Liver", "Lung"],
            "n": 90,
            "rho": [0.4, 0.2, 0.3, 0.2, np.nan],
        }
    )


def test_each_method_has_its_tissues_and_their_mean(tissues: pd.DataFrame) -> None:
    interval = pd.DataFrame({"low": [0.2, 0.25], "high": [0.3, 0.36]}, index=["a", "b"])
    figure = accuracy_by_method(tissues, "rho", title="rho", first="a", interval=interval)
    b, a, means = figure.data
    assert (b.name, list(b.x)) == ("b", [0.4, 0.2])
    assert (a.name, list(a.x)) == ("a", [0.3, 0.2])
    assert a.marker.color != b.marker.color
    assert list(means.y) == ["b", "a"]
    np.testing.assert_allclose(means.x, [0.3, 0.25])
    np.testing.assert_allclose(means.x - means.error_x.arrayminus, [0.25, 0.2])
    np.testing.assert_allclose(means.x + means.error_x.array, [0.36, 0.3])
    assert "interval" in means.name


def test_without_an_interval_there_is_none(tissues: pd.DataFrame) -> None:
    means = accuracy_by_method(tissues, "rho", title="rho", first="absent").data[-1]
    assert means.error_x.array is None
    assert "interval" not in means.name


def test_wins_lie_right_losses_left_and_none_is_counted_twice() -> None:
    standings = pd.DataFrame(
        {
            "gene_wins": [40, 3],
            "gene_wins_fdr": [10, 0],
            "gene_losses": [5, 44],
            "gene_losses_fdr": [1, 44],
            "sample_wins": [0, 0],
            "sample_wins_fdr": [0, 0],
            "sample_losses": [0, 0],
            "sample_losses_fdr": [0, 0],
        },
        index=pd.Index(["x", "y"], name="other"),
    )
    figure = wins_and_losses(standings, "gene", first="mine")
    bars = {bar.name: list(bar.x) for bar in figure.data}
    assert bars == {
        "higher, FDR ≤ 5 %": [10, 0],
        "higher": [30, 3],
        "lower, FDR ≤ 5 %": [-1, -44],
        "lower": [-4, 0],
    }
    shown = dict(zip(figure.layout.xaxis.tickvals, figure.layout.xaxis.ticktext, strict=True))
    assert shown[-40] == shown[40] == "40"
    assert "mine" in figure.layout.xaxis.title.text
    # Where nothing is won or lost the axis still has its 0.
    assert 0 in wins_and_losses(standings, "sample", first="mine").layout.xaxis.tickvals
