from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from mtm_core.figures.accuracy.tissue_accuracy import tissue_accuracy


def accuracy(method: str, **rho: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": method,
            "tissue": list(rho),
            "n": 100,
            "gene_rho_by_fold": list(rho.values()),
            "sample_rho": [1 - value for value in rho.values()],
            "n_predictable": 3,
        }
    )


def draw(tissues: pd.DataFrame, first: str, figure_of_merit: str = "gene_rho_by_fold") -> go.Figure:
    return tissue_accuracy(tissues, first, figure_of_merit, title="rho")


def test_tissues_are_ordered_by_the_models_own_accuracy() -> None:
    tissues = pd.concat(
        [accuracy("ridge", Lung=0.3, Liver=0.1), accuracy("mtm", Liver=0.4, Lung=0.2)]
    )
    own, ridge = draw(tissues, "mtm").data
    assert own.name == "mtm"
    assert list(own.y) == ["Lung", "Liver"]
    assert list(own.x) == [0.2, 0.4]
    assert list(ridge.y) == ["Lung", "Liver"]
    assert list(ridge.x) == [0.3, 0.1]
    assert own.marker.symbol != ridge.marker.symbol
    assert own.marker.color != ridge.marker.color


def test_the_figure_of_merit_is_the_one_asked_for() -> None:
    (own,) = draw(accuracy("mtm", Liver=0.4, Lung=0.2), "mtm", "sample_rho").data
    assert list(own.y) == ["Liver", "Lung"]
    assert list(own.x) == [0.6, 0.8]


def test_no_two_methods_look_alike() -> None:
    tissues = pd.concat([accuracy(f"method {i}", Lung=0.1) for i in range(12)])
    marks = [trace.marker for trace in draw(tissues, "method 3").data]
    assert len({(mark.symbol, mark.color) for mark in marks}) == 12


def test_a_tissue_that_another_method_lacks_stays_empty() -> None:
    tissues = pd.concat([accuracy("mtm", Liver=0.4, Lung=0.2), accuracy("ridge", Lung=0.3)])
    _, ridge = draw(tissues, "mtm").data
    np.testing.assert_array_equal(ridge.x, [0.3, np.nan])
