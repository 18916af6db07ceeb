from __future__ import annotations

import pandas as pd
import pytest

from mtm_core.figures.associations.roc import auroc_dots, roc_curves
from mtm_core.figures.shared.style import OWN_MARK


def test_each_profile_has_its_area_and_interval() -> None:
    areas = pd.DataFrame(
        {
            "tissue": ["Lung", "Lung", "Liver"],
            "profile": ["observed", "source", "observed"],
            "auroc": [0.9, 0.7, 0.6],
            "low": [0.8, 0.5, 0.55],
            "high": [0.95, 0.8, 0.7],
            "n_genes": 3,
            "n_case": 50,
            "n_control": 51,
        }
    )
    profiles = [("observed", "measured tissue"), ("source", "measured blood")]
    figure = auroc_dots(areas, profiles, chosen="Lung")
    measured, blood = figure.data
    assert (list(measured.x), list(blood.x)) == ([0.9, 0.6], [0.7])
    assert list(measured.error_x.array) == pytest.approx([0.05, 0.1])
    assert list(blood.error_x.arrayminus) == pytest.approx([0.2])
    assert list(figure.layout.yaxis.ticktext) == [f"{OWN_MARK}<b>Lung</b>", "Liver"]
    # A tissue's marks stand nearer to it than to the next.
    assert abs(measured.y[0] - figure.layout.yaxis.tickvals[0]) < 0.4
    assert measured.y[0] > blood.y[0] > measured.y[1]


def test_each_profile_has_its_curve() -> None:
    curves = pd.DataFrame(
        {
            "profile": ["observed"] * 3 + ["source"] * 3,
            "false_positive_rate": [0, 0.5, 1] * 2,
            "sensitivity": [0.2, 0.9, 1, 0, 0.5, 1],
        }
    )
    names = [("observed", "measured"), ("predicted", "predicted"), ("source", "blood")]
    figure = roc_curves(curves, names)
    drawn = {trace.name: list(trace.y) for trace in figure.data}
    assert drawn == {"chance": [0, 1], "measured": [0.2, 0.9, 1], "blood": [0, 0.5, 1]}
    assert (
        len({trace.line.dash for trace in figure.data[1:]}) == 2
    )  # not distinguished by colour alone
