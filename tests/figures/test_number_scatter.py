from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtm_core.figures.samples.number_scatter import MOST_PANELS, number_scatter


def test_samples_lie_against_the_number_and_the_line_has_the_given_slope() -> None:
    rng = np.random.default_rng(0)
    names = [f"P-{i}" for i in range(20)]
    age = pd.Series(rng.uniform(20, 80, 20), names)
    values = pd.DataFrame({"Lung": 3 + 0.1 * age, "Liver": rng.normal(size=20)}, names)
    age.iloc[3], values.iloc[5, 0] = np.nan, np.nan
    figure = number_scatter(values, age, {"Lung": 0.1}, name="age", scale="log2")
    lung, line, liver = figure.data
    assert (len(lung.x), len(liver.x)) == (18, 19)
    shown = dict(zip(lung.customdata, zip(lung.x, lung.y, strict=True), strict=True))
    assert shown["P-7"] == (age["P-7"], values.loc["P-7", "Lung"])
    assert list(line.x) == [min(lung.x), max(lung.x)]
    # The points lie on it.
    assert list(line.y) == pytest.approx([3 + 0.1 * x for x in line.x])


def test_many_tissues_are_cut_and_a_number_of_no_sample_draws_no_line() -> None:
    values = pd.DataFrame(1.0, ["a", "b"], [f"T{i}" for i in range(20)])
    figure = number_scatter(values, pd.Series(dtype=float), {"T0": 1.0}, name="age", scale="log2")
    assert len(figure.data) == MOST_PANELS
    assert not any(len(trace.x) for trace in figure.data)
